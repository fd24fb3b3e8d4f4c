"""Rank contenders that were timed in turns; ties share their ranks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import MIN_EFFECT, Blocks, Estimate, verdicts
from bench.plan.looks import Spending

from .comparable import Terms, are_comparable


class Precision(Protocol):
    """What is known to within an interval."""

    @property
    def half_width(self) -> float:
        """Half the width of its interval, as a fraction."""


@dataclass(frozen=True)
class Timed:
    """The times of a cell, and what they can be compared with."""

    key: str
    terms: Terms
    blocks: Blocks
    half_width: float
    """Half the width of the time's interval, as a fraction."""
    min_effect: float = MIN_EFFECT
    """The relative difference too small to matter; two cells are compared by the larger of theirs."""
    turns: Hashable = None
    """The group of cells that were timed in turns; only cells of the same group are ranked."""


@dataclass(frozen=True)
class Pair:
    """The comparison of two cells. `verdict` is that of the first against the second."""

    first: Timed
    second: Timed
    ratio: Estimate
    """How many times faster the first is."""
    verdict: str


def compare(timed: Sequence[Timed], spending: Spending = Spending.WHOLE) -> list[Pair]:
    """Compare every two comparable cells that were timed in turns, with their variances pooled and false-discovery
    control over all of them."""
    groups = defaultdict(list)
    for cell in timed:
        groups[cell.turns, cell.terms.likeness].append(cell)
    pairs = [pair for group in groups.values() for pair in combinations(group, 2)]
    pairs = [(first, second) for first, second in pairs if are_comparable(first.terms, second.terms)]
    ratios = pooled(paired([(second.blocks, first.blocks) for first, second in pairs], spending))
    judged = verdicts(ratios, [max(first.min_effect, second.min_effect) for first, second in pairs])
    return [Pair(*pair, ratio, verdict) for pair, ratio, verdict in zip(pairs, ratios, judged, strict=True)]


def ranks(timed: Sequence[Timed], pairs: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    """Return the best and the worst rank of each cell that the verdicts leave open, by key.

    The best is one more than the number of faster cells; the worst is the number of cells that are not slower, itself
    included (in the manner of Mogstad et al. 2024). Cells whose ranks overlap are ties.
    """
    best = {cell.key: 1 for cell in timed}
    worst = {cell.key: 1 for cell in timed}
    for pair in pairs:
        best[pair.first.key] += pair.verdict == "slower"
        best[pair.second.key] += pair.verdict == "faster"
        worst[pair.first.key] += pair.verdict != "faster"
        worst[pair.second.key] += pair.verdict != "slower"
    return {key: (best[key], worst[key]) for key in best}


def undecided(pairs: Sequence[Pair], precision: float) -> set[str]:
    """Return the keys of cells in pairs that are `unclear` and not precise enough, by their ratio or by both times."""
    return {
        cell.key
        for pair in pairs
        if pair.verdict == "unclear" and not is_precise(pair.ratio, (pair.first, pair.second), precision)
        for cell in (pair.first, pair.second)
    }


def is_precise(ratio: Estimate, times: Iterable[Precision], precision: float) -> bool:
    """Tell whether half the interval of a ratio, or of both of its times, is at most `precision`, a fraction. How much
    faster one is, or how long they take, is an answer then, though it may lie at the edge of what matters."""
    return min(ratio.half_width, max(time.half_width for time in times)) <= precision
