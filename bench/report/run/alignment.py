"""What is said of contenders whose time depends on where their weights begin in memory."""

from __future__ import annotations

from bench.analyse.run import alignment
from bench.analyse.run.alignment import Alignment
from bench.analyse.run.run import Run
from bench.plan.units import duration

from .rows import contender_names, shape_name

BOUNDARY = "on a 64-byte boundary"


def lines(run: Run) -> list[str]:
    """A line for each contender, with the cell in which it matters most."""
    names = dict(zip(run.cells, contender_names(run.timings), strict=True))
    groups: dict[str, list[Alignment]] = {}
    for found in alignment.of_run(run):
        groups.setdefault(names[found.cell.key], []).append(found)
    return [_line(name, cells) for name, cells in groups.items()]


def _line(name: str, cells: list[Alignment]) -> str:
    most = max(cells, key=lambda found: max(found.seconds, found.elsewhere) / min(found.seconds, found.elsewhere))
    where = f"{most.offset} bytes past a 64-byte boundary" if most.offset else BOUNDARY
    others = f", and in {len(cells) - 1} more cells" if len(cells) > 1 else ""
    return (
        f"{name}: its time depends on where its weights begin in memory: {most.cell.phase} at "
        f"{shape_name(most.cell.shape)} takes {duration(most.seconds)} {where} and {duration(most.elsewhere)} "
        f"elsewhere{others}; every contender visits each place equally often"
    )
