"""Compare a run's cells with each other: speed-ups over the baseline, verdicts, ranks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import UNKNOWN, Blocks, Estimate, verdicts
from bench.plan.looks import Spending

from . import ranking
from .comparable import Terms, baseline_of
from .measured import MeasuredCell
from .recorded import CellRecords

ITSELF = Estimate(1.0, 1.0, 1.0, 0)


@dataclass(frozen=True)
class Speedup:
    """The ratio of the baseline to a cell. The verdict is None for a baseline, and where no pass has both cells."""

    ratio: Estimate
    verdict: str | None


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
    cells: Sequence[MeasuredCell],
    bases: Mapping[str, MeasuredCell],
    spending: Spending,
    of_blocks: Callable[[CellRecords], Blocks],
) -> dict[str, Speedup]:
    """Return the speed-ups over the baseline, by key: from the passes and rounds that have both, paired within rounds,
    with their variances pooled and their verdicts judged together. `of_blocks` has the typical times of a cell's
    blocks, which show which contender is faster, or their floors, which show what changed."""
    based = [(cell, bases[cell.key]) for cell in cells if cell.key in bases]
    others = [(cell, base) for cell, base in based if cell is not base]
    ratios = pooled(paired([(of_blocks(base.records), of_blocks(cell.records)) for cell, base in others], spending))
    judged = zip(ratios, verdicts(ratios, [cell.min_effect for cell, _ in others]), strict=True)
    own = {cell.key: Speedup(ITSELF, None) for cell, base in based if cell is base}
    compared = [Speedup(ratio, verdict) if ratio.passes else Speedup(UNKNOWN, None) for ratio, verdict in judged]
    return own | {cell.key: speedup for (cell, _), speedup in zip(others, compared, strict=True)}


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
        if speedup.verdict == "unclear" and not ranking.is_precise(speedup.ratio, times, precision):
            keys |= {key, base.key}
    return keys
