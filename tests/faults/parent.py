"""Faults of a run's own process and of the folder that it writes to. A contender causes them at a moment of its life,
or the process itself does while it writes the report (`at_report.py`)."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

RUN = "RELUBENCH_FAULTS_RUN"
"""The variable with the process id of the run."""
MANY = 30


@dataclass(frozen=True)
class ParentKind:
    """A fault of the run's process, and how it is undone before the run is resumed."""

    do: Callable[[], object]
    undo: Callable[[Path], object] = field(default=lambda folder: None)


def _send(*numbers: int) -> Callable[[], None]:
    def send() -> None:
        for number in numbers:
            os.kill(_run_pid(), number)

    return send


def _run_pid() -> int:
    """Return the run's process id: at the report, of this process; else, of this process's parent."""
    return int(os.environ.get(RUN) or os.getppid())


def _results() -> Path:
    return Path(os.environ["RELUBENCH_FAULTS_FIRED"]).parent / "results"


def _limit_files() -> None:
    resource.prlimit(_run_pid(), resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _fill_disk() -> None:
    """Fill the disk of the results: only in a file system that `filesystems.py` has mounted."""
    with (_results() / "filler").open("wb", buffering=0) as filler:
        part = bytes(1 << 12)
        try:
            while True:
                filler.write(part)
        except OSError:
            return


def _move_away() -> None:
    _results().rename(_results().with_name("moved"))


def _move_back(folder: Path) -> None:
    moved = folder / "moved"
    if moved.exists():
        if (folder / "results").exists():
            (folder / "results").rename(folder / "made-anew")
        moved.rename(folder / "results")


KINDS = {
    "gets_sigint": ParentKind(_send(signal.SIGINT)),
    "gets_sigterm": ParentKind(_send(signal.SIGTERM)),
    "gets_sighup": ParentKind(_send(signal.SIGHUP)),
    "gets_many_sigint": ParentKind(_send(*[signal.SIGINT] * MANY)),
    "gets_many_sigterm": ParentKind(_send(*[signal.SIGTERM] * MANY)),
    "gets_many_of_all": ParentKind(_send(*[signal.SIGHUP, signal.SIGINT, signal.SIGTERM] * (MANY // 3))),
    "gets_sigkill": ParentKind(_send(signal.SIGKILL)),
    "may_write_no_file": ParentKind(_limit_files),
    "has_its_results_moved": ParentKind(_move_away, _move_back),
}
ON_OWN_DISK = {
    "has_a_full_disk": ParentKind(_fill_disk, lambda folder: (folder / "results" / "filler").unlink(missing_ok=True))
}
"""The kinds that need a small file system for the results."""
