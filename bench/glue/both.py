"""One plan of two sides: the cells that either has, though the other may have lost them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from bench.measure import checkout
from bench.measure.client import ROOT
from bench.plan import grid, reading
from bench.plan.cells import Cell, Side
from bench.plan.grid import Grid, PlanError
from bench.plan.plan import Machine, Plan, resolve
from bench.plan.sides import joined, knows

MEANING = ("N", "D_in", "H", "D_out", "combine", "dtype", "device", "threads", "phase", "implementation")
"""Keys of a grid that say which cells there are, rather than how to measure them."""


def planned(
    wanted: Grid,
    theirs: Callable[[Side], Grid],
    sides: tuple[Side, Side],
    machine: Machine,
    path: Sequence[str],
    seed: int,
    where: Mapping[str, str],
) -> tuple[Plan, tuple[Cell, ...]]:
    """The plan, before it is doubled, and those of its cells that only base has.

    Today's grid, `wanted`, says what is measured of head; `theirs(side)` is what the same grid is in a side's own
    tree: what it had there, and head has not, base is still measured in. Raises PlanError.
    """
    base, head = sides
    known = list(dict.fromkeys([*head.implementations, *base.implementations]))
    for name in () if wanted.implementation == "all" else wanted.implementation:
        if not any(knows(side, name) for side in sides):
            begin = where.get("implementation", f"grid {wanted.name}: implementation")
            raise PlanError(f"{begin}: neither side has {name!r}; there are {', '.join(known)}")

    def of(side: Side, asked: Grid) -> Plan | None:
        own = _of_side(asked, side, known)
        return resolve(own, machine, side.implementations, _kinds(side, path), seed, where) if own else None

    today = of(head, wanted)
    if today is None:
        return joined(of(base, wanted), None)
    earlier = later = None
    with suppress(PlanError):  # of a grid that made no sense here, nothing was measured either
        earlier = of(base, theirs(base))
    if head.source != str(ROOT):
        with suppress(PlanError):
            later = of(head, theirs(head))
    plan, gone = joined(earlier, today, later)
    return replace(plan, baseline=wanted.baseline), gone


def grid_of(side: Side, name_or_file: str, wanted: Grid, asked: Mapping[str, object]) -> Grid:
    """What a grid is in a side's own tree, in which cells it means; as it is today where that tree has none that
    can be read. `asked` are the options that override it."""
    there = checkout.grid_file(side, grid.file_of(name_or_file))
    try:
        its = grid.override(
            grid.parse(reading.read_text(there, grid.MOST_BYTES), wanted.name, str(there)), dict(asked), str
        )
    except (OSError, ValueError):
        return wanted
    return replace(wanted, **{key: getattr(its, key) for key in MEANING})


def _of_side(asked: Grid, side: Side, known: Sequence[str]) -> Grid | None:
    """The part of a grid that a side has the implementations of."""
    everyone = asked.implementation == "all"
    names = [name for name in (side.implementations if everyone else asked.implementation) if knows(side, name)]
    if not names:
        return None
    lost = asked.baseline in known and not knows(side, asked.baseline)
    baseline = names[0] if lost else asked.baseline
    return replace(asked, implementation="all" if everyone else tuple(names), baseline=baseline)


def _kinds(side: Side, path: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def kinds(name: str) -> tuple[str, ...]:
        try:
            return checkout.device_kinds(side, name, path)
        except (LookupError, SyntaxError):
            if side.source == str(ROOT):
                raise
            return ("cpu",)  # whatever is wrong with that revision's file, measuring it will tell

    return kinds
