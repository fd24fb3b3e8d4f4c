"""Base and head: the same cells in the same passes, with other code or under another interpreter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from . import looks
from .cells import Cell, Side
from .plan import Plan

BASE, HEAD = "base", "head"


def joined(base: Plan | None, head: Plan | None, own: Plan | None = None) -> tuple[Plan, tuple[Cell, ...]]:
    """Return one plan of the cells of both sides, and those of its cells that only base has, which are its last.

    `own` is the plan that head's own tree makes; its cells do not count as gone. One of the first two is given.
    """
    plan = head or base
    assert plan
    if head is None:
        return plan, plan.cells
    in_head = {*head.cells, *(own.cells if own else ())}
    gone = tuple(cell for cell in base.cells if cell not in in_head) if base else ()
    return replace(head, cells=(*head.cells, *gone)), gone


def doubled(plan: Plan, sides: Sequence[Side], gone: Collection[Cell] = ()) -> Plan:
    """Return the plan with each cell once for each side that has it, in at least as many passes as can decide.

    `gone` are the cells that only base has. Ceilings are left out: both sides share the machine and the pass.
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
    """Return a cell as a side's own."""
    return replace(cell, contender=replace(cell.contender, variant=side.name))


def off(cell: Cell) -> Cell:
    """Return a side's cell without its side."""
    return replace(cell, contender=replace(cell.contender, variant=""))


def has(side: Side, cell: Cell) -> bool:
    """Return whether a side has a cell's implementation; a user's own class counts as being on both."""
    return knows(side, cell.contender.implementation)


def knows(side: Side, name: str) -> bool:
    """Return whether a side has an implementation of this name."""
    return ":" in name or name in side.implementations
