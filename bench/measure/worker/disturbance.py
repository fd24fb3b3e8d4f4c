"""What the rest of the machine took from this process: waiting for a processor, steal, involuntary switches.

The scheduler counts in nanoseconds how long each thread was ready and had no processor (`schedstat`, Linux), which is
what other processes cost this one. The busy time of `/proc/stat` is coarser: it advances by ticks of 4 to 10 ms, and a
block lasts about 30 ms. It is read for steal only, of which there is no finer count.
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
"""A file that takes longer to read is not read again: `/proc/stat` does where there are hundreds of processors."""
STEAL = 8
"""The place of steal in a processor's line of `/proc/stat`, in clock ticks (proc_stat(5))."""


@dataclass(frozen=True)
class Reading:
    """Counts since each thread, or the system, started."""

    wall: float
    cpu: float
    switches: int
    waited: dict[str, float] | None
    """Seconds by thread; None where the system does not count them."""
    stolen: float | None
    """Seconds, summed over the processors."""


class Monitor:
    """Reads what the system counts about this process and the processors that it may run on.

    A reading takes about 40 µs with NumPy, 60 with PyTorch and 170 with JAX, by the number of their threads.
    """

    def __init__(self, clocks: Clocks, proc: Path = Path("/proc"), processors: Sequence[int] | None = None) -> None:
        self.clocks, self._own, self._stat = clocks, f"{proc}/self", f"{proc}/stat"
        self.processors = _affinity() if processors is None else processors
        self._reads_steal = bool(self.processors)

    def read(self) -> Reading:
        switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        return Reading(self.clocks.wall(), self.clocks.cpu(), switches, self._waited(), self._stolen())

    def since(self, before: Reading) -> dict[str, float | None]:
        """Fields of a `Block`."""
        after = self.read()
        available = len(self.processors) * (after.wall - before.wall)
        figures: dict[str, float | None] = {
            "processor_seconds": available or None,
            "others_seconds": _others(before, after, available),
            "stolen_seconds": None,
            "switches": after.switches - before.switches,
        }
        if before.stolen is not None and after.stolen is not None:
            figures["stolen_seconds"] = max(0.0, after.stolen - before.stolen)
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

    def _stolen(self) -> float | None:
        if not self._reads_steal:
            return None
        started = time.thread_time()  # not wall time, or a busy machine would switch this off
        try:
            stolen = _steal(_read(self._stat), self.processors)
        except (OSError, ValueError, IndexError, KeyError):
            stolen = None
        self._reads_steal = stolen is not None and time.thread_time() - started < SLOWEST_READING_SECONDS
        return stolen


def _others(before: Reading, after: Reading, available: float) -> float | None:
    """Seconds that this process's threads waited for others'. They also wait for one another; but then they use all
    the processors that they have, so what they left unused bounds it."""
    if before.waited is None or after.waited is None or not available:
        return None
    waited = sum(seconds - before.waited.get(thread, 0.0) for thread, seconds in after.waited.items())
    return max(0.0, min(waited, available - (after.cpu - before.cpu)))


def _steal(text: bytes, processors: Sequence[int]) -> float:
    """Seconds stolen from these processors, by the text of `/proc/stat`."""
    lines = dict(line.split(None, 1) for line in text.splitlines() if line.startswith(b"cpu"))
    ticks = sum(int(lines[f"cpu{number}".encode()].split()[STEAL - 1]) for number in processors)
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def _affinity() -> list[int]:
    """The processors that this process may run on; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _read(path: str) -> bytes:
    """A small file of the kernel's, as quickly as Python can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)
