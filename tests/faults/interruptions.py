"""Faults of a run's own process, each followed by a resume that has to complete the run."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from . import checks, filesystems, parent
from .at_report import KIND
from .checks import Case, Problem
from .contender import MOMENTS
from .runs import PASSES, PHASES, ROOT, ROUNDS, Ended, Workspace

DEADLINE_SECONDS = 90.0
FAILED, INTERRUPTED, USAGE_ERROR = 1, 2, 4
"""Exit codes of pytest."""
NOTHING_TO_RESUME = ("is not a run's folder", "a journal begins with a RunStarted record")


def cases(own_disk: bool) -> list[Case]:
    kinds = [*parent.KINDS, *(parent.ON_OWN_DISK if own_disk else ())]
    return [Case(kind, moment) for kind in kinds for moment in MOMENTS]


def problems_of(folder: Path, case: Case) -> list[Problem]:
    """Return the problems of a run that has a fault and is resumed afterwards."""
    kind = (parent.KINDS | parent.ON_OWN_DISK)[case.kind]
    workspace = Workspace(folder)
    with ExitStack() as stack:
        if case.kind in parent.ON_OWN_DISK and not stack.enter_context(filesystems.small(workspace.results)):
            return [Problem(checks.OTHERS, case.name, "no file system could be mounted")]
        implementations = ["numpy"]
        variables = {}
        if case.moment == "report":
            variables = {KIND: case.kind, "PYTEST_PLUGINS": "tests.faults.at_report", "PYTHONPATH": str(ROOT)}
        else:
            table = "ON_OWN_DISK" if case.kind in parent.ON_OWN_DISK else "KINDS"
            call = f"hostile(parent.{table}[{case.kind!r}].do, {case.moment!r}, {case.name!r}, once=True)"
            implementations.append(workspace.add(case.name, call))
        ended = workspace.run(implementations, "--when-busy", "ignore", deadline=DEADLINE_SECONDS, **variables)
        killed = case.kind == "gets_sigkill"
        problems = checks.of_process(ended, workspace, case.name)
        problems = [problem for problem in problems if not (killed and problem.count == checks.FILES)]
        if not workspace.has_fired(case.name):
            return [*problems, Problem(checks.OTHERS, case.name, f"the fault did not happen: {ended.output[-500:]}")]
        problems += _of_exit_code(ended, case) + _of_messages(ended, case)
        kind.undo(folder)
        return problems + resumed(workspace, implementations, case.name)


def resumed(workspace: Workspace, implementations: list[str], label: str) -> list[Problem]:
    """Resume the newest run, or run it again where it has left nothing, and return the problems. Complete lines of the
    journal must not change."""
    journal_before = workspace.journal()
    newest = workspace.newest()
    options = ("--when-busy", "ignore")
    ended = workspace.run((), "--resume", str(newest), *options, deadline=DEADLINE_SECONDS) if newest else Ended(4, "")
    is_unresumable = not newest or any(words in ended.output for words in NOTHING_TO_RESUME)
    if is_unresumable and b'"RunStarted"' in journal_before:
        return [Problem(checks.ROWS, label, f"it cannot be resumed: {ended.output[-800:]}")]
    if is_unresumable:
        ended = workspace.run(implementations, *options, deadline=DEADLINE_SECONDS)
    elif not workspace.journal().startswith(journal_before):
        return [Problem(checks.BLOCKS, label, "the journal is not what it was before the resume")]
    expected = {(name, phase): PASSES * ROUNDS for name in implementations for phase in PHASES}
    problems = checks.of_process(ended, workspace, f"{label}, resumed")
    if ended.code != 0 and "is complete" not in ended.output:
        problems.append(Problem(checks.OTHERS, f"{label}, resumed", f"exit code {ended.code}: {ended.output[-1500:]}"))
    problems += checks.of_rows(workspace, implementations, f"{label}, resumed")
    for row in workspace.rows():
        if row["status"] != "ok":
            problems.append(Problem(checks.ROWS, label, f"{row['implementation']} {row['phase']}: {row['reason']}"))
    return problems + checks.of_blocks(workspace, f"{label}, resumed", expected)


def _of_messages(ended: Ended, case: Case) -> list[Problem]:
    """Check that a line names the file or folder where a write fails."""
    lines = [line for line in ended.output.splitlines() if "ended early: " in line or "not be written: " in line]
    is_clear = any("results" in line.partition(": ")[2] for line in lines)
    if case.kind.startswith("gets_") or is_clear or (case.kind == "has_its_results_moved" and ended.code == 0):
        return []
    return [Problem(checks.OTHERS, case.name, f"no line says which file could not be written: {lines}")]


def without_timing(folder: Path) -> list[Problem]:
    """Return the problems of a run with --benchmark-disable that is interrupted while a cell is verified."""
    workspace, case = Workspace(folder), Case("gets_sigterm", "verification")
    call = f"hostile(parent.KINDS[{case.kind!r}].do, {case.moment!r}, {case.name!r}, once=True)"
    ended = workspace.run(["numpy", workspace.add(case.name, call)], "--benchmark-disable", deadline=DEADLINE_SECONDS)
    problems = checks.of_process(ended, workspace, "without timing") + _of_exit_code(ended, case)
    if not workspace.has_fired(case.name):
        problems.append(Problem(checks.OTHERS, "without timing", f"the fault did not happen: {ended.output[-500:]}"))
    return problems


def _of_exit_code(ended: Ended, case: Case) -> list[Problem]:
    """Check the exit code: 0 only where all had been measured, and never that of an internal error."""
    allowed = {FAILED, INTERRUPTED, USAGE_ERROR}
    if case.kind.startswith("gets_"):
        allowed = {-signal.SIGKILL} if case.kind == "gets_sigkill" else {INTERRUPTED}
    if case.moment in ("report", "shutdown"):
        allowed |= {0}
    if ended.code is None or ended.code in allowed:
        return []
    return [Problem(checks.OTHERS, case.name, f"exit code {ended.code}: {ended.output[-500:]}")]
