"""Compare the styles of a backend with its plain implementation: what each way of writing it buys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.analyse.estimates.statistics import Estimate
from bench.plan.cells import Cell

from .measured import MeasuredCell
from .run import Run

PHASES = ("step", "train")
"""The phases that a style is made for: those apart cannot be fused."""


OPPOSITE = {"faster": "slower", "slower": "faster"}


@dataclass(frozen=True)
class Style:
    """A cell of a style, or of the plain implementation that others are styles of."""

    plain: str
    """The plain implementation."""
    measured: MeasuredCell
    ratio: Estimate | None = None
    """The speed-up over the plain implementation; None for itself, and where the two cannot be compared."""
    verdict: str = ""


def of_run(run: Run) -> list[Style]:
    """Return the timed cells of each backend of which the run has a style and the plain implementation, in the plan's
    order. Ratios and verdicts are those of all pairs of the run."""
    plain_of = dict(run.plan.styles)
    timed = {cell.cell: cell for cell in run.measured if cell.is_timed and cell.cell.phase in PHASES}
    plain_cells = {cell: _plain(cell, plain_of) for cell in timed if cell.contender.implementation in plain_of}
    plain_cells = {cell: plain for cell, plain in plain_cells.items() if plain in timed}
    plain_cells |= {plain: plain for plain in plain_cells.values()}
    over = {(pair.first.key, pair.second.key): (pair.ratio, pair.verdict) for pair in run.pairs}
    over |= {
        (pair.second.key, pair.first.key): (pair.ratio.inverse, OPPOSITE.get(pair.verdict, pair.verdict))
        for pair in run.pairs
    }
    return [
        Style(plain.contender.implementation, timed[cell], *over.get((cell.key, plain.key), (None, "")))
        for cell in timed
        if (plain := plain_cells.get(cell))
    ]


def _plain(cell: Cell, plain_of: Mapping[str, str]) -> Cell:
    return replace(cell, contender=replace(cell.contender, implementation=plain_of[cell.contender.implementation]))
