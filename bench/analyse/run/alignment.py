"""Whether a cell's time depends on where its weights begin in a cache line, and by how much.

NumPy's step took 260 or 350 µs on two threads of a processor with AVX-512 by that alone. Rounds visit every quarter of
a line equally often, so that times and ratios do not depend on which of them an allocator happened to give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analyse.estimates.statistics import Estimate, estimate, typical, verdicts
from bench.measure.worker.layout import ALLOCATION_BYTES
from bench.plan.cells import Cell

from .measured import MeasuredCell
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
    compared = [each for cell in run.measured if cell.is_timed for each in _of_cell(cell)]
    judged = verdicts([each.ratio for each in compared], [each.cell.min_effect for each in compared])
    by_cell: dict[Cell, list[_Compared]] = defaultdict(list)
    for each, verdict in zip(compared, judged, strict=True):
        if verdict in ("faster", "slower"):
            by_cell[each.cell.cell].append(each)
    return [_alignment(max(several, key=lambda each: abs(np.log(each.ratio.value)))) for several in by_cell.values()]


@dataclass(frozen=True)
class _Compared:
    """One quarter of a cell against the others."""

    cell: MeasuredCell
    quarter: int
    passes: Sequence[tuple[Sequence[float], Sequence[float]]]
    """The typical seconds of the blocks there, and elsewhere, of each pass that has both."""
    ratio: Estimate


def _of_cell(cell: MeasuredCell) -> list[_Compared]:
    by_pass: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for block in cell.records.blocks:
        if block.alignment is not None:
            by_pass[block.pass_number][block.alignment].append(typical(block.seconds))
    compared = []
    for quarter in sorted({quarter for blocks in by_pass.values() for quarter in blocks}):
        passes = [
            (blocks[quarter], [seconds for other, all_of in blocks.items() if other != quarter for seconds in all_of])
            for blocks in by_pass.values()
            if quarter in blocks and len(blocks) > 1
        ]
        if passes:
            ratio = estimate([typical(there) / typical(elsewhere) for there, elsewhere in passes])
            compared.append(_Compared(cell, quarter, passes, ratio))
    return compared


def _alignment(compared: _Compared) -> Alignment:
    there, elsewhere = (
        typical([seconds for of_pass in compared.passes for seconds in of_pass[index]]) for index in (0, 1)
    )
    offset = compared.quarter * ALLOCATION_BYTES
    return Alignment(compared.cell.cell, offset, there, elsewhere, compared.ratio)
