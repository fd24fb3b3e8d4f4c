"""Who is faster than whom, of contenders that were timed in turns, and who cannot be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import MIN_EFFECT, Blocks, Estimate, paired, verdicts


@dataclass(frozen=True)
class Timed:
    """A cell that has times."""

    key: str
    group: Hashable
    """Shared by the cells that may be ranked among each other."""
    blocks: Blocks
    half_width: float
    """Of the interval of its time, as a fraction."""
    min_effect: float = MIN_EFFECT
    """The relative difference too small to matter; between two cells, the larger of theirs."""


@dataclass(frozen=True)
class Pair:
    """Two cells of a group. `verdict` is the first's against the second."""

    first: Timed
    second: Timed
    ratio: Estimate
    """How many times faster the first is."""
    verdict: str


def compare(timed: Sequence[Timed], adaptive: bool = False) -> list[Pair]:
    """Every two of each group, with their variances pooled and false-discovery control over all of them."""
    groups = defaultdict(list)
    for one in timed:
        groups[one.group].append(one)
    twos = [two for group in groups.values() for two in combinations(group, 2)]
    ratios = pooled([paired(second.blocks, first.blocks, adaptive) for first, second in twos])
    told = verdicts(ratios, [max(first.min_effect, second.min_effect) for first, second in twos])
    return [Pair(*two, ratio, verdict) for two, ratio, verdict in zip(twos, ratios, told, strict=True)]


def ranks(timed: Sequence[Timed], pairs: Sequence[Pair]) -> dict[str, tuple[int, int]]:
    """By key, the best and the worst rank that the verdicts leave open: one more than there are faster
    ones, and as many as there are that are not slower (in the manner of Mogstad et al. 2024). Cells
    whose ranks overlap cannot be told apart."""
    best = {one.key: 1 for one in timed}
    worst = {one.key: 1 for one in timed}
    for pair in pairs:
        best[pair.first.key] += pair.verdict == "slower"
        best[pair.second.key] += pair.verdict == "faster"
        worst[pair.first.key] += pair.verdict != "faster"
        worst[pair.second.key] += pair.verdict != "slower"
    return {key: (best[key], worst[key]) for key in best}


def undecided(pairs: Sequence[Pair], precision: float) -> set[str]:
    """The keys of cells in pairs that read `unclear`, but for pairs whose times are both precise enough."""
    return {
        one.key
        for pair in pairs
        if pair.verdict == "unclear" and max(pair.first.half_width, pair.second.half_width) > precision
        for one in (pair.first, pair.second)
    }
