"""What became of each cell between two sides, however their difference was measured."""

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
"""`wrong`: on head. `missing`: a row of one side only, or timed on base only, or one that base lacks what it takes to
run. `fixed`: a row of both, timed on head only. `untimed`: a row of both, timed on neither."""
LACKING = ("unavailable", "unsupported", "not_run")
"""Statuses of cells that were never executed."""
DECIDED = ("slower", "faster", "same")
RATIOS = ("ratio", "typical", "relative")
"""The fields of a change that are estimates of a ratio."""


@dataclass(frozen=True)
class SideOutcome:
    """What became of a cell on one side; times are in seconds."""

    status: str
    reason: str = ""
    floor: Estimate = UNKNOWN
    typical: Estimate = UNKNOWN


ABSENT = SideOutcome("absent")
"""The outcome of a cell that a side has no row of."""


@dataclass(frozen=True)
class Change:
    """A cell and its two sides. Ratios are head over base, above 1 where head is slower; UNKNOWN where untold."""

    cell: Cell
    base: SideOutcome
    head: SideOutcome
    ratio: Estimate = UNKNOWN
    """Of the floors, on which the verdict rests."""
    typical: Estimate = UNKNOWN
    relative: Estimate = UNKNOWN
    """Of the floors, each over the least time that its machine could have taken."""
    verdict: str = ""
    """One of VERDICTS, once it is judged."""
    typical_verdict: str = ""
    relative_verdict: str = ""
    """`slower`, `faster`, `same` or `unclear`; empty where there is nothing to judge."""
    reason: str = ""
    """Of a verdict that the ratio does not explain."""
    min_effect: float = MIN_EFFECT

    @property
    def disagrees(self) -> bool:
        """Whether floor and typical time are both decided, and differently."""
        verdicts = {self.verdict, self.typical_verdict}
        return len(verdicts) > 1 and verdicts <= set(DECIDED)

    @property
    def with_the_machine(self) -> bool:
        """Whether it is slower or faster, but not in relation to what its machine could do."""
        return self.verdict in ("slower", "faster") and self.relative_verdict == "same"


def pool(changes: Sequence[Change]) -> list[Change]:
    """Each with ratios whose standard errors are drawn towards what is usual among all of them."""
    columns = [pooled([getattr(change, name) for change in changes]) for name in RATIOS]
    return [
        replace(change, ratio=ratio, typical=typical, relative=relative)
        for change, ratio, typical, relative in zip(changes, *columns, strict=True)
    ]


def judge(changes: Sequence[Change], min_effect: float | Callable[[Cell], float] = MIN_EFFECT) -> list[Change]:
    """Each with its verdicts, under false-discovery control over all of them.

    `min_effect` is the fraction too small to matter, for all or by cell. A ratio from fewer than five
    passes is `unclear`.
    """
    asked = [
        replace(change, min_effect=min_effect(change.cell) if callable(min_effect) else min_effect)
        for change in changes
    ]
    outcomes = [_without_ratio(change) for change in asked]
    judged = [*zip(asked, outcomes, strict=True)]
    floors, typicals, relatives = (
        _verdicts([getattr(change, name) if outcome is None else UNKNOWN for change, outcome in judged], asked)
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
        for index, (change, outcome) in enumerate(judged)
    ]


def machine_ratio(changes: Sequence[Change]) -> float:
    """How many times longer head's machine takes at least, the median of the cells that tell; NaN where none does."""
    ratios = [change.ratio.value / change.relative.value for change in changes if isfinite(change.relative.value)]
    return float(median(ratios)) if ratios else nan


def _verdicts(ratios: Sequence[Estimate], changes: Sequence[Change]) -> list[str]:
    """The verdicts of ratios with an interval, judged together; empty for others."""
    known = [index for index, ratio in enumerate(ratios) if isfinite(ratio.low)]
    judged = verdicts([ratios[index].inverse for index in known], [changes[index].min_effect for index in known])
    by_index = dict(zip(known, judged, strict=True))
    return [by_index.get(index, "") for index in range(len(ratios))]


def _without_ratio(change: Change) -> tuple[str, str] | None:
    """The verdict on a cell that no ratio can judge, and why; None where one can."""
    base, head = change.base, change.head
    if head.status == "wrong":
        return "wrong", head.reason
    if base.status == ABSENT.status:
        return "missing", "only in head" + (f", {_in_words(head)}" if head.status != "ok" else "")
    if head.status == ABSENT.status:
        return "missing", "only in base" + (f", {_in_words(base)}" if base.status != "ok" else "")
    if SUSPECT in (base.status, head.status) and {base.status, head.status} <= {SUSPECT, "ok"}:
        side = ("head", head) if head.status == SUSPECT else ("base", base)
        return "unclear", f"in {side[0]} {_in_words(side[1])}"
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
