"""One plan for two sides, with the cells that either side has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import implementations
from bench.measure import checkout
from bench.measure.client import ROOT
from bench.plan import grid, reading
from bench.plan.cells import Cell, Side
from bench.plan.grid import Grid, PlanError
from bench.plan.plan import Machine, Plan, resolve
from bench.plan.sides import joined, knows

MEANING = ("N", "D_in", "H", "D_out", "combine", "shape", "dtype", "device", "threads", "phase", "implementation")
"""Keys of a grid that say which cells it has, rather than how to measure them."""


def planned(
    wanted: Grid,
    grid_of_side: Callable[[Side], Grid],
    sides: tuple[Side, Side],
    machine: Machine,
    path: Sequence[str],
    seed: int,
    where: Mapping[str, str],
) -> tuple[Plan, tuple[Cell, ...]]:
    """The plan, before it is doubled, and those of its cells that only base has.

    Today's grid, `wanted`, says which cells of head are measured; `grid_of_side(side)` is the same grid in a side's own
    tree. Base is also measured in cells that its grid has and head's has not. Raises PlanError.
    """
    base, head = sides
    known = list(dict.fromkeys([*head.implementations, *base.implementations]))
    for name in () if wanted.implementation == "all" else wanted.implementation:
        if not any(knows(side, name) for side in sides):
            begin = where.get("implementation", f"grid {wanted.name}: implementation")
            raise PlanError(f"{begin}: neither side has {name!r}; there are {', '.join(known)}")

    def plan_of(side: Side, wanted: Grid) -> Plan | None:
        part = _part_of_side(wanted, side, known)
        traits = (implementations.ceilings_of, implementations.style_of)
        return resolve(part, machine, side.implementations, _kinds(side, path), seed, where, *traits) if part else None

    today = plan_of(head, wanted)
    if today is None:
        return joined(plan_of(base, wanted), None)
    earlier = later = None
    with suppress(PlanError):  # a grid that is invalid on this machine was not measured either
        earlier = plan_of(base, grid_of_side(base))
    if head.source != str(ROOT):
        with suppress(PlanError):
            later = plan_of(head, grid_of_side(head))
    plan, gone = joined(earlier, today, later)
    return replace(plan, baseline=wanted.baseline), gone


def grid_of(side: Side, name_or_file: str, wanted: Grid, asked: Mapping[str, object]) -> Grid:
    """Today's grid with the cells that the same grid has in a side's own tree, or unchanged where that tree has none
    that can be read. `asked` are the options that override it."""
    file = checkout.grid_file(side, grid.file_of(name_or_file))
    try:
        of_side = grid.override(
            grid.parse(reading.read_text(file, grid.MOST_BYTES), wanted.name, str(file)), dict(asked), str
        )
    except (OSError, ValueError):
        return wanted
    return replace(wanted, **{key: getattr(of_side, key) for key in MEANING})


def _part_of_side(wanted: Grid, side: Side, known: Sequence[str]) -> Grid | None:
    """The part of a grid whose implementations a side has, or None."""
    is_all = wanted.implementation == "all"
    names = [name for name in (side.implementations if is_all else wanted.implementation) if knows(side, name)]
    if not names:
        return None
    is_lost = wanted.baseline in known and not knows(side, wanted.baseline)
    baseline = names[0] if is_lost else wanted.baseline
    return replace(wanted, implementation="all" if is_all else tuple(names), baseline=baseline)


def _kinds(side: Side, path: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def kinds(name: str) -> tuple[str, ...]:
        try:
            return checkout.device_kinds(side, name, path)
        except (LookupError, SyntaxError):
            if side.source == str(ROOT):
                raise
            return ("cpu",)  # measuring will report what is wrong with that revision's file

    return kinds
