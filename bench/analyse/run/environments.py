"""The environment variables of a run's processes, and the variables in which two runs differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.measure.records import WorkerStarted
from bench.plan.sides import BASE, HEAD

from .recorded import RunRecords

NOT_SET = "not set"


def of_workers(workers: Iterable[WorkerStarted]) -> dict[str, str] | None:
    """Return each variable's value, or all values where processes differ; None where none were recorded."""
    recorded = [worker.details["environment"] for worker in workers if "environment" in worker.details]
    names = sorted({name for variables in recorded for name in variables})
    merged = {name: ", ".join(sorted({str(variables.get(name, NOT_SET)) for variables in recorded})) for name in names}
    return merged if recorded else None


def of_run(run: RunRecords, side: str | None = None) -> dict[str, str] | None:
    """Return the variables of all processes of a run, or of those of one side."""
    workers = run.of_kind(WorkerStarted)
    return of_workers(worker for worker in workers if side is None or worker.contender.endswith(f"~{side}"))


def of_sides(run: RunRecords) -> list[tuple[str, str, str]]:
    """Return the name and both values of each variable in which a run's base and head differ."""
    return different(of_run(run, BASE), of_run(run, HEAD))


def different(base: Mapping[str, str] | None, head: Mapping[str, str] | None) -> list[tuple[str, str, str]]:
    """Return the name and both values of each variable that differs; none where one side was not recorded."""
    if base is None or head is None:
        return []
    names = sorted({*base, *head})
    values = [(name, base.get(name, NOT_SET), head.get(name, NOT_SET)) for name in names]
    return [(name, before, after) for name, before, after in values if before != after]
