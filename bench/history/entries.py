"""What the history keeps of a run: of each cell one floor and one typical time a process, and what they depend on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bench.analyse.estimates.statistics import estimate, floor, typical
from bench.analyse.run import environments, kernels, tables
from bench.analyse.run.suspicion import SUSPECT
from bench.measure import machine
from bench.measure.records import Record, RunStarted
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.plain import from_plain
from bench.plan.plan import Plan

NOT_VERSIONS = ("executable", "environment", "kernels")
"""Of what a process reports: where it lies, and what is kept in another form."""


@dataclass(frozen=True)
class Timed:
    """A cell of a run that has a time. Texts are JSON objects, their keys in order."""

    key: str
    cell: str
    conditions: str
    """What must not change within a series of timings."""
    versions: str
    """What may change from run to run, and explain a change."""
    seconds: float
    """The floor over the passes."""
    floors: tuple[float, ...]
    """Seconds, by pass."""
    typicals: tuple[float, ...]
    min_effect: float
    """The relative difference too small to matter, as a fraction."""


@dataclass(frozen=True)
class Untimed:
    """A cell of a run that has none; of its conditions those that are known without one."""

    key: str
    cell: str
    conditions: str
    status: str
    reason: str
    min_effect: float


@dataclass(frozen=True)
class Entry:
    """A finished run."""

    run: str
    started: str
    """UTC, ISO 8601."""
    adaptive: bool
    timed: tuple[Timed, ...]
    untimed: tuple[Untimed, ...]


def entry_of(records: Sequence[Record]) -> Entry:
    """Of a journal. Raises ValueError where it is not one of a whole run of one side, or of another version of
    relubench."""
    try:
        head, plan = tables.started(records), from_plain(tables.started(records).plan)
        cells = tables.by_cell(records).values()
    except (KeyError, TypeError) as error:
        raise ValueError(f"not of this version of relubench: {error!r}") from error
    if not tables.is_complete(records):
        raise ValueError(f"{head.run} was cut off, and only whole runs are kept")
    if plan.sides:
        raise ValueError(f"{head.run} compares two sides, of which each may be of any revision")
    suspects = tables.suspects(records)
    return Entry(
        head.run,
        _in_utc(head.started),
        plan.adaptive,
        tuple(
            _timed(one, plan, head) for one in cells if one.blocks and not one.failed and one.cell.key not in suspects
        ),
        tuple(
            _untimed(one, plan, head, suspects.get(one.cell.key, ""))
            for one in cells
            if one.failed or not one.blocks or one.cell.key in suspects
        ),
    )


def cell_of(values: dict[str, Any]) -> Cell:
    """The cell that an entry has as plain data."""
    return Cell(Contender(**values["contender"]), Shape(**values["shape"]), values["phase"])


def _in_utc(started: str) -> str:
    """In the one form that is sorted by time and read by pandas, of the many that a journal may have."""
    time = datetime.fromisoformat(started)
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC).isoformat()


def _timed(kept: tables.CellRecords, plan: Plan, head: RunStarted) -> Timed:
    worker = kept.workers[-1]
    floors = [floor(seconds) for seconds in kept.per_pass().values()]
    on = {"precision": worker.precision, **({"device": worker.device_name} if worker.device_name else {})}
    on |= environments.of_workers(kept.workers) or {}
    kernel = kernels.in_words(worker.backend, worker.details)
    versions = {
        worker.backend: worker.backend_version,
        "python": worker.interpreter,
        **{name: str(value) for name, value in worker.details.items() if name not in NOT_VERSIONS},
        **({"matrix_kernels": kernel} if kernel else {}),
        **{name: head.machine.get(name, "") for name in ("system", "relubench", "source")},
    }
    return Timed(
        kept.cell.key,
        _json(asdict(kept.cell)),
        _json(_conditions(kept.cell, plan, head) | on),
        _json(versions),
        estimate(floors).value,
        tuple(floors),
        tuple(typical(seconds) for seconds in kept.per_pass().values()),
        plan.min_effect_of(kept.cell),
    )


def _untimed(kept: tables.CellRecords, plan: Plan, head: RunStarted, impossible: str = "") -> Untimed:
    """Of a cell that has no time, or one that cannot be true, which `impossible` tells."""
    status, reason = (kept.failed.status, kept.failed.reason) if kept.failed else ("not_run", "")
    if impossible:
        status, reason = SUSPECT, impossible
    conditions = _json(_conditions(kept.cell, plan, head))
    return Untimed(kept.cell.key, _json(asdict(kept.cell)), conditions, status, reason, plan.min_effect_of(kept.cell))


def _conditions(cell: Cell, plan: Plan, head: RunStarted) -> dict[str, Any]:
    """The machine, the threads, and how it was sampled: a 5th percentile depends on how many there are."""
    return {
        "machine": machine.fingerprint(head.machine),
        "cpu": head.machine.get("cpu", ""),
        "processors": head.machine.get("usable_processors"),
        "measurement": head.machine.get("measurement", 1),
        "threads": plan.threads(cell.contender),
        "rounds": plan.rounds,
        "samples": plan.samples,
        **({"steps": plan.steps} if cell.phase == "train" else {}),
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
