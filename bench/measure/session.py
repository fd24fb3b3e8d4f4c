"""A run from its folder to its last record: new, or going on where an earlier one was cut off."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.plan import reading
from bench.plan.cells import Cell, Contender, Shape, Side
from bench.plan.grid import PlanError
from bench.plan.plan import Plan

from . import calibrations, journal, machine
from .adaptive import Adaptive, Confirming, fixed
from .client import ProcessWorker, Setting
from .logs import file_name
from .progress import Progress
from .records import Failed, RunEnded, RunResumed, RunStarted
from .run import Open, Run
from .state import State


def new_run(results: Path, grid: str) -> Path:
    """A folder of its own for a run, named by the time and the grid, made so that no one else has it."""
    name = datetime.now(UTC).strftime(f"%Y-%m-%dT%H-%M-%S-{grid}")
    for attempt in range(1, 1000):
        folder = results / "runs" / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
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
    """Measure a plan into a folder's journal. `path` has the folders of other people's classes;
    `undecided()` tells a run of as many passes as it takes which cells need more, `suspects()` a comparison
    of two sides which cells it has to confirm.

    However it ends, what was measured is in the journal, and a RunEnded record unless the process
    was killed.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    options = sys.argv[1:]
    state = State.of(journal.read(folder)) if resumed else State()
    with journal.Journal(folder) as book:
        if resumed:
            book.append(RunResumed(started, options))
        else:
            facts = machine.describe()
            known = calibrations.stored(folder.parent.parent, facts)
            book.append(RunStarted(folder.name, started, plan_to_dict(plan), facts, options, known))
        begun = time.perf_counter()
        complete = False
        adaptive = Adaptive(plan, undecided, spent=state.seconds) if plan.adaptive else None
        if adaptive:
            notify = _by_budget(notify, adaptive)
        schedule = Confirming(plan, adaptive or fixed(plan), suspects) if plan.sides else adaptive
        try:
            run = Run(plan, book, open_worker or processes(plan, folder / "logs", path), state, notify)
            run.measure(schedule)
            complete = True
        finally:
            book.append(RunEnded(complete, time.perf_counter() - begun, adaptive.reason if adaptive else ""))


def _by_budget(notify: Callable[[Progress], None], schedule: Adaptive) -> Callable[[Progress], None]:
    """How many passes it will take no one knows, but when it ends at the latest."""

    def told(progress: Progress) -> None:
        left, budget = schedule.seconds_left(), schedule.plan.time_budget or 1.0
        notify(replace(progress, passes=None, seconds_left=left, done=1 - left / budget))

    return told


def verify(plan: Plan, folder: Path, path: Sequence[str] = ()) -> dict[str, Failed]:
    """Call and verify each cell once, timing nothing; the failures by cell key."""
    with journal.Journal(folder) as book:
        run = Run(plan, book, processes(plan, folder / "logs", path))
        run.verify()
    return run.state.failed


def processes(plan: Plan, logs: Path, path: Sequence[str]) -> Open:
    """Starts real worker processes, whose output goes to a log for each contender."""

    def open_worker(contender: Contender, passage: int) -> ProcessWorker:
        log = logs / file_name(contender.label)
        setting = Setting(contender, plan.threads(contender), plan.timeout, log, path=path)
        for side in plan.sides:
            if side.name == contender.variant:
                setting = replace(setting, interpreter=side.interpreter, source=Path(side.source))
        return ProcessWorker(setting)

    return open_worker


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """A plan as plain data, its cells as rows."""
    flat = [{**asdict(cell.contender), **asdict(cell.shape), "phase": cell.phase} for cell in plan.cells]
    ceilings = [asdict(contender) for contender in plan.ceilings]
    sides = [{**asdict(side), "implementations": [*side.implementations]} for side in plan.sides]
    effects = [[pattern, effect] for pattern, effect in plan.min_effects]
    plain = {f.name: getattr(plan, f.name) for f in fields(plan)}
    return {**plain, "cells": flat, "ceilings": ceilings, "sides": sides, "min_effects": effects}


def plan_of(started: RunStarted) -> Plan:
    """The plan that a run was started with."""

    def contender(row: dict[str, Any]) -> Contender:
        return Contender(**{f.name: row[f.name] for f in fields(Contender) if f.name in row})

    def cell(row: dict[str, Any]) -> Cell:
        return Cell(contender(row), Shape(*(row[f.name] for f in fields(Shape))), row["phase"])

    cells = tuple(cell(row) for row in started.plan["cells"])
    ceilings = tuple(contender(row) for row in started.plan.get("ceilings", ()))
    sides = tuple(
        Side(**{**row, "implementations": tuple(row["implementations"])}) for row in started.plan.get("sides", ())
    )
    effects = tuple((pattern, effect) for pattern, effect in started.plan.get("min_effects", ()))
    return Plan(**{**started.plan, "cells": cells, "ceilings": ceilings, "sides": sides, "min_effects": effects})


def resumable(folder: Path) -> Plan:
    """The plan of a run that was cut off. Raises PlanError when there is none or it is complete."""
    try:
        for path in (folder / journal.FILE, folder / "logs", *folder.glob("logs/*")):
            reading.refuse_outside(path, folder)
        records = journal.read(folder)
    except OSError as error:
        raise PlanError(f"--resume: {folder} is not a run's folder: it has no {journal.FILE}") from error
    except ValueError as error:
        raise PlanError(f"--resume: {error}") from error
    if any(isinstance(record, RunEnded) and record.complete for record in records):
        raise PlanError(f"--resume: {folder} is complete; there is nothing to go on with")
    assert isinstance(records[0], RunStarted)
    try:
        plan = plan_of(records[0])
    except (KeyError, TypeError) as error:
        raise PlanError(f"--resume: {folder} is not of this version of relubench: {error!r}") from error
    if plan.sides:
        raise PlanError(f"--resume: {folder} compares two sides, which may no longer be what they were; run it again")
    return plan
