"""Compare base with head, measured in the same passes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.statistics import Estimate, confidence_after, estimate
from bench.analyse.run.columns import SUSPECT
from bench.analyse.run.recorded import CellRecords
from bench.analyse.run.run import Run
from bench.measure.records import PassChosen
from bench.plan import looks
from bench.plan.cells import Cell
from bench.plan.looks import Spending
from bench.plan.sides import BASE, HEAD, off
from bench.plan.units import change_with_interval

from .changes import ABSENT, Change, SideOutcome, judge, pool


def changes(run: Run, spending: Spending | None = None) -> list[Change]:
    """Return the change of every cell of either side, in the plan's order, judged together; by default with the run's
    own spending.

    A cell that is `slower` in the planned passes, and was then measured again to confirm it, stays so only if it is
    `slower` in the confirming passes alone too."""
    confirming_passes, min_effect_of, spending = confirming(run), run.plan.min_effect_of, spending or run.spending
    first = pool(_changes(run, spending, lambda pass_number: pass_number not in confirming_passes))
    first = judge(first, min_effect_of)
    suspected = {change.cell for change in first if change.verdict == "slower"}
    if not confirming_passes or not suspected:
        return first
    fresh = pool(_changes(run, spending, lambda pass_number: pass_number in confirming_passes))
    confirmed = judge([change for change in fresh if change.cell in suspected], min_effect_of)
    by_cell = {change.cell: change for change in confirmed}
    return [_confirmed(change, by_cell.get(change.cell)) for change in first]


def suspects(run: Run) -> set[str]:
    """Return the keys, on both sides, of cells in which head seems to be slower, once the planned passes are over: with
    the spending that the run will have when it has ended, so that no cell will be `slower` without being confirmed."""
    ended = looks.of_ended(run.plan.adaptive)
    return _keys(run, [change for change in changes(run, ended) if change.verdict == "slower"])


def undecided(run: Run) -> set[str]:
    """Return the keys, on both sides, of cells whose change is `unclear` and not known precisely enough."""
    unclear = [
        change
        for change in changes(run)
        if change.verdict == "unclear" and change.ratio.passes and change.ratio.half_width > run.plan.precision
    ]
    return _keys(run, unclear)


def confirming(run: Run) -> set[int]:
    """Return the passes that were made to confirm the result of earlier ones."""
    return {record.pass_number for record in run.of_kind(PassChosen) if record.confirming}


def _keys(run: Run, changes: Collection[Change]) -> set[str]:
    cells = {change.cell for change in changes}
    return {cell.key for cell in run.plan.cells if off(cell) in cells}


def _confirmed(change: Change, again: Change | None) -> Change:
    """Return a change that was `slower`, with the verdict that confirming passes allow."""
    if again is None:
        return change
    passes = again.ratio.passes
    ratio = change_with_interval(*again.ratio.with_bounds)
    outcome = f"{again.verdict}, {ratio}, in {passes} fresh pass{'' if passes == 1 else 'es'}"
    if again.verdict == "slower":
        return replace(change, reason=f"again {outcome}")
    return replace(change, verdict="unclear", reason=f"slower at first, but {outcome}")


def _changes(run: Run, spending: Spending, is_counted: Callable[[int], bool]) -> list[Change]:
    by_side: dict[Cell, dict[str, CellRecords]] = {}
    for records in run.cells.values():
        by_side.setdefault(off(records.cell), {})[records.cell.contender.variant] = records.of_passes(is_counted)
    suspects = run.suspects
    changes = {
        cell: Change(cell, _outcome(sides.get(BASE), spending, suspects), _outcome(sides.get(HEAD), spending, suspects))
        for cell, sides in by_side.items()
    }
    timed = [cell for cell, change in changes.items() if change.base.status == change.head.status == "ok"]
    both = [(by_side[cell][HEAD], by_side[cell][BASE]) for cell in timed]
    ratios = paired([(head.block_floors, base.block_floors) for head, base in both], spending)
    typicals = paired([(head.block_typicals, base.block_typicals) for head, base in both], spending)
    for cell, ratio, typical in zip(timed, ratios, typicals, strict=True):
        changes[cell] = replace(changes[cell], ratio=ratio, typical=typical)
    return [*changes.values()]


def _outcome(records: CellRecords | None, spending: Spending, suspects: Mapping[str, str]) -> SideOutcome:
    if records is None:
        return ABSENT
    if records.status != "ok":
        return SideOutcome(records.status, records.untimed_reason)
    if records.cell.key in suspects:
        return SideOutcome(SUSPECT, suspects[records.cell.key])
    return SideOutcome("ok", "", _estimate(records.floors, spending), _estimate(records.typicals, spending))


def _estimate(seconds: Mapping[int, float], spending: Spending) -> Estimate:
    return estimate([*seconds.values()], confidence=confidence_after(len(seconds), spending))
