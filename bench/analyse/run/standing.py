"""Compare a run's cells with each other: speed-ups over the baseline, verdicts, ranks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import UNKNOWN, Estimate, paired, verdicts
from bench.plan.looks import Spending

from . import ranking
from .comparable import Terms, baseline_of
from .measured import MeasuredCell

ITSELF = Estimate(1.0, 1.0, 1.0, 0)


@dataclass(frozen=True)
class Speedup:
    """The ratios of the baseline to a cell, of typical times and of floors. The verdicts are None for a baseline,
    and where no pass has both cells."""

    typical: Estimate
    verdict: str | None
    floor: Estimate
    verdict_floor: str | None


def baselines(cells: Sequence[MeasuredCell], implementation: str) -> dict[str, MeasuredCell]:
    """Return the cell that each timed cell is compared with, by key: a comparable one of the `implementation`, whose
    cells are their own baselines. Cells without a baseline are left out."""
    candidates: dict[tuple[object, ...], list[tuple[Terms, MeasuredCell]]] = defaultdict(list)
    bases: dict[str, MeasuredCell] = {}
    for cell in cells:
        if cell.terms and cell.cell.contender.implementation == implementation:
            candidates[cell.terms.likeness].append((cell.terms, cell))
            bases[cell.key] = cell
    for cell in cells:
        if cell.terms and cell.key not in bases and (base := baseline_of(cell.terms, candidates[cell.terms.likeness])):
            bases[cell.key] = base
    return bases


def speedups(
    cells: Sequence[MeasuredCell], bases: Mapping[str, MeasuredCell], spending: Spending
) -> dict[str, Speedup]:
    """Return the speed-ups over the baseline, by key: paired within rounds, with their variances pooled and their
    verdicts judged together. Typical times show which contender is faster, floors what changed."""
    based = [(cell, bases[cell.key]) for cell in cells if cell.key in bases]
    others = [(cell, base) for cell, base in based if cell is not base]
    typicals = pooled([_typical_ratio(base, cell, spending) for cell, base in others])
    floors = pooled([_floor_ratio(base, cell, spending) for cell, base in others])
    min_effects = [cell.min_effect for cell, _ in others]
    judged = zip(typicals, verdicts(typicals, min_effects), floors, verdicts(floors, min_effects), strict=True)
    own = {cell.key: Speedup(ITSELF, None, ITSELF, None) for cell, base in based if cell is base}
    return own | {cell.key: _speedup(*ratios) for (cell, _), ratios in zip(others, judged, strict=True)}


def _speedup(typical: Estimate, verdict: str, floor: Estimate, verdict_floor: str) -> Speedup:
    """Return a speed-up, without a verdict where no pass has both cells."""
    return Speedup(
        typical if typical.passes else UNKNOWN,
        verdict if typical.passes else None,
        floor if floor.passes else UNKNOWN,
        verdict_floor if floor.passes else None,
    )


def pairs(cells: Sequence[MeasuredCell], spending: Spending) -> list[ranking.Pair]:
    """Return all pairs of cells that can be compared, and which of the two is faster."""
    return ranking.compare(_rankable(cells), spending)


def ranks(cells: Sequence[MeasuredCell], pairs: Sequence[ranking.Pair]) -> dict[str, tuple[int, int]]:
    """Return the best and the worst rank of each cell that can be compared, by key."""
    return ranking.ranks(_rankable(cells), pairs)


def _rankable(cells: Sequence[MeasuredCell]) -> list[ranking.Timed]:
    return [
        ranking.Timed(
            cell.key,
            cell.terms,
            cell.records.block_typicals,
            cell.time.half_width,
            cell.min_effect,
            cell.cell.contender.group,
        )
        for cell in cells
        if cell.terms and cell.terms.kept_to_limit
    ]


def undecided(
    pairs: Sequence[ranking.Pair],
    bases: Mapping[str, MeasuredCell],
    over_baseline: Mapping[str, Speedup],
    cells: Sequence[MeasuredCell],
    precision: float,
) -> set[str]:
    """Return the keys of cells whose comparison with another, or with the baseline, is `unclear` and not precise
    enough, by its ratio or by both times, and of the cells that they are compared with."""
    keys = ranking.undecided(pairs, precision)
    by_key = {cell.key: cell for cell in cells}
    for key, base in bases.items():
        times, speedup = (by_key[key].time, base.time), over_baseline[key]
        if speedup.verdict == "unclear" and not ranking.is_precise(speedup.typical, times, precision):
            keys |= {key, base.key}
    return keys


def _typical_ratio(base: MeasuredCell, cell: MeasuredCell, spending: Spending) -> Estimate:
    """Return how many times faster a cell is than its baseline, from the passes and rounds that have both."""
    return paired(base.records.block_typicals, cell.records.block_typicals, spending)


def _floor_ratio(base: MeasuredCell, cell: MeasuredCell, spending: Spending) -> Estimate:
    """Return how many times smaller a cell's floors are than its baseline's, from the passes and rounds that have
    both."""
    return paired(base.records.block_floors, cell.records.block_floors, spending)
