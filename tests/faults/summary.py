"""The counts that the suite ends with, all of what its checks have seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .checks import COUNTED, Case, Problem
from .contender import MOMENTS

LEAST_KINDS = 40


@dataclass
class Seen:
    """What was tried and did happen, and what did not hold."""

    cases: list[Case] = field(default_factory=list)
    kills: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        self.cases += other.cases
        self.kills += other.kills
        self.problems += other.problems
        self.notes += other.notes


def whole_kinds(cases: Sequence[Case]) -> int:
    """How many kinds were tried at every moment."""
    moments: dict[str, set[str]] = {}
    for case in cases:
        moments.setdefault(case.kind, set()).add(case.moment)
    return sum(seen == set(MOMENTS) for seen in moments.values())


def lines(seen: Seen) -> list[str]:
    """The counts in words, below each what was seen."""
    counts = Counter(problem.count for problem in seen.problems)
    kinds = whole_kinds(seen.cases)
    table = [
        f"fault kinds tried: {kinds} kinds × {len(MOMENTS)} moments, {len(seen.cases)} cases that happened",
        f"kills of a run at random moments, each resumed: {seen.kills}",
        *(f"{count}: {counts[count]}" for count in COUNTED),
        *seen.notes,
    ]
    return [*map(str, seen.problems), "", *table]


def complaints(seen: Seen, kills: int, whole: bool) -> list[str]:
    """Why the suite fails; empty where it passes. Kinds are counted where the `whole` suite was asked for."""
    found = [f"{len(seen.problems)} checks failed"] if seen.problems else []
    if whole and whole_kinds(seen.cases) < LEAST_KINDS:
        found.append(f"fewer than {LEAST_KINDS} kinds were tried at every moment")
    if seen.kills < kills:
        found.append(f"{seen.kills} of {kills} kills came before the end of their run")
    return found
