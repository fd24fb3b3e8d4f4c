"""Calibrate the machine: time a contender against itself, and against itself slowed on purpose."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import implementations
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.grid import PlanError
from bench.plan.plain import to_plain
from bench.plan.plan import Plan

from . import journal, machine
from .client import ProcessWorker, Setting
from .logs import file_name
from .progress import Progress
from .records import RunEnded, RunStarted
from .run import BackToBack, Open, RunInProgress

SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
REFERENCE = "reference"
VARIANTS = {REFERENCE: 0.0} | {f"+{slowdown:.0%}": slowdown for slowdown in SLOWDOWNS}
"""The contender's variants, and the fraction by which each is slowed."""
TUTORIAL = Shape(64, 1000, 100)
PASSES, ROUNDS, SAMPLES = 10, 10, 6
"""One trial has so many of each: in all 1.3 s of timed work per contender and cell."""
BACK_TO_BACK_SHARE = 0.2
"""The share of the time for timing one contender after the other."""
TIMEOUT_SECONDS = 120


def plan_of(implementation: str, threads: Sequence[int], seed: int, shape: Shape = TUTORIAL) -> Plan:
    """Return a plan of one implementation's step on the host in float32, with each thread limit and slowdown."""
    contenders = [
        Contender(implementation, "cpu", "float32", count, variant) for count in threads for variant in VARIANTS
    ]
    return Plan(
        grid="calibration",
        cells=tuple(Cell(contender, shape, "step") for contender in contenders),
        passes=PASSES,
        rounds=ROUNDS,
        samples=SAMPLES,
        baseline=implementation,
        steps=1,
        timeout=TIMEOUT_SECONDS,
        cpus=machine.usable_processors(),
        seed=seed,
    )


def limits(threads: Sequence[int | str], processors: int) -> list[int]:
    """Return thread limits as numbers, each once. Raises PlanError for more than there are processors."""
    thread_limits = [processors if value == "all" else int(value) for value in threads]
    if max(thread_limits) > processors:
        raise PlanError(f"--threads: {max(thread_limits)} is more than the {processors} processors usable here")
    return list(dict.fromkeys(thread_limits))


def known(implementation: str, path: Sequence[str]) -> str:
    """Return the name if an implementation of that name runs on the host. Raises PlanError."""
    try:
        kinds = implementations.device_kinds(implementation, path)
    except (LookupError, SyntaxError) as error:
        raise PlanError(f"--implementation: {error}") from error
    if "cpu" not in kinds:
        raise PlanError(f"--implementation: {implementation} runs on {', '.join(kinds)} only; this calibrates the host")
    return implementation


def measure(
    plan: Plan,
    folder: Path,
    seconds: float,
    path: Sequence[str] = (),
    notify: Callable[[Progress], None] = lambda progress: None,
    open_worker: Open | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> tuple[Path, Path]:
    """Measure as many passes as fit into `seconds`: first with contenders taking turns, at least one trial's passes,
    then back to back, at least one pass. Return the folders of the two journals."""
    open_process = open_worker or _slowed(plan, folder / "logs", path)
    end = now() + seconds

    def notify_time_left(progress: Progress) -> None:
        seconds_left = max(0.0, end - now())
        notify(replace(progress, passes=None, seconds_left=seconds_left, done=1 - seconds_left / seconds))

    in_turns, back_to_back = folder / "in-turns", folder / "back-to-back"
    _passes(
        RunInProgress,
        plan,
        in_turns,
        open_process,
        end - seconds * BACK_TO_BACK_SHARE,
        plan.passes,
        notify_time_left,
        now,
    )
    _passes(BackToBack, plan, back_to_back, open_process, end, 1, notify_time_left, now)
    return in_turns, back_to_back


def _passes(
    kind: type[RunInProgress],
    plan: Plan,
    folder: Path,
    open_worker: Open,
    end: float,
    least_passes: int,
    notify: Callable[[Progress], None],
    now: Callable[[], float],
) -> None:
    """Measure passes of a plan until `end`, and at least `least_passes`; none after a failure, which tells nothing."""

    def schedule(run: RunInProgress, pass_number: int) -> Plan | None:
        if run.state.failed:
            return None
        return plan if pass_number <= least_passes or now() + run.cost(plan) <= end else None

    started, begun = datetime.now(UTC).isoformat(timespec="seconds"), now()
    with journal.Journal(folder) as book:
        book.append(RunStarted(folder.parent.name, started, to_plain(plan), machine.describe(), sys.argv[1:]))
        complete = False
        try:
            kind(plan, book, open_worker, notify=notify, now=now).measure(schedule)
            complete = True
        finally:
            book.append(RunEnded(complete, now() - begun))


def _slowed(plan: Plan, logs: Path, path: Sequence[str]) -> Open:
    def open_worker(contender: Contender, pass_number: int) -> ProcessWorker:
        log = logs / file_name(contender.label)
        slowdown = VARIANTS[contender.variant]
        return ProcessWorker(
            Setting(contender, plan.threads(contender), plan.timeout, log, path=path, slowdown=slowdown)
        )

    return open_worker
