"""Base and head: the same cells, measured in the same passes, of other code or under another interpreter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from . import looks
from .cells import Cell, Side
from .plan import Plan

BASE, HEAD = "base", "head"


def joined(base: Plan | None, head: Plan | None, own: Plan | None = None) -> tuple[Plan, tuple[Cell, ...]]:
    """One plan of what either side has, and those of its cells that only base has, which stand last.

    `own` is what head's own tree would have had measured, and is not taken for gone. One of the first two is given.
    """
    plan = head or base
    assert plan
    if head is None:
        return plan, plan.cells
    known = {*head.cells, *(own.cells if own else ())}
    gone = tuple(cell for cell in base.cells if cell not in known) if base else ()
    return replace(head, cells=(*head.cells, *gone)), gone


def doubled(plan: Plan, sides: Sequence[Side], gone: Collection[Cell] = ()) -> Plan:
    """Each cell once for each side that has it, in no fewer passes than can decide; `gone` are those that only
    base has.

    Its ceilings are left out: both sides share the machine and the pass.
    """
    base, head = sides
    only_base = set(gone)
    cells = tuple(
        on(cell, side)
        for cell in plan.cells
        for side in (base, head)
        if has(side, cell) and (side is base or cell not in only_base)
    )
    return replace(plan, cells=cells, sides=(base, head), passes=max(plan.passes, looks.FIRST), ceilings=())


def on(cell: Cell, side: Side) -> Cell:
    """A side's cell."""
    return replace(cell, contender=replace(cell.contender, variant=side.name))


def off(cell: Cell) -> Cell:
    """The cell that either side's is of."""
    return replace(cell, contender=replace(cell.contender, variant=""))


def has(side: Side, cell: Cell) -> bool:
    """Whether a side has a cell's implementation; a class of one's own is taken to be on both."""
    return knows(side, cell.contender.implementation)


def knows(side: Side, name: str) -> bool:
    """Whether a side has an implementation of this name."""
    return ":" in name or name in side.implementations
