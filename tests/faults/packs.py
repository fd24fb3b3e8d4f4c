"""Many hostile contenders and NumPy in one run: none may disturb the others or the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checks
from .checks import Case, Problem
from .contender import MOMENTS
from .kinds import KINDS
from .runs import Workspace

SECONDS_A_CASE = 30.0
"""A generous limit against may_hang."""
LIMITS = ("--memory-limit", "1GB")
PATIENT = ("--cell-timeout", "30")


def cases(kinds: Sequence[str] = (), moments: Sequence[str] = MOMENTS) -> list[Case]:
    """Return all cases, or those of some kinds and moments."""
    return [Case(kind, moment) for moment in moments for kind in kinds or KINDS]


def packed(chosen: Sequence[Case], size: int) -> list[list[Case]]:
    """Group cases by moment and by whether they hang, at most `size` in a group."""
    packs = []
    for moment in MOMENTS:
        for hangs in (True, False):
            cases = [case for case in chosen if case.moment == moment and may_hang(case) == hangs]
            packs += [cases[start : start + size] for start in range(0, len(cases), size)]
    return packs


def may_hang(case: Case) -> bool:
    """Return whether a case may end by a timeout."""
    return "timeout" in KINDS[case.kind].statuses


def problems_of(folder: Path, pack: Sequence[Case]) -> list[Problem]:
    """Return the problems of a run of NumPy and a contender for each case."""
    workspace = Workspace(folder)
    implementations = ["numpy"]
    for case in pack:
        call = f"hostile(kinds.KINDS[{case.kind!r}].do, {case.moment!r}, {case.name!r})"
        implementations.append(workspace.add(case.name, call))
    # On a busy machine, contenders that do not hang need the longer timeout to get to their fault.
    options = ("--when-busy", "ignore", *LIMITS, *(() if any(map(may_hang, pack)) else PATIENT))
    ended = workspace.run(implementations, *options, deadline=60.0 + SECONDS_A_CASE * len(pack))
    label = f"{pack[0].moment}: {pack[0].kind} … {pack[-1].kind}"
    problems = checks.of_process(ended, workspace, label) + checks.of_logs(workspace, label)
    problems += checks.of_rows(workspace, implementations, label) + checks.of_unharmed(workspace, label)
    if ended.code not in (None, 0, 1):
        problems.append(Problem(checks.OTHERS, label, f"exit code {ended.code}: {ended.output[-1500:]}"))
    for case in pack:
        problems += checks.of_case(workspace, case, KINDS[case.kind])
    return problems
