"""Hostile contenders beside NumPy, many in one run: none may disturb another, nor the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checks
from .checks import Case, Problem
from .contender import MOMENTS
from .kinds import KINDS
from .runs import Place

SECONDS_A_CASE = 30.0
"""A guard against hanging, and no more."""
LIMITS = ("--memory-limit", "1GB")
PATIENT = ("--cell-timeout", "30")


def cases(kinds: Sequence[str] = (), moments: Sequence[str] = MOMENTS) -> list[Case]:
    """All of them, or those of some kinds and moments."""
    return [Case(kind, moment) for moment in moments for kind in kinds or KINDS]


def packed(chosen: Sequence[Case], size: int) -> list[list[Case]]:
    """Cases of one moment go together, at most so many, those that hang apart from those that do not."""
    packs = []
    for moment in MOMENTS:
        for hangs in (True, False):
            cases = [case for case in chosen if case.moment == moment and hanging(case) == hangs]
            packs += [cases[start : start + size] for start in range(0, len(cases), size)]
    return packs


def hanging(case: Case) -> bool:
    """Whether a case may end with its deadline."""
    return "timeout" in KINDS[case.kind].statuses


def problems_of(folder: Path, pack: Sequence[Case]) -> list[Problem]:
    """What does not hold in a run of NumPy and a contender for each case."""
    place = Place(folder)
    implementations = ["numpy"]
    for case in pack:
        call = f"hostile(kinds.KINDS[{case.kind!r}].do, {case.moment!r}, {case.name!r})"
        implementations.append(place.add(case.name, call))
    # What does not hang has time enough to get to its fault on a busy machine.
    options = ("--when-busy", "ignore", *LIMITS, *(() if any(map(hanging, pack)) else PATIENT))
    ended = place.run(implementations, *options, deadline=60.0 + SECONDS_A_CASE * len(pack))
    where = f"{pack[0].moment}: {pack[0].kind} … {pack[-1].kind}"
    found = checks.of_process(ended, place, where) + checks.of_logs(place, where)
    found += checks.of_rows(place, implementations, where) + checks.of_unharmed(place, where)
    if ended.code not in (None, 0, 1):
        found.append(Problem(checks.OTHERS, where, f"exit code {ended.code}: {ended.output[-1500:]}"))
    for case in pack:
        found += checks.of_case(place, case, KINDS[case.kind])
    return found
