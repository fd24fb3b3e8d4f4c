"""A run against an earlier one: their processes have nothing to do with each other, and are compared unpaired."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan

from bench.analyse.estimates.statistics import MIN_EFFECT, UNKNOWN, Estimate, estimate, unpaired
from bench.plan.cells import Cell

from .changes import ABSENT, Change, SideOutcome, judge, pool
from .sides import CellSide, RunSide, matched


def compare(base: RunSide, head: RunSide, min_effect: float | Callable[[Cell], float] = MIN_EFFECT) -> list[Change]:
    """What became of each cell of either run, in base's order and then head's, judged together.

    `min_effect` is the fraction too small to matter, for all or by cell.
    """
    return judge(pool(changes(base, head)), min_effect)


def changes(base: RunSide, head: RunSide) -> list[Change]:
    """The same, of which each ratio is known by its own cell alone, before they are judged."""
    return [_change(base, head, *pair) for pair in matched(base, head)]


def _change(base: RunSide, head: RunSide, before: CellSide | None, after: CellSide | None) -> Change:
    cell = (before or after).cell  # type: ignore[union-attr]
    change = Change(cell, _outcome(base, before), _outcome(head, after))
    if not before or not after or not before.floors or not after.floors:
        return change
    # The stricter side's: at 95 % only 87 % have the truth where both sides stopped once they were precise enough.
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
    """Of floors over what their machines could have taken at least, from the passes that have both."""
    over = [{p: side.floors[p] / side.limits[p] for p in side.floors if p in side.limits} for side in (before, after)]
    if all(over):
        return _ratio(over[0], over[1], confidence)
    # Without its passes, what of a limit is left cannot tell how sure it is.
    ratio = _ratio(before.floors, after.floors, confidence).value * before.limit / after.limit
    return Estimate(ratio, nan, nan, min(len(before.floors), len(after.floors))) if ratio > 0 else UNKNOWN


def _outcome(run: RunSide, side: CellSide | None) -> SideOutcome:
    if side is None:
        return ABSENT
    floors, typicals = (
        estimate([*values.values()], confidence=run.confidence(len(values))) for values in (side.floors, side.typicals)
    )
    return SideOutcome(side.status, side.reason, floors, typicals)
