"""What the history keeps of a run: each cell's floor and typical time per process, and what they depend on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bench.analyse.estimates.statistics import estimate
from bench.analyse.run import environments, kernels
from bench.analyse.run.measured import MeasuredCell
from bench.analyse.run.run import Run
from bench.measure import machine
from bench.plan.cells import Cell, Contender, Shape

NOT_VERSIONS = ("executable", "environment", "kernels")
"""Details of a process that are no versions: where it is installed, and what is kept in another form."""


FLOOR = "median of blocks' least samples"
"""How floors are computed: entries that do not say so have the 5th percentile of a pass's samples."""


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
    """A cell of a run that has no time, with the conditions that are known without one."""

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


def entry_of(run: Run) -> Entry:
    """Make the entry of a run. Raises ValueError where it is not a complete run of one side."""
    if not run.is_complete:
        raise ValueError(f"{run.name} was cut off, and only whole runs are kept")
    if run.plan.sides:
        raise ValueError(f"{run.name} compares two sides, of which each may be of any revision")
    return Entry(
        run.name,
        _in_utc(run.head.started),
        run.plan.adaptive,
        tuple(_timed(run, cell) for cell in run.measured if cell.is_timed),
        tuple(_untimed(run, cell) for cell in run.measured if not cell.is_timed),
    )


def cell_of(values: dict[str, Any]) -> Cell:
    """Make the cell of an entry's plain data."""
    return Cell(Contender(**values["contender"]), Shape(**values["shape"]), values["phase"])


def _in_utc(started: str) -> str:
    """A journal's date in the one form that sorts by time and that pandas reads."""
    time = datetime.fromisoformat(started)
    return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC).isoformat()


def _timed(run: Run, measured: MeasuredCell) -> Timed:
    records, cell = measured.records, measured.cell
    worker = records.workers[-1]
    conditions = {"precision": worker.precision, **({"device": worker.device_name} if worker.device_name else {})}
    conditions |= environments.of_workers(records.workers) or {}
    kernel = kernels.in_words(worker.backend, worker.details)
    versions = {
        worker.backend: worker.backend_version,
        "python": worker.interpreter,
        **{name: str(value) for name, value in worker.details.items() if name not in NOT_VERSIONS},
        **({"matrix_kernels": kernel} if kernel else {}),
        **{name: run.head.machine.get(name, "") for name in ("system", "relubench", "source")},
    }
    return Timed(
        cell.key,
        _json(asdict(cell)),
        _json(_conditions(run, cell) | conditions),
        _json(versions),
        estimate([*records.floors.values()]).value,
        tuple(records.floors.values()),
        tuple(records.typicals.values()),
        run.plan.min_effect_of(cell),
    )


def _untimed(run: Run, measured: MeasuredCell) -> Untimed:
    cell, conditions = measured.cell, _json(_conditions(run, measured.cell))
    min_effect = run.plan.min_effect_of(cell)
    return Untimed(cell.key, _json(asdict(cell)), conditions, measured.status, measured.reason, min_effect)


def _conditions(run: Run, cell: Cell) -> dict[str, Any]:
    """The machine, the threads, the sampling, on which a least sample depends, and how floors are computed."""
    facts, plan = run.head.machine, run.plan
    return {
        "machine": machine.fingerprint(facts),
        "cpu": facts.get("cpu", ""),
        "processors": facts.get("usable_processors"),
        "measurement": facts.get("measurement", 1),
        "threads": plan.threads(cell.contender),
        "rounds": plan.rounds,
        "samples": plan.samples,
        "floor": FLOOR,
        **({"steps": plan.steps} if cell.phase == "train" else {}),
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
