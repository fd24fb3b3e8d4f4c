"""What this machine can tell: a contender timed against itself, and against itself slowed on purpose."""

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
from .run import BackToBack, Open, Run

SLOWDOWNS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
REFERENCE = "reference"
VARIANTS = {REFERENCE: 0.0} | {f"+{slowdown:.0%}": slowdown for slowdown in SLOWDOWNS}
"""Of the contender, and the fraction by which each is slowed."""
TUTORIAL = Shape(64, 1000, 100)
PASSES, ROUNDS, SAMPLES = 10, 10, 6
"""Of one trial: in all 1.3 s of timed work per contender and cell."""
BACK_TO_BACK_SHARE = 0.2
"""Of the time, for timing one contender after the other."""
TIMEOUT_SECONDS = 120


def plan_of(implementation: str, threads: Sequence[int], seed: int, shape: Shape = TUTORIAL) -> Plan:
    """The step of one implementation on the host in float32, with each thread limit and slowdown."""
    contenders = [
        Contender(implementation, "cpu", "float32", limit, variant) for limit in threads for variant in VARIANTS
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
    """Thread limits as numbers, each once. Raises PlanError for more than there are processors."""
    asked = [processors if limit == "all" else int(limit) for limit in threads]
    if max(asked) > processors:
        raise PlanError(f"--threads: {max(asked)} is more than the {processors} processors usable here")
    return list(dict.fromkeys(asked))


def known(implementation: str, path: Sequence[str]) -> str:
    """The name, if there is an implementation of that name that runs on the host. Raises PlanError."""
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
    """As many passes as fit in so many seconds, taking turns, and then back to back; the folders of the
    two journals. Of each at least one trial's, or one pass."""
    opened = open_worker or _slowed(plan, folder / "logs", path)
    end = now() + seconds

    def until_then(progress: Progress) -> None:
        left = max(0.0, end - now())
        notify(replace(progress, passes=None, seconds_left=left, done=1 - left / seconds))

    in_turns, back_to_back = folder / "in-turns", folder / "back-to-back"
    _passes(Run, plan, in_turns, opened, end - seconds * BACK_TO_BACK_SHARE, plan.passes, until_then, now)
    _passes(BackToBack, plan, back_to_back, opened, end, 1, until_then, now)
    return in_turns, back_to_back


def _passes(
    kind: type[Run],
    plan: Plan,
    folder: Path,
    open_worker: Open,
    end: float,
    least: int,
    notify: Callable[[Progress], None],
    now: Callable[[], float],
) -> None:
    """Of a plan until the end, and at least so many; none after a failure, of which nothing can be told."""

    def schedule(run: Run, pass_number: int) -> Plan | None:
        if run.state.failed:
            return None
        return plan if pass_number <= least or now() + run.cost(plan) <= end else None

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
