"""Faults of a run's own process, each followed by a resume that has to end with all that was asked for."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from . import checks, filesystems, parent
from .at_report import KIND
from .checks import Case, Problem
from .contender import MOMENTS
from .runs import PASSES, PHASES, ROOT, ROUNDS, Ended, Place

DEADLINE_SECONDS = 90.0
FAILED, INTERRUPTED, USAGE_ERROR = 1, 2, 4
"""Exit codes of pytest."""
NOTHING_TO_RESUME = ("is not a run's folder", "a journal begins with a RunStarted record")


def cases(own_disk: bool) -> list[Case]:
    kinds = [*parent.KINDS, *(parent.ON_OWN_DISK if own_disk else ())]
    return [Case(kind, moment) for kind in kinds for moment in MOMENTS]


def problems_of(folder: Path, case: Case) -> list[Problem]:
    """What does not hold where a fault happens in a run that is resumed afterwards."""
    kind = (parent.KINDS | parent.ON_OWN_DISK)[case.kind]
    place = Place(folder)
    with ExitStack() as stack:
        if case.kind in parent.ON_OWN_DISK and not stack.enter_context(filesystems.small(place.results)):
            return [Problem(checks.OTHERS, case.name, "no file system could be mounted")]
        implementations = ["numpy"]
        variables = {}
        if case.moment == "report":
            variables = {KIND: case.kind, "PYTEST_PLUGINS": "tests.faults.at_report", "PYTHONPATH": str(ROOT)}
        else:
            table = "ON_OWN_DISK" if case.kind in parent.ON_OWN_DISK else "KINDS"
            call = f"hostile(parent.{table}[{case.kind!r}].do, {case.moment!r}, {case.name!r}, once=True)"
            implementations.append(place.add(case.name, call))
        ended = place.run(implementations, "--when-busy", "ignore", deadline=DEADLINE_SECONDS, **variables)
        killed = case.kind == "gets_sigkill"
        found = [
            one for one in checks.of_process(ended, place, case.name) if not (killed and one.count == checks.FILES)
        ]
        if not place.has_fired(case.name):
            return [*found, Problem(checks.OTHERS, case.name, f"the fault did not happen: {ended.output[-500:]}")]
        found += _of_exit_code(ended, case) + _of_words(ended, case)
        kind.undo(folder)
        return found + resumed(place, implementations, case.name)


def resumed(place: Place, implementations: list[str], where: str) -> list[Problem]:
    """What does not hold after the newest run is resumed, or run anew where nothing of it is there. What a journal had
    in whole lines stays as it was."""
    before = place.journal()
    newest = place.newest()
    options = ("--when-busy", "ignore")
    ended = place.run((), "--resume", str(newest), *options, deadline=DEADLINE_SECONDS) if newest else Ended(4, "")
    nothing = not newest or any(words in ended.output for words in NOTHING_TO_RESUME)
    if nothing and b'"RunStarted"' in before:
        return [Problem(checks.ROWS, where, f"it cannot be resumed: {ended.output[-800:]}")]
    if nothing:
        ended = place.run(implementations, *options, deadline=DEADLINE_SECONDS)
    elif not place.journal().startswith(before):
        return [Problem(checks.BLOCKS, where, "the journal is not what it was before the resume")]
    expected = {(name, phase): PASSES * ROUNDS for name in implementations for phase in PHASES}
    found = checks.of_process(ended, place, f"{where}, resumed")
    if ended.code != 0 and "is complete" not in ended.output:
        found.append(Problem(checks.OTHERS, f"{where}, resumed", f"exit code {ended.code}: {ended.output[-1500:]}"))
    found += checks.of_rows(place, implementations, f"{where}, resumed")
    for row in place.rows():
        if row["status"] != "ok":
            found.append(Problem(checks.ROWS, where, f"{row['implementation']} {row['phase']}: {row['reason']}"))
    return found + checks.of_blocks(place, f"{where}, resumed", expected)


def _of_words(ended: Ended, case: Case) -> list[Problem]:
    """Where a write fails, a line names the file or folder."""
    lines = [line for line in ended.output.splitlines() if "ended early: " in line or "not be written: " in line]
    is_clear = any("results" in line.partition(": ")[2] for line in lines)
    if case.kind.startswith("gets_") or is_clear or (case.kind == "has_its_results_moved" and ended.code == 0):
        return []
    return [Problem(checks.OTHERS, case.name, f"no line says which file could not be written: {lines}")]


def without_timing(folder: Path) -> list[Problem]:
    """What does not hold where --benchmark-disable is interrupted while a cell is verified."""
    place, case = Place(folder), Case("gets_sigterm", "verification")
    call = f"hostile(parent.KINDS[{case.kind!r}].do, {case.moment!r}, {case.name!r}, once=True)"
    ended = place.run(["numpy", place.add(case.name, call)], "--benchmark-disable", deadline=DEADLINE_SECONDS)
    found = checks.of_process(ended, place, "without timing") + _of_exit_code(ended, case)
    if not place.has_fired(case.name):
        found.append(Problem(checks.OTHERS, "without timing", f"the fault did not happen: {ended.output[-500:]}"))
    return found


def _of_exit_code(ended: Ended, case: Case) -> list[Problem]:
    """It says what happened: 0 only where all had been measured, and never an internal error."""
    allowed = {FAILED, INTERRUPTED, USAGE_ERROR}
    if case.kind.startswith("gets_"):
        allowed = {-signal.SIGKILL} if case.kind == "gets_sigkill" else {INTERRUPTED}
    if case.moment in ("report", "shutdown"):
        allowed |= {0}
    if ended.code is None or ended.code in allowed:
        return []
    return [Problem(checks.OTHERS, case.name, f"exit code {ended.code}: {ended.output[-500:]}")]
