"""Base against head, measured in the same passes: what became of each cell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from bench.analyse.estimates.statistics import UNKNOWN, Estimate, confidence_after, estimate, floor, paired
from bench.analyse.run import tables
from bench.analyse.run.suspicion import SUSPECT
from bench.analyse.run.tables import CellRecords
from bench.measure.records import PassChosen, Record
from bench.plan.cells import Cell
from bench.plan.plain import from_plain
from bench.plan.plan import Plan
from bench.plan.sides import BASE, HEAD, off
from bench.plan.units import change_with_interval

from .changes import ABSENT, Change, Held, judge, pool


def changes(records: Sequence[Record]) -> list[Change]:
    """Of every cell of either side, in the plan's order, judged together. One that is `slower` in the passes that
    were planned, and was then measured afresh to confirm it, is so only if the fresh passes alone say so too."""
    plan = from_plain(tables.started(records).plan)
    afresh = confirming(records)
    first = judge(pool(_changes(records, plan, lambda pass_number: pass_number not in afresh)), plan.min_effect_of)
    suspected = {change.cell for change in first if change.verdict == "slower"}
    if not afresh or not suspected:
        return first
    fresh = pool(_changes(records, plan, lambda pass_number: pass_number in afresh))
    again = judge([change for change in fresh if change.cell in suspected], plan.min_effect_of)
    found = {change.cell: change for change in again}
    return [_confirmed(change, found.get(change.cell)) for change in first]


def suspects(records: Sequence[Record]) -> set[str]:
    """The keys, of both sides, of cells that head seems to be slower in."""
    return _keys(records, [change for change in changes(records) if change.verdict == "slower"])


def undecided(records: Sequence[Record]) -> set[str]:
    """The keys, of both sides, of cells whose change is `unclear` and not known precisely enough."""
    precision = from_plain(tables.started(records).plan).precision
    open_still = [
        change
        for change in changes(records)
        if change.verdict == "unclear" and change.ratio.passes and change.ratio.half_width > precision
    ]
    return _keys(records, open_still)


def confirming(records: Sequence[Record]) -> set[int]:
    """The passes that were made to confirm what earlier ones showed."""
    return {record.pass_number for record in records if isinstance(record, PassChosen) and record.confirming}


def _keys(records: Sequence[Record], some: Collection[Change]) -> set[str]:
    cells = {change.cell for change in some}
    return {cell.key for cell in from_plain(tables.started(records).plan).cells if off(cell) in cells}


def _confirmed(change: Change, again: Change | None) -> Change:
    """What fresh passes make of one that was slower."""
    if again is None:
        return change
    passes = again.ratio.passes
    ratio = change_with_interval(*again.ratio.with_bounds)
    outcome = f"{again.verdict}, {ratio}, in {passes} fresh pass{'' if passes == 1 else 'es'}"
    if again.verdict == "slower":
        return replace(change, reason=f"again {outcome}")
    return replace(change, verdict="unclear", reason=f"slower at first, but {outcome}")


def _changes(records: Sequence[Record], plan: Plan, counted: Callable[[int], bool]) -> list[Change]:
    impossible = tables.suspects(records)
    held: dict[Cell, dict[str, CellRecords]] = {}
    for one in tables.by_cell(records).values():
        held.setdefault(off(one.cell), {})[one.cell.contender.variant] = _only(one, counted)
    return [_change(cell, sides.get(BASE), sides.get(HEAD), plan, impossible) for cell, sides in held.items()]


def _only(held: CellRecords, counted: Callable[[int], bool]) -> CellRecords:
    return replace(held, blocks=[block for block in held.blocks if counted(block.pass_number)])


def _change(
    cell: Cell, base: CellRecords | None, head: CellRecords | None, plan: Plan, impossible: Mapping[str, str]
) -> Change:
    change = Change(cell, _held(base, plan, impossible), _held(head, plan, impossible))
    if not base or not head or change.base.status != "ok" or change.head.status != "ok":
        return change
    before, after = _floors(base), _floors(head)
    shared = [after[pass_number] / before[pass_number] for pass_number in after if pass_number in before]
    confidence = confidence_after(len(shared), plan.adaptive)
    ratio = estimate(shared, confidence=confidence) if shared else UNKNOWN
    typical = paired(head.per_block(), base.per_block(), plan.adaptive)
    return replace(change, ratio=ratio, typical=typical)


def _held(held: CellRecords | None, plan: Plan, impossible: Mapping[str, str]) -> Held:
    if held is None:
        return ABSENT
    if held.failed:
        return Held(held.failed.status, held.failed.reason)
    if not held.blocks:
        return Held("not_run", "the run ended before its first block")
    if held.cell.key in impossible:
        return Held(SUSPECT, impossible[held.cell.key])
    return Held("ok", "", _of(_floors(held), plan), _of(_typicals(held), plan))


def _of(per_pass: dict[int, float], plan: Plan) -> Estimate:
    return estimate([*per_pass.values()], confidence=confidence_after(len(per_pass), plan.adaptive))


def _floors(held: CellRecords) -> dict[int, float]:
    return {pass_number: floor(samples) for pass_number, samples in held.per_pass().items()}


def _typicals(held: CellRecords) -> dict[int, float]:
    return {pass_number: tables.typical(samples) for pass_number, samples in held.per_pass().items()}
