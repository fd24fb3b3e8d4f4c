"""The variables that a run's processes had set, and in which of them two runs differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.measure.records import Record, WorkerStarted
from bench.plan.sides import BASE, HEAD

NOT_SET = "not set"


def of_workers(workers: Iterable[WorkerStarted]) -> dict[str, str] | None:
    """By name, the value that they have in common, or all of them; None where none of them recorded any."""
    known = [worker.details["environment"] for worker in workers if "environment" in worker.details]
    names = sorted({name for one in known for name in one})
    merged = {name: ", ".join(sorted({str(one.get(name, NOT_SET)) for one in known})) for name in names}
    return merged if known else None


def of_run(records: Sequence[Record], side: str | None = None) -> dict[str, str] | None:
    """Of all its processes, or those of one side."""
    return of_workers(
        record
        for record in records
        if isinstance(record, WorkerStarted) and (side is None or record.contender.endswith(f"~{side}"))
    )


def of_sides(records: Sequence[Record]) -> list[tuple[str, str, str]]:
    """Name and both values of what a run's base and head have in other ways."""
    return different(of_run(records, BASE), of_run(records, HEAD))


def different(base: Mapping[str, str] | None, head: Mapping[str, str] | None) -> list[tuple[str, str, str]]:
    """Name and both values of what differs; nothing where one of them was not recorded."""
    if base is None or head is None:
        return []
    names = sorted({*base, *head})
    told = [(name, base.get(name, NOT_SET), head.get(name, NOT_SET)) for name in names]
    return [one for one in told if one[1] != one[2]]
