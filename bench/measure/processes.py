"""A worker's processes: its own, and all that its contender starts."""

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
"""The variable by which a worker's processes are known: those that left its group and its session have it too."""
GRACE_SECONDS = 5.0
"""That a process may take to end by itself, and then once it was killed."""
POLL_SECONDS = 0.1
ROOT = Path(__file__).parent.parent.parent
_numbers = count(1)
_own: dict[int, float] = {}
"""Children of this process that are not orphans of a worker's, and when each was created."""
_watchdog: int | None = None
"""The pipe to the process that ends the workers should this one be killed."""


def new_mark() -> str:
    """Of the next worker. The first one also starts what ends all of them should this process be killed."""
    return f"{_run_mark()}.{next(_numbers)}."  # the last dot, since one mark must not begin another


@cache
def _run_mark() -> str:
    mark = secrets.token_hex(8)
    _own.update((child.pid, 0.0) for child in _descendants(os.getpid(), recursive=False))
    _adopt_orphans()
    _start_watchdog(mark)  # the last thing here that can fail: if it does, it is tried again
    return mark


def started(process: subprocess.Popen[bytes]) -> None:
    """Know a process as one that was started here, rather than left behind by another."""
    _own[process.pid] = 0.0
    with suppress(psutil.Error, OSError):
        _own[process.pid] = psutil.Process(process.pid).create_time()
    _tell_watchdog(process.pid)


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """To a worker that was started in a session of its own, and to its children there."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end(process: subprocess.Popen[bytes], mark: str, grace: float = 0.0) -> None:
    """End a worker, after it had so many seconds to do it by itself, and all that it has started."""
    started_by_it = _descendants(process.pid)
    signal_group(process, signal.SIGCONT)
    if grace:
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    signal_group(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # by then nothing more can be done: it waits within the kernel
        process.wait(GRACE_SECONDS)
    since = _own.pop(process.pid, time.time())
    kill(started_by_it)
    until = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < until:  # a daemon's children come here once it has been ended
        left = [*of_workers(mark, {process.pid}), *_left_behind(since)]
        if not left:
            break
        kill(left)
    _tell_watchdog(-process.pid)


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill them, and take their exit statuses where they are this process's children."""
    killed = []
    for one in processes:
        with suppress(psutil.Error):
            one.kill()
            killed.append(one)
    until = time.monotonic() + GRACE_SECONDS
    while killed and time.monotonic() < until:
        # Asked for again, since what was another's child may have become this process's own.
        with suppress(OSError):
            _, killed = psutil.wait_procs(killed, timeout=POLL_SECONDS)


def of_workers(mark: str, sessions: Container[int], everywhere: bool = sys.platform != "linux") -> list[psutil.Process]:
    """The processes that have a mark that begins like this, or are in one of these sessions: of this process's
    descendants, which orphans belong to on Linux, or of all that can be looked at."""
    processes = psutil.process_iter() if everywhere else _descendants(os.getpid())
    return [one for one in processes if _session_of(one.pid) in sessions or _mark_of(one).startswith(mark)]


def _left_behind(since: float) -> list[psutil.Process]:
    """What has come to this process as an orphan, in a session of its own: a daemon, which may have another environment
    than the worker that it came from, and is not older. What it has started comes here when it has been ended."""
    if sys.platform != "linux":
        return []
    return [
        one
        for one in _descendants(os.getpid(), recursive=False)
        if one.pid not in _own
        and one.create_time() > since
        and _session_of(one.pid) not in (None, os.getsid(0))
        and not _mark_of(one)
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
    """On Linux, what a worker leaves behind becomes this process's child, so that it is found and ended."""
    if sys.platform == "linux":
        PR_SET_CHILD_SUBREAPER = 36
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _start_watchdog(mark: str) -> None:
    """A process that waits for the end of this one, however it ends, and then ends what has the mark: a stopped worker
    would stay stopped for ever where the kernel does not end it with its parent, and its children would go on. Raises
    OSError."""
    global _watchdog
    theirs, ours = os.pipe()
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        f"from bench.measure.watchdog import main; main({theirs}, {mark!r})"
    )
    try:
        watchdog = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=(theirs,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    started(watchdog)
    os.set_blocking(ours, False)
    _watchdog = ours
    atexit.register(_end_watchdog, watchdog, ours, os.getpid())


def _tell_watchdog(session: int) -> None:
    """That a worker was started in a session, or by its negative that it is over: not all that is in it has a mark."""
    if _watchdog is not None:
        with suppress(OSError):  # it may have been killed
            os.write(_watchdog, b"%d\n" % session)


def _end_watchdog(watchdog: subprocess.Popen[bytes], pipe: int, owner: int) -> None:
    if os.getpid() == owner:  # and not a process that was forked from it
        os.close(pipe)
        with suppress(subprocess.TimeoutExpired):
            watchdog.wait(GRACE_SECONDS)
