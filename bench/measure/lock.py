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
"""The variable that names another file than the usual one for the machine's lock."""
WHEN_BUSY = ("wait", "fail", "ignore")
POLL_SECONDS = 0.5
FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
"""Child processes do not inherit the file, and opening a FIFO does not wait."""
MODE = 0o644


class Busy(ValueError):
    """Another run has the machine."""


def checked(when_busy: str | None) -> str:
    """Return the choice of WHEN_BUSY, by default the first. Raises PlanError."""
    chosen = WHEN_BUSY[0] if when_busy is None else when_busy
    if chosen not in WHEN_BUSY:
        raise PlanError(f"--when-busy: {chosen!r} is none of {', '.join(WHEN_BUSY)}")
    return chosen


def take(descriptor: int) -> bool:
    """Try to take a file's lock; return whether this process has it. Where the file system has no locks, it has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_taken(path: Path) -> bool:
    """Tell whether another open file has the lock of this one."""
    descriptor = os.open(path, os.O_RDONLY | FLAGS)
    try:
        return not take(descriptor)
    finally:
        os.close(descriptor)


def owner(path: Path) -> str:
    """Return ` (process 123 in /its/folder)` for the lock's owner; less, or nothing, where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, _, _, process, file, *_ = line.split()
            if kind == "FLOCK" and file.rpartition(":")[2] == inode and process != str(os.getpid()):
                return f" (process {process}{_folder(process)})"
    return ""


@contextmanager
def of_machine(when_busy: str, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Hold the machine's lock, so that no two runs measure at once, which would spoil both. Raises Busy where
    `when_busy` is `fail` and another run has it; `say` gets a line before this one waits."""
    path = Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / "relubench.lock")
    descriptor = None if when_busy == "ignore" else _open(path)
    if descriptor is None:
        yield
        return
    try:
        if not take(descriptor):
            busy = f"another run measures on this machine{owner(path)}"
            if when_busy == "fail":
                raise Busy(f"{busy}, and both would be spoilt; --when-busy wait waits for it")
            say(f"{busy}: waiting until it has ended")
            while not take(descriptor):
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int | None:
    """Open or create the file, which other users' runs share and may own; a link is not followed. None where that is
    impossible."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | FLAGS
    with suppress(OSError):
        return os.open(path, flags)
    with suppress(OSError):
        descriptor = os.open(path, flags | os.O_CREAT, MODE)
        with suppress(OSError):
            os.fchmod(descriptor, MODE)  # despite the umask, since all users share it
        return descriptor
    return None


def _folder(process: str) -> str:
    with suppress(OSError):
        return f" in {Path(f'/proc/{process}/cwd').readlink()}"
    return ""
