"""Compare a run with an earlier one. Their processes are independent, and are compared unpaired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan

from bench.analyse.estimates.statistics import MIN_EFFECT, UNKNOWN, Estimate, estimate, unpaired
from bench.plan.cells import Cell

from .changes import ABSENT, Change, SideOutcome, judge, pool
from .sides import CellSide, RunSide, matched


def compare(base: RunSide, head: RunSide, min_effect: float | Callable[[Cell], float] = MIN_EFFECT) -> list[Change]:
    """Return the change of each cell of either run, in base's order and then head's, judged together.

    `min_effect` is the fraction too small to matter, for all or by cell.
    """
    return judge(pool(changes(base, head)), min_effect)


def changes(base: RunSide, head: RunSide) -> list[Change]:
    """Return the changes before they are pooled and judged."""
    return [_change(base, head, *pair) for pair in matched(base, head)]


def _change(base: RunSide, head: RunSide, before: CellSide | None, after: CellSide | None) -> Change:
    cell = (before or after).cell  # type: ignore[union-attr]
    change = Change(cell, _outcome(base, before), _outcome(head, after))
    if not before or not after or not before.floors or not after.floors:
        return change
    # The stricter side's: of 95 % intervals only 87 % have the truth if both sides stopped once precise enough.
    confidence = max(base.confidence(len(before.floors)), head.confidence(len(after.floors)))
    return Change(
        cell,
        change.base,
        change.head,
        _ratio(before.floors, after.floors, confidence),
        _ratio(before.typicals, after.typicals, confidence),
        _relative(before, after, confidence),
    )


def _ratio(before: Mapping[int, float], after: Mapping[int, float], confidence: float) -> Estimate:
    return unpaired([*after.values()], [*before.values()], confidence)


def _relative(before: CellSide, after: CellSide, confidence: float) -> Estimate:
    """Return the ratio of floors over the shortest times possible on their machines, from the passes that have both."""
    relative_floors = [
        {p: side.floors[p] / side.limits[p] for p in side.floors if p in side.limits} for side in (before, after)
    ]
    if all(relative_floors):
        return _ratio(relative_floors[0], relative_floors[1], confidence)
    # A limit without its passes has no interval.
    ratio = _ratio(before.floors, after.floors, confidence).value * before.limit / after.limit
    return Estimate(ratio, nan, nan, min(len(before.floors), len(after.floors))) if ratio > 0 else UNKNOWN


def _outcome(run: RunSide, side: CellSide | None) -> SideOutcome:
    if side is None:
        return ABSENT
    floors, typicals = (
        estimate([*values.values()], confidence=run.confidence(len(values))) for values in (side.floors, side.typicals)
    )
    return SideOutcome(side.status, side.reason, floors, typicals)
