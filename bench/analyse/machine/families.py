"""How often one cell's slowdown is found in a run of many cells, by a calibration of one.

Verdicts share a false-discovery rate and pool their variances, so that what a run resolves depends on how many cells
it has. A run stands for many that could have been: one slowed cell, and beside it cells that did not change, each of
them a random set of passes of any of the calibration's variants, less what that was slowed by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import Estimate, confidence_after, estimate, verdicts
from bench.plan import looks

FAMILIES = (1, 10, 40, 100)
"""Numbers of cells in a run."""
TRIALS = 100
MOST_PASSES = 27
"""At which the trials of adaptive runs end."""
UNCHANGED = 300
"""Cells that did not change, of which a run has some."""


@dataclass(frozen=True)
class Series:
    """Of one slowdown: the log of slowed over reference in each pass (passes,), and its standard errors (passes,)."""

    slowdown: float
    logs: np.ndarray
    errors: np.ndarray

    def estimate(self, passes: np.ndarray, confidence: float, removed: float = 0.0) -> Estimate:
        """Reference over slowed from some of the passes, after `removed` was taken out of their logs."""
        return estimate(np.exp(removed - self.logs[passes]), self.errors[passes], confidence)


@dataclass(frozen=True)
class Trial:
    """What one run came to."""

    verdict: str
    """Of the slowed cell."""
    covered: bool
    """Whether the slowed cell's interval has its slowdown."""
    passes: int
    false_alarms: float
    """Share of the other cells that were called faster or slower."""


def trials(
    series: Sequence[Series], slowed: Series, cells: int, passes: int | None, seed: int = 0, count: int = TRIALS
) -> list[Trial]:
    """Runs of so many cells and passes; of None passes, adaptive runs, which end once the slowed cell is decided."""
    draw = np.random.default_rng(seed)
    visits = [passes] if passes else [*_looks(len(slowed.logs))]
    adaptive = passes is None
    unchanged = {visit: _unchanged(series, visit, adaptive, draw) for visit in visits} if cells > 1 else {}
    return [_trial(slowed, unchanged, cells, visits, adaptive, draw) for _ in range(count)]


def _trial(
    slowed: Series,
    unchanged: Mapping[int, Sequence[Estimate]],
    cells: int,
    visits: Sequence[int],
    adaptive: bool,
    draw: np.random.Generator,
) -> Trial:
    order = draw.permutation(len(slowed.logs))
    for passes in visits:
        own = slowed.estimate(order[:passes], confidence_after(passes, adaptive))
        others = [unchanged[passes][place] for place in draw.integers(UNCHANGED, size=cells - 1)]
        estimates = pooled([own, *others])
        verdict, *rest = verdicts(estimates)
        if verdict != "unclear":
            break
    covered = estimates[0].low <= 1 / (1 + slowed.slowdown) <= estimates[0].high
    false = [one in ("faster", "slower") for one in rest]
    return Trial(verdict, bool(covered), passes, float(np.mean(false)) if false else 0.0)


def _unchanged(series: Sequence[Series], passes: int, adaptive: bool, draw: np.random.Generator) -> list[Estimate]:
    confidence = confidence_after(passes, adaptive)
    return [
        one.estimate(draw.permutation(len(one.logs))[:passes], confidence, removed=float(np.log1p(one.slowdown)))
        for one in (series[place] for place in draw.integers(len(series), size=UNCHANGED))
    ]


def _looks(measured: int) -> list[int]:
    return [passes for passes in range(looks.FIRST, min(MOST_PASSES, measured) + 1) if looks.is_look(passes)]
