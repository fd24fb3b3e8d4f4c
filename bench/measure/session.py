"""Run a plan from the run's folder to its last record: a new run, or one that is resumed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.plan import reading
from bench.plan.cells import Contender
from bench.plan.grid import PlanError
from bench.plan.plain import to_plain
from bench.plan.plan import Plan

from . import calibrations, extending, interrupts, journal, lock, machine, references, sources
from .adaptive import Adaptive, Confirming, fixed
from .client import ProcessWorker, Setting
from .logs import file_name
from .progress import Progress
from .records import Failed, Record, RunEnded, RunResumed, RunStarted
from .run import Open, RunInProgress
from .state import State
from .worker.one_line import one_line

WRITTEN = ("timings.csv", "samples.csv.gz", "report.md")
"""The files that are written when a run has ended, the report last."""


def new_run(results: Path, grid: str) -> Path:
    """Make and return a new folder for a run, named by the time and the grid, which no other run has."""
    name = datetime.now(UTC).strftime(f"%Y-%m-%dT%H-%M-%S-{grid}")
    for attempt in range(1, 1000):
        folder = results / "runs" / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError as error:
            if error.filename != str(folder):  # a folder above it is a file, or a link to nothing
                raise
    raise FileExistsError(f"{results} has a thousand runs of this second")


def measure(
    plan: Plan,
    folder: Path,
    path: Sequence[str] = (),
    notify: Callable[[Progress], None] = lambda progress: None,
    resumed: bool = False,
    open_worker: Open | None = None,
    undecided: Callable[[], Collection[str]] = lambda: (),
    suspects: Callable[[], Collection[str]] = lambda: (),
) -> None:
    """Measure a plan into a folder's journal. `path` has the folders of other people's classes; `undecided()` returns
    the cells that need more passes in a run with a time budget, `suspects()` the cells that a comparison of two sides
    has to confirm. A run that is resumed with a plan of more passes is extended to them.

    However the run ends, what was measured is in the journal, and a RunEnded record unless the process was killed.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    options, facts = sys.argv[1:], machine.describe()
    surroundings = sources.surroundings(_names(plan), path, facts)
    with journal.Journal(folder) as book:
        records, before = journal.load(folder) if resumed else ([], plan)
        further = plan.passes if plan.passes > before.passes else None
        longer = plan.time_budget if plan.time_budget != before.time_budget else None
        if extending.is_complete(records) and not (further or longer):
            return  # only its files are to be written
        if resumed:
            # Files of fewer passes would pass for those of all if the run were killed before it writes them again.
            (folder / WRITTEN[-1]).unlink(missing_ok=True)
            changed = changed_since(records, surroundings)
            records.append(RunResumed(started, options, surroundings, changed, further, longer))
        else:
            calibration, damaged = _calibration(folder.parent.parent, facts)
            records.append(
                RunStarted(folder.name, started, to_plain(plan), facts, options, calibration, surroundings, damaged)
            )
        book.append(records[-1])
        state = State.of(records)
        begun = time.perf_counter()
        complete = False
        adaptive = Adaptive(plan, undecided, spent=state.seconds) if plan.adaptive else None
        if adaptive:
            notify = _by_budget(notify, adaptive)
        schedule = Confirming(plan, adaptive or fixed(plan), suspects) if plan.sides else adaptive
        try:
            opened = open_worker or processes(plan, folder / "logs", path)
            run = RunInProgress(plan, book, opened, state, _stopping(notify))
            with references.shared(plan, folder / "logs", run.record) as run.references:
                if any(isinstance(record, RunResumed) and record.changed for record in records):
                    run.verify()  # also cells with all their blocks, which would else be in the tables unverified
                with interrupts.current.between_blocks():
                    run.measure(schedule)
                    complete = True
        finally:
            book.append(RunEnded(complete, time.perf_counter() - begun, adaptive.reason if adaptive else ""))


def _stopping(notify: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Check for an interruption before each block."""

    def checked(progress: Progress) -> None:
        interrupts.current.check()
        notify(progress)

    return checked


def _calibration(results: Path, facts: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return the machine's calibration, and why it cannot be read."""
    try:
        return calibrations.stored(results, dict(facts)), ""
    except ValueError as error:
        return None, one_line(str(error))


def _names(plan: Plan) -> list[str]:
    return list(dict.fromkeys(cell.contender.implementation for cell in plan.cells))


def changed_since(records: Sequence[Record], now: Mapping[str, str]) -> list[str]:
    """Return what has changed since a run was started, or last resumed, in words."""
    surroundings = [record.surroundings for record in records if isinstance(record, RunStarted | RunResumed)]
    return sources.changes(surroundings[-1], now)


def _by_budget(notify: Callable[[Progress], None], schedule: Adaptive) -> Callable[[Progress], None]:
    """Show progress by the time budget: the number of passes is unknown, but not the latest end."""

    def notify_by_budget(progress: Progress) -> None:
        seconds_left, budget = schedule.seconds_left(), schedule.plan.time_budget or 1.0
        notify(replace(progress, passes=None, seconds_left=seconds_left, done=1 - seconds_left / budget))

    return notify_by_budget


def verify(plan: Plan, folder: Path, path: Sequence[str] = ()) -> dict[str, Failed]:
    """Call and verify each cell once without timing it. Return the failures by cell key."""
    with journal.Journal(folder) as book:
        run = RunInProgress(plan, book, processes(plan, folder / "logs", path))
        with references.shared(plan, folder / "logs", run.record) as run.references:
            run.verify()
    return run.state.failed


def processes(plan: Plan, logs: Path, path: Sequence[str]) -> Open:
    """Return what starts real worker processes, whose output goes to a log for each contender."""

    def open_worker(contender: Contender, pass_number: int) -> ProcessWorker:
        log = logs / file_name(contender.label)
        setting = Setting(contender, plan.threads(contender), plan.timeout, log, path=path, memory=plan.memory_limit)
        for side in plan.sides:
            if side.name == contender.variant:
                setting = replace(setting, interpreter=side.interpreter, source=Path(side.source))
        return ProcessWorker(setting)

    return open_worker


def resumable(
    folder: Path, path: Sequence[str] = (), anyway: bool = False, more: Mapping[str, str] | None = None
) -> Plan:
    """Return the plan of a run that was interrupted, whose files were not written, or that is to have `more`
    passes, or time_budget, in total, by their options. Raises PlanError when there is none, when another process
    measures it, when it has as much, or when what its times depend on has changed, unless `anyway`."""
    more = more or {}
    file = folder / journal.FILE
    try:
        for member in (file, folder / "logs", *folder.glob("logs/*")):
            reading.refuse_outside(member, folder)
        is_measured = lock.is_taken(file)
        records, plan = journal.load(folder)
    except OSError as error:
        raise PlanError(f"--resume: {folder} is not a run's folder: it has no {journal.FILE}") from error
    except ValueError as error:
        raise PlanError(f"--resume: {error}") from error
    if is_measured:
        raise PlanError(f"--resume: {folder} is being measured by another process{lock.owner(file)}")
    written = all((folder / name).exists() for name in WRITTEN)
    is_complete = extending.is_complete(records)
    if is_complete and written and not more:
        had = f"--time-budget asks for more than its {plan.time_budget:g} s" if plan.adaptive else ""
        had = had or f"--passes asks for more than its {plan.passes} passes"
        raise PlanError(f"--resume: {folder} is complete; there is nothing to go on with, unless {had}")
    if plan.sides:
        raise PlanError(f"--resume: {folder} compares two sides, which may no longer be what they were; run it again")
    if "passes" in more:
        plan = extending.with_passes(plan, more["passes"], folder.name)
    if "time_budget" in more:
        plan = extending.with_time_budget(plan, more["time_budget"], folder.name)
    if anyway or (is_complete and not more):
        return plan
    now = sources.surroundings(_names(plan), path, machine.describe())
    if changed := changed_since(records, now):
        raise PlanError(
            f"--resume: since {folder.name} was measured, there changed: {'; '.join(changed)}. Start a new run, or "
            "go on by --resume-anyway, which verifies every cell again and says so in the tables"
        )
    return plan
