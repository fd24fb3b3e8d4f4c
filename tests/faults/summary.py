"""The counts that the suite prints at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .checks import COUNTED, Case, Problem
from .contender import MOMENTS

LEAST_KINDS = 40


@dataclass
class Tally:
    """The faults and kills that happened, and the problems found."""

    cases: list[Case] = field(default_factory=list)
    kills: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, tally: Tally) -> None:
        self.cases += tally.cases
        self.kills += tally.kills
        self.problems += tally.problems
        self.notes += tally.notes


def complete_kinds(cases: Sequence[Case]) -> int:
    """Return the number of kinds that were tried at every moment."""
    moments_by_kind: dict[str, set[str]] = {}
    for case in cases:
        moments_by_kind.setdefault(case.kind, set()).add(case.moment)
    return sum(moments == set(MOMENTS) for moments in moments_by_kind.values())


def lines(tally: Tally) -> list[str]:
    """Return lines with each problem, and with the counts below them."""
    counts = Counter(problem.count for problem in tally.problems)
    kinds = complete_kinds(tally.cases)
    table = [
        f"fault kinds tried: {kinds} kinds × {len(MOMENTS)} moments, {len(tally.cases)} cases that happened",
        f"kills of a run at random moments, each resumed: {tally.kills}",
        *(f"{count}: {counts[count]}" for count in COUNTED),
        *tally.notes,
    ]
    return [*map(str, tally.problems), "", *table]


def complaints(tally: Tally, kills: int, all_kinds: bool) -> list[str]:
    """Return why the suite fails, empty where it passes. Kinds are counted only where `all_kinds` were requested."""
    complaints = [f"{len(tally.problems)} checks failed"] if tally.problems else []
    if all_kinds and complete_kinds(tally.cases) < LEAST_KINDS:
        complaints.append(f"fewer than {LEAST_KINDS} kinds were tried at every moment")
    if tally.kills < kills:
        complaints.append(f"{tally.kills} of {kills} kills came before the end of their run")
    return complaints
