"""How often a run of many cells finds the slowdown of one, simulated from the calibration of a single cell.

Verdicts share a false-discovery rate and pool their variances, so that what a run resolves depends on its number of
cells. A simulated run has one slowed cell and cells that did not change, each of which is a random set of passes of any
of the calibration's variants, with its slowdown taken out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import Estimate, confidence_after, estimate, verdicts
from bench.plan import looks

FAMILIES = (1, 10, 40, 100)
"""The numbers of cells in a run that are tried."""
TRIALS = 100
MOST_PASSES = 27
"""The passes at which adaptive runs end at the latest."""
UNCHANGED = 300
"""The number of unchanged cells from which each run draws its own."""


@dataclass(frozen=True)
class Series:
    """The logs of slowed over reference of one slowdown (passes,), and their standard errors (passes,)."""

    slowdown: float
    logs: np.ndarray
    errors: np.ndarray

    def estimate(self, passes: np.ndarray, confidence: float, removed: float = 0.0) -> Estimate:
        """Return reference over slowed from some of the passes, after `removed` was taken out of their logs."""
        return estimate(np.exp(removed - self.logs[passes]), self.errors[passes], confidence)


@dataclass(frozen=True)
class Trial:
    """The result of one simulated run."""

    verdict: str
    """The slowed cell's verdict."""
    covered: bool
    """Whether the slowed cell's interval contains its slowdown."""
    passes: int
    false_alarms: float
    """The share of the other cells that were called faster or slower."""


def trials(
    series: Sequence[Series], slowed: Series, cells: int, passes: int | None, seed: int = 0, count: int = TRIALS
) -> list[Trial]:
    """Simulate `count` runs; without `passes`, adaptive ones, which end once the slowed cell's verdict is clear."""
    draw = np.random.default_rng(seed)
    visits = {passes: looks.Spending.WHOLE} if passes else dict(looks.spendings(_looks(len(slowed.logs))))
    confidences = {visit: confidence_after(visit, spending) for visit, spending in visits.items()}
    unchanged = {visit: _unchanged(series, visit, confidences[visit], draw) for visit in visits} if cells > 1 else {}
    return [_trial(slowed, unchanged, cells, confidences, draw) for _ in range(count)]


def _trial(
    slowed: Series,
    unchanged: Mapping[int, Sequence[Estimate]],
    cells: int,
    confidences: Mapping[int, float],
    draw: np.random.Generator,
) -> Trial:
    order = draw.permutation(len(slowed.logs))
    for passes, confidence in confidences.items():
        own = slowed.estimate(order[:passes], confidence)
        others = [unchanged[passes][index] for index in draw.integers(UNCHANGED, size=cells - 1)]
        estimates = pooled([own, *others])
        verdict, *rest = verdicts(estimates)
        if verdict != "unclear":
            break
    covered = estimates[0].low <= 1 / (1 + slowed.slowdown) <= estimates[0].high
    false = [each in ("faster", "slower") for each in rest]
    return Trial(verdict, bool(covered), passes, float(np.mean(false)) if false else 0.0)


def _unchanged(series: Sequence[Series], passes: int, confidence: float, draw: np.random.Generator) -> list[Estimate]:
    return [
        each.estimate(draw.permutation(len(each.logs))[:passes], confidence, removed=float(np.log1p(each.slowdown)))
        for each in (series[index] for index in draw.integers(len(series), size=UNCHANGED))
    ]


def _looks(measured: int) -> list[int]:
    return [passes for passes in range(looks.FIRST, min(MOST_PASSES, measured) + 1) if looks.is_look(passes)]
