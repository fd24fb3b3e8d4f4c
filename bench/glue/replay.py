"""Hands a cell's samples to pytest-benchmark, bit for bit."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from bench.plan.cells import PHASES, Cell, Contender, Shape

_CLOCK = pytest.StashKey["ReplayClock"]()
_CELL = pytest.StashKey[Cell]()
MARKS = (
    pytest.mark.benchmark,
    # A cell that failed has no samples to replay, of which pytest-benchmark would otherwise warn.
    pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"),
)
"""The marks that every cell's test shares."""


class ReplayClock:
    """A timer for pytest-benchmark on which each round takes exactly one recorded sample."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._next = 0
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def reset(self) -> None:
        """Go back to 0 before a round, so that the difference of two readings is the sample itself."""
        self._now = 0.0

    def advance(self) -> None:
        """Run a round: let the time of the next sample pass."""
        self._now = self.samples[self._next]
        self._next += 1


@dataclass(frozen=True)
class Outcome:
    """The status of a cell, and what was measured of it."""

    status: str
    reason: str = ""
    samples: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Samples:
    """A cell's outcome, with the clock that replays it."""

    outcome: Outcome
    clock: ReplayClock

    def replay(self, benchmark: Any) -> None:
        """Pass with the samples as the benchmark's rounds, or fail with the outcome's reason."""
        if self.outcome.status != "ok":
            pytest.fail(f"{self.outcome.status}: {self.outcome.reason}", pytrace=False)
        if not self.outcome.samples:
            benchmark.pedantic(lambda: None)  # benchmarks are disabled: called and verified, not timed
            return
        self.clock.samples = list(self.outcome.samples)
        benchmark.extra_info.update(self.outcome.facts)
        benchmark.pedantic(self.clock.advance, setup=self.clock.reset, rounds=len(self.clock.samples))


def cell_of(item: pytest.Item) -> Cell | None:
    """The cell that a test is of, or None."""
    if (known := item.stash.get(_CELL, None)) is not None:
        return known
    callspec = getattr(item, "callspec", None)
    phase = getattr(item, "originalname", "").removeprefix("test_")
    if (
        callspec is None
        or is_phase_without_cells(item)
        or phase not in PHASES
        or "samples" not in getattr(item, "fixturenames", ())
    ):
        return None
    values = callspec.params
    contender = Contender(values["implementation"], values["device"], values["dtype"], values["threads"])
    cell = Cell(contender, Shape(values["N"], values["D_in"], values["H"], values["D_out"]), phase)
    item.stash[_CELL] = cell
    return cell


def is_phase_without_cells(item: pytest.Item) -> bool:
    """Whether pytest made this test only to say that the grid has no cells of its phase."""
    return item.name.endswith("[NOTSET]") and "samples" in getattr(item, "fixturenames", ())


def clock_of(item: pytest.Item) -> ReplayClock | None:
    """The test's own clock, if the test is of a cell."""
    if cell_of(item) is None:
        return None
    return item.stash.setdefault(_CLOCK, ReplayClock())


def give_clock(item: pytest.Item, clock: ReplayClock) -> None:
    """Set a clock as pytest-benchmark's `timer`. Only the closest marker is read, so the one that has options is
    merged."""
    outer = next((marker for marker in item.iter_markers("benchmark") if marker.kwargs), None)
    options = {**(outer.kwargs if outer else {}), "timer": clock}
    item.add_marker(pytest.mark.benchmark(**options), append=False)


def samples_or_skip(item: pytest.Item, outcome: Outcome) -> Samples:
    if outcome.status in ("unavailable", "unsupported"):
        pytest.skip(f"{outcome.status}: {outcome.reason}")
    return Samples(outcome, item.stash[_CLOCK])


def marks_of(cell: Cell) -> list[str]:
    """The marks by which `-m` can select a cell: phase, implementation, kind of device, dtype."""
    contender = cell.contender
    names = (cell.phase, contender.implementation, contender.device.partition(":")[0], contender.dtype)
    return [_mark_name(name) for name in names]


@cache
def _mark_name(name: str) -> str:
    return re.sub(r"\W", "_", name)
