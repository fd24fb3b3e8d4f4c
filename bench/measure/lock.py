"""Locks that a process loses when it ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.plan.grid import PlanError

VARIABLE = "RELUBENCH_LOCK"
"""Names another file than the usual one for the machine's lock."""
WHEN_BUSY = ("wait", "fail", "ignore")
POLL_SECONDS = 0.5
FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
"""Not for the processes that are started meanwhile, and a FIFO is not waited for."""
MODE = 0o644


class Busy(ValueError):
    """Another run has the machine."""


def checked(when_busy: str | None) -> str:
    """One of WHEN_BUSY. Raises PlanError."""
    chosen = WHEN_BUSY[0] if when_busy is None else when_busy
    if chosen not in WHEN_BUSY:
        raise PlanError(f"--when-busy: {chosen!r} is none of {', '.join(WHEN_BUSY)}")
    return chosen


def take(descriptor: int) -> bool:
    """Whether a file's lock is this process's now. Where the file system has no locks, it is."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_taken(path: Path) -> bool:
    """Whether another open file has the lock of this one."""
    descriptor = os.open(path, os.O_RDONLY | FLAGS)
    try:
        return not take(descriptor)
    finally:
        os.close(descriptor)


def owner(path: Path) -> str:
    """` (process 123 in /its/folder)`, whose lock it is; less of it, or nothing, where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, _, _, process, file, *_ = line.split()
            if kind == "FLOCK" and file.rpartition(":")[2] == inode and process != str(os.getpid()):
                return f" (process {process}{_folder(process)})"
    return ""


@contextmanager
def of_machine(when_busy: str, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Within, no other run measures on this machine that asks for its lock; both would be spoilt. Raises Busy where
    `when_busy` is `fail` and another does; `say` gets a line before it is waited for."""
    path = Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / "relubench.lock")
    descriptor = None if when_busy == "ignore" else _open(path)
    if descriptor is None:
        yield
        return
    try:
        if not take(descriptor):
            who = f"another run measures on this machine{owner(path)}"
            if when_busy == "fail":
                raise Busy(f"{who}, and both would be spoilt; --when-busy wait waits for it")
            say(f"{who}: waiting until it has ended")
            while not take(descriptor):
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int | None:
    """Other users' runs open the same file, which may be theirs; a link there is not followed. None where there can be
    no such file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | FLAGS
    with suppress(OSError):
        return os.open(path, flags)
    with suppress(OSError):
        descriptor = os.open(path, flags | os.O_CREAT, MODE)
        with suppress(OSError):
            os.fchmod(descriptor, MODE)  # whatever the umask is, for all users are to share it
        return descriptor
    return None


def _folder(process: str) -> str:
    with suppress(OSError):
        return f" in {Path(f'/proc/{process}/cwd').readlink()}"
    return ""
