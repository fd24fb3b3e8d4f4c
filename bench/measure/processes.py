"""Find and end a worker's processes: its own, and all that its contender starts."""

from __future__ import annotations

import atexit
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

import psutil

MARK = "RELUBENCH_WORKER"
"""The variable that marks a worker's processes: those that left its group and its session have it too."""
GRACE_SECONDS = 5.0
"""How long a process may take to end by itself, and then again once it is killed."""
POLL_SECONDS = 0.1
ROOT = Path(__file__).parent.parent.parent
_numbers = count(1)
_own: dict[int, float] = {}
"""Children of this process that are no orphans of a worker, and when each was created."""
_watchdog: int | None = None
"""The pipe to the process that ends the workers if this one is killed."""


def new_mark() -> str:
    """Return the mark of the next worker. The first call also starts the watchdog."""
    return f"{_run_mark()}.{next(_numbers)}."  # it ends in a dot, so that no mark begins with another


@cache
def _run_mark() -> str:
    mark = secrets.token_hex(8)
    _own.update((child.pid, 0.0) for child in _descendants(os.getpid(), recursive=False))
    _adopt_orphans()
    _start_watchdog(mark)  # last, since it can fail: the next call then tries again
    return mark


def started(process: subprocess.Popen[bytes]) -> None:
    """Register a process that this one has started, as opposed to an orphan."""
    _own[process.pid] = 0.0
    with suppress(psutil.Error, OSError):
        _own[process.pid] = psutil.Process(process.pid).create_time()
    _tell_watchdog(b"%d" % process.pid)


def remove_in_the_end(folder: Path) -> None:
    """Have the watchdog remove a folder, of an absolute path, if it is still there when this process has ended. Raises
    OSError where the watchdog cannot be started."""
    _run_mark()
    name = os.fsencode(folder)
    if b"\n" not in name:
        _tell_watchdog(name)


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a worker that was started in a session of its own, and to its children in that session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end(process: subprocess.Popen[bytes], mark: str, grace: float = 0.0) -> None:
    """End a worker, which may end by itself within `grace` seconds, and all that it has started."""
    started_by_it = _descendants(process.pid)
    signal_group(process, signal.SIGCONT)
    if grace:
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    signal_group(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # then nothing more can be done: it waits within the kernel
        process.wait(GRACE_SECONDS)
    since = _own.pop(process.pid, time.time())
    kill(started_by_it)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:  # a daemon's children are adopted once it has ended
        remaining = [*of_workers(mark, {process.pid}), *_daemons(since)]
        if not remaining:
            break
        kill(remaining)
    _tell_watchdog(b"%d" % -process.pid)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill processes, and collect the exit statuses of this process's children."""
    killed = []
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
            killed.append(process)
    deadline = time.monotonic() + GRACE_SECONDS
    while killed and time.monotonic() < deadline:
        # Repeated, since another process's child may have become this process's own.
        with suppress(OSError):
            _, killed = psutil.wait_procs(killed, timeout=POLL_SECONDS)


def of_workers(mark: str, sessions: Container[int], everywhere: bool = sys.platform != "linux") -> list[psutil.Process]:
    """Return the processes whose mark begins with `mark` or that are in one of the sessions: among this process's
    descendants, which include orphans on Linux, or `everywhere`, among all that can be looked at."""
    processes = psutil.process_iter() if everywhere else _descendants(os.getpid())
    return [
        process for process in processes if _session_of(process.pid) in sessions or _mark_of(process).startswith(mark)
    ]


def _daemons(since: float) -> list[psutil.Process]:
    """Return the orphans that this process has adopted and that have a session of their own: daemons, which may lack
    the worker's environment and are not older than it. What a daemon has started is adopted once it has ended."""
    if sys.platform != "linux":
        return []
    return [
        child
        for child in _descendants(os.getpid(), recursive=False)
        if child.pid not in _own
        and child.create_time() > since
        and _session_of(child.pid) not in (None, os.getsid(0))
        and not _mark_of(child)
    ]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _mark_of(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return ""


def _descendants(pid: int, recursive: bool = True) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=recursive)
    except (psutil.Error, OSError):  # OSError: too many open files
        return []


def _adopt_orphans() -> None:
    """On Linux, make orphans of a worker this process's children, so that they are found and ended."""
    if sys.platform == "linux":
        PR_SET_CHILD_SUBREAPER = 36
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _start_watchdog(mark: str) -> None:
    """Start a process that waits for the end of this one, however it ends, and then ends the processes with the mark.
    Else a stopped worker would remain where the kernel does not end it with its parent, and its children would go on.
    Raises OSError."""
    global _watchdog
    read_end, write_end = os.pipe()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        f"from bench.measure.watchdog import main; main({read_end}, {mark!r})"
    )
    try:
        watchdog = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=(read_end,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    started(watchdog)
    os.set_blocking(write_end, False)
    _watchdog = write_end
    atexit.register(_end_watchdog, watchdog, write_end, os.getpid())


def _tell_watchdog(line: bytes) -> None:
    """Report a worker's session, or by its negative that it has ended: not all processes in it have a mark. A line that
    begins with a slash is a folder to remove."""
    if _watchdog is not None:
        with suppress(OSError):  # it may have been killed
            os.write(_watchdog, line + b"\n")


def _end_watchdog(watchdog: subprocess.Popen[bytes], pipe: int, owner: int) -> None:
    if os.getpid() == owner:  # else it is a process that was forked from the owner
        os.close(pipe)
        with suppress(subprocess.TimeoutExpired):
            watchdog.wait(GRACE_SECONDS)
