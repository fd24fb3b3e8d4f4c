"""Whether a cell's time depends on where its weights begin in a cache line, and by how much.

NumPy's step took 260 or 350 µs on two threads of a processor with AVX-512 by that alone. Rounds visit every quarter of
a line equally often, so that times and ratios do not depend on which of them an allocator happened to give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analyse.estimates.statistics import Estimate, estimate, typical, verdicts
from bench.measure.worker.layout import ALLOCATION_BYTES
from bench.plan.cells import Cell

from .recorded import CellRecords
from .run import Run


@dataclass(frozen=True)
class Alignment:
    """Of a cell, the quarter of a cache line that makes its time stand out most from that in the others."""

    cell: Cell
    offset: int
    """The bytes past a multiple of 64 at which the weights begin there."""
    seconds: float
    """The typical time there, the median of its blocks."""
    elsewhere: float
    """The typical time in the other quarters."""
    ratio: Estimate
    """How many times as long it takes there, paired within passes."""


def of_run(run: Run) -> list[Alignment]:
    """The cells whose time depends on it by more than the smallest effect that matters, under false-discovery control
    over all cells and quarters: of each the quarter that differs most, in the plan's order."""
    compared = [alignment for cell in run.measured if cell.is_timed for alignment in _of_cell(cell.records)]
    judged = verdicts([each.ratio for each in compared], [run.plan.min_effect_of(each.cell) for each in compared])
    by_cell: dict[Cell, list[Alignment]] = defaultdict(list)
    for alignment, verdict in zip(compared, judged, strict=True):
        if verdict in ("faster", "slower"):
            by_cell[alignment.cell].append(alignment)
    return [max(several, key=lambda each: abs(np.log(each.ratio.value))) for several in by_cell.values()]


def _of_cell(records: CellRecords) -> list[Alignment]:
    """Each quarter against the others."""
    by_pass: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for block in records.blocks:
        if block.alignment is not None:
            by_pass[block.pass_number][block.alignment].append(typical(block.seconds))
    quarters = {quarter for blocks in by_pass.values() for quarter in blocks}
    compared = [_compared(records.cell, quarter, [*by_pass.values()]) for quarter in sorted(quarters)]
    return [alignment for alignment in compared if alignment]


def _compared(cell: Cell, quarter: int, passes: Sequence[Mapping[int, Sequence[float]]]) -> Alignment | None:
    """One quarter against the others, from the passes that have both."""
    pairs = [
        (blocks[quarter], [seconds for other, all_of in blocks.items() if other != quarter for seconds in all_of])
        for blocks in passes
        if quarter in blocks and len(blocks) > 1
    ]
    if not pairs:
        return None
    ratio = estimate([typical(there) / typical(elsewhere) for there, elsewhere in pairs])
    there, elsewhere = (typical([seconds for pair in pairs for seconds in pair[index]]) for index in (0, 1))
    return Alignment(cell, quarter * ALLOCATION_BYTES, there, elsewhere, ratio)
