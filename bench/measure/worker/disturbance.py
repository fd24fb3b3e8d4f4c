"""Measure what the rest of the machine took from this process: waits for a processor, steal, involuntary switches.

The scheduler counts in nanoseconds how long each thread was ready and had no processor (`schedstat`, Linux), which is
what other processes cost this one, or its own threads one another. How long its processors were idle, by `/proc/stat`,
tells these two apart, but in units of 10 ms, and a block lasts about 30 ms: only sums over blocks are of use.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .timing import Clocks

NANO = 1e-9
SLOWEST_READING_SECONDS = 1e-3
"""A file that takes longer to read is not read again; `/proc/stat` does with hundreds of processors."""
IDLE, IOWAIT, STEAL = 3, 4, 7
"""Columns in a processor's line of `/proc/stat`, in clock ticks (proc_stat(5))."""


@dataclass(frozen=True)
class Reading:
    """Counts since each thread, or the system, started."""

    wall: float
    cpu: float
    switches: int
    waited: dict[str, float] | None
    """Seconds by thread; None where the system does not count them."""
    idle: float | None
    stolen: float | None
    """Seconds, summed over the processors; None where the system does not count them."""


class Monitor:
    """Reads what the system counts about this process and the processors that it may run on.

    A reading takes about 40 µs with NumPy, 60 with PyTorch and 170 with JAX, by the number of their threads.
    """

    def __init__(self, clocks: Clocks, proc: Path = Path("/proc"), processors: Sequence[int] | None = None) -> None:
        self.clocks, self._own, self._stat = clocks, f"{proc}/self", f"{proc}/stat"
        self.processors = _affinity() if processors is None else processors
        self._reads_processors = bool(self.processors)

    def read(self) -> Reading:
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        return Reading(self.clocks.wall(), self.clocks.cpu(), switches, self._waited(), *self._processors())

    def since(self, before: Reading) -> dict[str, float | None]:
        """Return fields of a `Block` for the time since `before`."""
        after = self.read()
        available = len(self.processors) * (after.wall - before.wall)
        unused = available - (after.cpu - before.cpu)
        idle, stolen = _difference(before.idle, after.idle), _difference(before.stolen, after.stolen)
        if len(self.processors) == 1:
            others: float | None = unused  # never idle while the process waits for it
        else:
            others = None if idle is None or stolen is None else unused - idle - stolen
        figures: dict[str, float | None] = {
            "processor_seconds": available or None,
            "waited_seconds": _waited(before, after, unused),
            "others_seconds": others,
            "stolen_seconds": stolen,
            "switches": after.switches - before.switches,
        }
        return {name: value if value is None else round(value, 6) for name, value in figures.items()}

    def _waited(self) -> dict[str, float] | None:
        waited = {}
        try:
            with os.scandir(f"{self._own}/task") as threads:
                for thread in threads:
                    with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
                        waited[thread.name] = int(_read(f"{thread.path}/schedstat").split()[1]) * NANO
        except (OSError, ValueError, IndexError):
            return None
        return waited or None  # a kernel without these counts

    def _processors(self) -> tuple[float | None, float | None]:
        """Return idle and stolen seconds."""
        if not self._reads_processors:
            return None, None
        started = time.thread_time()  # by wall time, a busy machine would switch this off
        try:
            idle, stolen = _idle_and_stolen(_read(self._stat), self.processors)
        except (OSError, ValueError, IndexError, KeyError):
            self._reads_processors = False
            return None, None
        self._reads_processors = time.thread_time() - started < SLOWEST_READING_SECONDS
        return idle, stolen


def _waited(before: Reading, after: Reading, unused: float) -> float | None:
    """Return the seconds that the process's threads waited, at most what it left unused: threads that keep all of
    their processors busy wait for one another."""
    if before.waited is None or after.waited is None:
        return None
    waited = sum(seconds - before.waited.get(thread, 0.0) for thread, seconds in after.waited.items())
    return max(0.0, min(waited, unused))


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


def _idle_and_stolen(text: bytes, processors: Sequence[int]) -> tuple[float, float]:
    """Return idle and stolen seconds of the processors, by the text of `/proc/stat`."""
    lines = dict(line.split(None, 1) for line in text.splitlines() if line.startswith(b"cpu"))
    ticks = [[int(count) for count in lines[f"cpu{number}".encode()].split()] for number in processors]
    second = float(os.sysconf("SC_CLK_TCK"))
    return sum(row[IDLE] + row[IOWAIT] for row in ticks) / second, sum(row[STEAL] for row in ticks) / second


def _affinity() -> list[int]:
    """Return the processors that this process may run on; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _read(path: str) -> bytes:
    """Read a small file of the kernel's as quickly as Python can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
