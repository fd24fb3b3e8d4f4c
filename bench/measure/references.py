"""The float64 references that contenders are verified against: each is computed once, by a process that runs NumPy
alone, and stored in a temporary folder from which the contenders' processes read it.

The folder is removed when the run ends: by the run itself, or by the watchdog if the run was killed. Where both are
killed, it is left to the system to remove, as `relubench-references-…` in the folder of temporary files.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from bench.plan import work
from bench.plan.cells import Shape
from bench.plan.plan import Plan
from bench.plan.units import gigabytes

from . import checked, memory, processes
from .client import ProcessWorker, Setting, Worker, WorkerFailed
from .records import Reference

LEAST_PRODUCTS = 1 << 24
"""The least N·D_in·H of a shape whose reference is shared: below, a process of its own takes longer to start than all
contenders take to compute theirs."""
MOST_BYTES = 2 << 30
"""The size of the files that are kept: of a run of many large shapes, the oldest are removed first."""
LEAST_RATE = 1e9
"""Operations per second. A reference that takes longer than by this rate is given up; any processor is faster."""
GRACE_SECONDS = 60.0
"""The time that it may take beside that: to start, and to write its files."""
Open = Callable[[float], Worker]
"""A function that starts a process which computes references, and has so many seconds for its answer."""


@dataclass(frozen=True)
class _Made:
    """What the process answers: digests of the problem, and of each file by its tensor."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    problem: str
    digests: dict[str, str]


@dataclass(frozen=True)
class _Key:
    """What a reference depends on. The precision is that of the nets' products, by which some signs are in doubt."""

    shape: Shape
    dtype: str
    precision: str


@dataclass
class References:
    """Makes references when they are first asked for. Every one that was made, or could not be, goes to `record`."""

    open_process: Open
    record: Callable[[Reference], None]
    now: Callable[[], float] = time.perf_counter
    free_bytes: Callable[[], int] = memory.free_bytes
    _made: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    """The request's part that names each reference; the oldest first."""
    _failed: set[_Key] = field(default_factory=set)
    _folder: Path | None = None

    def of(self, shape: Shape, dtype: str, precision: str) -> dict[str, Any] | None:
        """Return the part of a request that names a reference. None where the contender is to compute its own: for a
        small shape, or because no process could."""
        key = _Key(shape, dtype, precision)
        if shape.N * shape.D_in * shape.H < LEAST_PRODUCTS:
            return None
        if key not in self._made and key not in self._failed:
            self._make(key)
        return self._made.get(key)

    def forget(self, shape: Shape, dtype: str, precision: str) -> None:
        """Remove a reference that was changed after it was written: the next contender will get a new one."""
        self._remove(_Key(shape, dtype, precision))

    def close(self) -> None:
        """Remove all references."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        self._made.clear()

    def _make(self, key: _Key) -> None:
        started, size, reason = self.now(), work.reference_bytes(key.shape), ""
        try:
            self._make_room(key, size)
            self._made[key] = self._computed(key)
        except WorkerFailed as failure:
            reason = f"{failure.status}: {failure.reason}"
        except (OSError, ValueError) as error:  # no space, or an answer that does not fit
            reason = str(error)
        if reason:
            self._failed.add(key)
        wall, shape = self.now() - started, str(key.shape)
        self.record(Reference(shape, key.dtype, key.precision, 0 if reason else size, reason, wall))

    def _make_room(self, key: _Key, size: int) -> None:
        """Remove the oldest references that are too many. Raises WorkerFailed where memory would be too small: a
        temporary folder may be in memory as well."""
        while self._made and sum(work.reference_bytes(made.shape) for made in self._made) + size > MOST_BYTES:
            self._remove(next(iter(self._made)))
        needed = size + work.needed_bytes(key.shape, work.ITEM_BYTES[key.dtype], is_verified=True)
        if needed > (free := self.free_bytes()):
            reason = f"it needs {gigabytes(needed)} at least, and {gigabytes(free)} are free"
            raise WorkerFailed("out_of_memory", reason, alive=False)

    def _computed(self, key: _Key) -> dict[str, Any]:
        """Have a reference computed. Raises WorkerFailed, OSError, ValueError."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="relubench-references-")).absolute()
            processes.remove_in_the_end(self._folder)
        folder = tempfile.mkdtemp(dir=self._folder)
        shape = [key.shape.N, key.shape.D_in, key.shape.H, key.shape.D_out]
        process = self.open_process(GRACE_SECONDS + work.reference_flops(key.shape) / LEAST_RATE)
        try:
            answer = process.ask("make", folder=folder, shape=shape, dtype=key.dtype, precision=key.precision)
            made = checked.record(_Made, answer)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            process.close()
        return {"folder": folder, "problem": made.problem, "digests": made.digests}

    def _remove(self, key: _Key) -> None:
        if made := self._made.pop(key, None):
            shutil.rmtree(made["folder"], ignore_errors=True)


@contextmanager
def shared(plan: Plan, logs: Path, record: Callable[[Reference], None]) -> Iterator[References]:
    """Open the references of a plan's run; what the process that computes them prints goes to a log of its own."""
    threads = max((plan.threads(cell.contender) for cell in plan.cells), default=1)

    def open_process(seconds: float) -> ProcessWorker:
        # It runs while nothing is timed, and has ended before anything is: it may have all threads.
        return ProcessWorker(Setting(None, threads, seconds, logs / "references.log", memory=plan.memory_limit))

    references = References(open_process, record)
    try:
        yield references
    finally:
        references.close()
