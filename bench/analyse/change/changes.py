"""The change of each cell between two sides, however their difference was measured, and its verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from statistics import median

from bench.analyse.estimates.pooling import pooled
from bench.analyse.estimates.statistics import MIN_EFFECT, UNKNOWN, Estimate, verdicts
from bench.analyse.run.columns import SUSPECT
from bench.plan.cells import Cell
from bench.plan.looks import FIRST as FEWEST

VERDICTS = ("slower", "wrong", "missing", "unclear", "faster", "fixed", "same", "untimed")
"""The verdicts on cells. Of those without a ratio, a `wrong` cell is so on head; a `missing` one is in one side only,
timed on base only, or could not run on base; a `fixed` one is in both and timed on head only; an `untimed` one is in
both and timed on neither."""
LACKING = ("unavailable", "unsupported", "not_run")
"""Statuses of cells that were never executed."""
DECIDED = ("slower", "faster", "same")
RATIOS = ("ratio", "typical", "relative")
"""The fields of a change that are estimates of a ratio."""


@dataclass(frozen=True)
class SideOutcome:
    """The result of a cell on one side; times are in seconds."""

    status: str
    reason: str = ""
    floor: Estimate = UNKNOWN
    typical: Estimate = UNKNOWN


ABSENT = SideOutcome("absent")
"""The outcome of a cell that is not in a side."""


@dataclass(frozen=True)
class Change:
    """A cell and its two sides. Ratios are head over base, above 1 where head is slower, or UNKNOWN."""

    cell: Cell
    base: SideOutcome
    head: SideOutcome
    ratio: Estimate = UNKNOWN
    """The ratio of the floors, which decides the verdict."""
    typical: Estimate = UNKNOWN
    relative: Estimate = UNKNOWN
    """The ratio of the floors, each over the shortest time possible on its machine."""
    verdict: str = ""
    """One of VERDICTS; empty before it is judged."""
    typical_verdict: str = ""
    relative_verdict: str = ""
    """`slower`, `faster`, `same` or `unclear`, like `typical_verdict`; empty where there is no ratio to judge."""
    reason: str = ""
    """The reason of a verdict that does not follow from the ratio."""
    min_effect: float = MIN_EFFECT

    @property
    def disagrees(self) -> bool:
        """Whether the verdicts on floor and typical time are both decided, and differ."""
        verdicts = {self.verdict, self.typical_verdict}
        return len(verdicts) > 1 and verdicts <= set(DECIDED)

    @property
    def with_the_machine(self) -> bool:
        """Whether it is slower or faster, but not relative to the shortest time possible on its machine."""
        return self.verdict in ("slower", "faster") and self.relative_verdict == "same"


def pool(changes: Sequence[Change]) -> list[Change]:
    """Return the changes with ratios whose standard errors are drawn towards the usual one among all of them."""
    columns = [pooled([getattr(change, name) for change in changes]) for name in RATIOS]
    return [
        replace(change, ratio=ratio, typical=typical, relative=relative)
        for change, ratio, typical, relative in zip(changes, *columns, strict=True)
    ]


def judge(changes: Sequence[Change], min_effect: float | Callable[[Cell], float] = MIN_EFFECT) -> list[Change]:
    """Return the changes with their verdicts, under false-discovery control over all of them.

    `min_effect` is the fraction too small to matter, for all or by cell. A ratio from fewer than five
    passes is `unclear`.
    """
    unjudged = [
        replace(change, min_effect=min_effect(change.cell) if callable(min_effect) else min_effect)
        for change in changes
    ]
    outcomes = [_without_ratio(change) for change in unjudged]
    pairs = [*zip(unjudged, outcomes, strict=True)]
    floors, typicals, relatives = (
        _verdicts([getattr(change, name) if outcome is None else UNKNOWN for change, outcome in pairs], unjudged)
        for name in RATIOS
    )
    return [
        replace(
            change,
            verdict=outcome[0] if outcome else floors[index],
            reason=outcome[1] if outcome else "",
            typical_verdict=typicals[index],
            relative_verdict=relatives[index],
        )
        for index, (change, outcome) in enumerate(pairs)
    ]


def machine_ratio(changes: Sequence[Change]) -> float:
    """Return how many times longer head's machine takes: the median of the cells that have `relative`, else NaN."""
    ratios = [change.ratio.value / change.relative.value for change in changes if isfinite(change.relative.value)]
    return float(median(ratios)) if ratios else nan


def _verdicts(ratios: Sequence[Estimate], changes: Sequence[Change]) -> list[str]:
    """Return the verdicts of ratios with an interval, judged together; empty for others."""
    known = [index for index, ratio in enumerate(ratios) if isfinite(ratio.low)]
    judged = verdicts([ratios[index].inverse for index in known], [changes[index].min_effect for index in known])
    by_index = dict(zip(known, judged, strict=True))
    return [by_index.get(index, "") for index in range(len(ratios))]


def _without_ratio(change: Change) -> tuple[str, str] | None:
    """Return the verdict on a cell without a ratio, and the reason; None where it has a ratio."""
    base, head = change.base, change.head
    if head.status == "wrong":
        return "wrong", head.reason
    if base.status == ABSENT.status:
        return "missing", "only in head" + (f", {_in_words(head)}" if head.status != "ok" else "")
    if head.status == ABSENT.status:
        return "missing", "only in base" + (f", {_in_words(base)}" if base.status != "ok" else "")
    if SUSPECT in (base.status, head.status) and {base.status, head.status} <= {SUSPECT, "ok"}:
        side, outcome = ("head", head) if head.status == SUSPECT else ("base", base)
        return "unclear", f"in {side} {_in_words(outcome)}"
    if base.status == head.status == "ok":
        passes = change.ratio.passes
        few = f"{passes} pass{'' if passes == 1 else 'es'}, and fewer than {FEWEST} decide nothing"
        return None if passes >= FEWEST else ("unclear", few)
    if base.status == "ok":
        return "missing", f"in head {_in_words(head)}"
    if head.status == "ok":
        return "missing" if base.status in LACKING else "fixed", f"in base {_in_words(base)}"
    return "untimed", _in_words(head)


def _in_words(outcome: SideOutcome) -> str:
    return f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
