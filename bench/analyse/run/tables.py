"""A journal's records as tables: one row per cell, one row per sample."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bench.analyse.estimates.statistics import Blocks, confidence_after, estimate, floor, high, standard_error, typical
from bench.measure.records import (
    STATUSES,
    Block,
    Failed,
    Left,
    Prepared,
    Record,
    RunEnded,
    RunResumed,
    RunStarted,
    WorkerStarted,
)
from bench.plan.cells import DTYPES, PHASES, Cell, Place, flops
from bench.plan.plain import from_plain
from bench.plan.plan import Plan

from . import csvfiles, disturbance, resolution, standing, suspicion
from .ceilings import BOUNDS, RESOLUTION, Limits, closeness, limits, unsteadiness
from .memo import once

TEXT, CATEGORY, WHOLE, REAL = "string", "category", "Int64", "float64"
TIMINGS: dict[str, str] = {
    "run": TEXT,
    "implementation": CATEGORY,
    "backend": CATEGORY,
    "backend_version": CATEGORY,
    "interpreter": CATEGORY,
    "source": CATEGORY,
    "device": CATEGORY,
    "device_name": CATEGORY,
    "dtype": CATEGORY,
    "precision": CATEGORY,
    "threads": WHOLE,
    "N": WHOLE,
    "D_in": WHOLE,
    "H": WHOLE,
    "D_out": WHOLE,
    "phase": CATEGORY,
    "status": CATEGORY,
    "reason": TEXT,
    "passes": WHOLE,
    "samples": WHOLE,
    "inner": WHOLE,
    "seconds": REAL,
    "seconds_low": REAL,
    "seconds_high": REAL,
    "seconds_floor": REAL,
    "seconds_p95": REAL,
    "speedup": REAL,
    "speedup_low": REAL,
    "speedup_high": REAL,
    "verdict": CATEGORY,
    "speedup_floor": REAL,
    "speedup_floor_low": REAL,
    "speedup_floor_high": REAL,
    "verdict_floor": CATEGORY,
    "rank": WHOLE,
    "rank_worst": WHOLE,
    "gflops": REAL,
    "ceiling_fraction": REAL,
    "bound": CATEGORY,
    "first_call_seconds": REAL,
    "setup_seconds": REAL,
    "import_seconds": REAL,
    "import_seconds_first": REAL,
    "peak_bytes": WHOLE,
    "error": REAL,
    "tolerance": REAL,
    "others_share": REAL,
    "steal_share": REAL,
}
"""The columns of `timings.csv`, in order, and their pandas dtypes. SI units."""
LATER = {
    "speedup_floor",
    "speedup_floor_low",
    "speedup_floor_high",
    "verdict_floor",
    "rank",
    "rank_worst",
    "bound",
    "import_seconds_first",
    "others_share",
    "steal_share",
}
"""Columns that a `timings.csv` of an earlier version may lack; empty then."""
SAMPLES: dict[str, str] = {
    "run": TEXT,
    "pass": WHOLE,
    "process": WHOLE,
    "round": WHOLE,
    "position": WHOLE,
    "implementation": CATEGORY,
    "device": CATEGORY,
    "dtype": CATEGORY,
    "threads": WHOLE,
    "N": WHOLE,
    "D_in": WHOLE,
    "H": WHOLE,
    "D_out": WHOLE,
    "phase": CATEGORY,
    "inner": WHOLE,
    "sample": WHOLE,
    "seconds": REAL,
}
"""The columns of `samples.csv.gz`. `threads` is the limit that was set."""
ORDERED = {"phase": list(PHASES), "status": list(STATUSES), "dtype": list(DTYPES), "bound": list(BOUNDS)}
ORDERED |= {name: ["faster", "same", "slower", "unclear", suspicion.SUSPECT] for name in ("verdict", "verdict_floor")}
BUSY_BEYOND_LIMIT = 1.25
"""Processor seconds per second, over the limit, from which a thread limit did not hold."""


@dataclass
class CellRecords:
    """What the journal has about one cell."""

    cell: Cell
    blocks: list[Block] = field(default_factory=list)
    workers: list[WorkerStarted] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    failed: Failed | None = None
    changed: list[str] = field(default_factory=list)
    """What had changed when the run was resumed after some of its blocks, in words."""

    def per_pass(self) -> dict[int, np.ndarray]:
        """The samples of each pass, in order of measurement."""
        samples: dict[int, list[float]] = defaultdict(list)
        for block in self.blocks:
            samples[block.pass_number].extend(block.seconds)
        return {pass_number: np.array(seconds) for pass_number, seconds in samples.items()}

    def by_round(self) -> dict[int, list[np.ndarray]]:
        """The samples of each pass's blocks."""
        samples: dict[int, list[np.ndarray]] = defaultdict(list)
        for block in self.blocks:
            samples[block.pass_number].append(np.array(block.seconds))
        return dict(samples)

    def per_block(self) -> Blocks:
        """The typical seconds of each block."""
        medians: dict[int, dict[int, float]] = defaultdict(dict)
        for block in self.blocks:
            medians[block.pass_number][block.round] = typical(np.array(block.seconds))
        return medians

    def within(self) -> dict[int, float]:
        """The standard error of each pass's log time, from the medians of its blocks."""
        return {pass_number: standard_error([*rounds.values()]) for pass_number, rounds in self.per_block().items()}

    @property
    def busy(self) -> float:
        """Processor seconds per second while it was sampled."""
        return float(np.median([block.cpu_per_wall for block in self.blocks])) if self.blocks else math.nan


def started(records: Sequence[Record]) -> RunStarted:
    """A journal's first record."""
    first = records[0]
    assert isinstance(first, RunStarted)
    return first


def is_complete(records: Sequence[Record]) -> bool:
    """Whether the run got to its end."""
    return any(isinstance(record, RunEnded) and record.complete for record in records)


def by_cell(records: Sequence[Record]) -> dict[str, CellRecords]:
    """The records of each of the plan's cells, by cell key, in the plan's order."""
    cells = {cell.key: CellRecords(cell) for cell in from_plain(started(records).plan).cells}
    contenders = defaultdict(list)
    for held in cells.values():
        contenders[held.cell.contender.label].append(held)
    for record in records:
        match record:
            case RunResumed(changed=[_, *_]):
                for held in cells.values():
                    held.changed += record.changed if held.blocks else []
            case WorkerStarted():
                for held in contenders[record.contender]:
                    held.workers.append(record)
            case Block():
                cells[record.cell].blocks.append(record)
            case Left():
                cells[record.cell].left.append(record)
            case Prepared():
                for key in record.cells:
                    cells[key].prepared.append(record)
            case Failed():
                for key in record.cells:
                    cells[key].failed = record
    return cells


@once
def timings(records: Sequence[Record]) -> pd.DataFrame:
    """One row per cell of the plan, measured or not, in the plan's order."""
    head = started(records)
    plan = from_plain(head.plan)
    rows = _rows(records, plan, head)
    _against_ceilings(rows, plan, limits(records))
    suspicion.set_aside(rows, plan)
    standing.compare(rows, plan)
    standing.rank(rows, plan)
    suspicion.give_verdicts(rows)
    for row in rows:
        row |= {name: csvfiles.storable(value) for name, value in row.items() if isinstance(value, str)}
    return typed(pd.DataFrame(rows, columns=[*TIMINGS]), TIMINGS)


def samples(records: Sequence[Record]) -> pd.DataFrame:
    """One row per sample, in the order they were taken."""
    head = started(records)
    plan = from_plain(head.plan)
    cells = {cell.key: cell for cell in plan.cells}
    blocks = [record for record in records if isinstance(record, Block)]
    counts = [len(block.seconds) for block in blocks]
    columns = [
        {
            "run": head.run,
            "pass": block.pass_number,
            "process": block.number,
            "round": block.round,
            "position": block.position,
            **_names(cells[block.cell], plan),
            "inner": block.inner,
        }
        for block in blocks
    ]
    table = pd.DataFrame(columns, columns=[*SAMPLES][:-2]).loc[np.repeat(np.arange(len(blocks)), counts)]
    table["sample"] = [number for count in counts for number in range(1, count + 1)]
    table["seconds"] = [second for block in blocks for second in block.seconds]
    return typed(table.reset_index(drop=True), SAMPLES)


def typed(table: pd.DataFrame, dtypes: dict[str, str]) -> pd.DataFrame:
    """With the columns' dtypes; categories in their meaning's order where they have one."""
    typed_columns: dict[str, Any] = {}
    for name, dtype in dtypes.items():
        column = table[name]
        if name in ORDERED:
            known = ORDERED[name]
            typed_columns[name] = pd.Categorical(column, categories=known, ordered=name == "phase")
        elif dtype == CATEGORY:
            present = list(dict.fromkeys(column.dropna()))
            typed_columns[name] = pd.Categorical(column, categories=present)
        else:
            typed_columns[name] = pd.Series(column, dtype=pd.api.types.pandas_dtype(dtype))
    return pd.DataFrame(typed_columns, index=table.index)


def _names(cell: Cell, plan: Plan) -> dict[str, Any]:
    contender, shape = cell.contender, cell.shape
    return {
        "implementation": contender.implementation,
        "device": contender.device,
        "dtype": contender.dtype,
        "threads": plan.threads(contender),
        "N": shape.N,
        "D_in": shape.D_in,
        "H": shape.H,
        "D_out": shape.D_out,
        "phase": cell.phase,
    }


def _rows(records: Sequence[Record], plan: Plan, head: RunStarted) -> list[dict[str, Any]]:
    """Before they are compared. A pass in which the machine did not keep its pace is known no better than that."""
    moved = unsteadiness(records, resolution.of_run(head) or RESOLUTION)
    return [_row(held, plan, head, moved.get(held.cell.contender.place, {})) for held in by_cell(records).values()]


def _row(held: CellRecords, plan: Plan, head: RunStarted, moved: Mapping[int, float]) -> dict[str, Any]:
    cell, per_pass = held.cell, held.per_pass()
    row: dict[str, Any] = {"run": head.run, **_names(cell, plan), **_status(held, plan)}
    row |= {"_variant": cell.contender.variant, "_per_pass": {}}
    row["source"] = _source(cell, plan, head)
    if held.workers:
        worker = held.workers[-1]
        for name in ("backend", "backend_version", "interpreter", "precision"):
            row[name] = getattr(worker, name)
        row["device_name"] = worker.device_name or head.machine.get("cpu", "")
        row["import_seconds"] = _median(worker.import_seconds for worker in held.workers)
        row["import_seconds_first"] = held.workers[0].import_seconds  # its files may not be in memory yet
    if held.prepared:
        row["setup_seconds"] = _median(prepared.setup_seconds for prepared in held.prepared)
        row["first_call_seconds"] = _median(prepared.cells[cell.key] for prepared in held.prepared)
        checks = [(p.error or 0.0, p.tolerance) for p in held.prepared if p.tolerance]
        row["error"], row["tolerance"] = max(checks, key=lambda check: check[0] / check[1], default=(None, None))
    if held.failed:
        row["error"] = held.failed.error if held.failed.error is not None else row.get("error")
        row["tolerance"] = held.failed.tolerance if held.failed.tolerance is not None else row.get("tolerance")
    if row["status"] != "ok":
        return row
    medians = {pass_number: typical(seconds) for pass_number, seconds in per_pass.items()}
    floors = {pass_number: floor(seconds) for pass_number, seconds in per_pass.items()}
    within = {
        pass_number: math.hypot(error, moved.get(pass_number, 0.0)) for pass_number, error in held.within().items()
    }
    centre = estimate([*medians.values()], [*within.values()], confidence_after(len(medians), plan.adaptive))
    row |= {
        "_per_pass": medians,
        "_within": within,
        "_blocks": held.per_block(),
        "_floors": floors,
        "_time": centre,
        "passes": len(per_pass),
        "samples": sum(map(len, per_pass.values())),
        "inner": held.blocks[-1].inner,
        "seconds": centre.value,
        "seconds_low": centre.low,
        "seconds_high": centre.high,
        "seconds_floor": estimate([*floors.values()]).value,
        "seconds_p95": estimate([high(seconds) for seconds in per_pass.values()]).value,
        "gflops": flops(cell.shape, cell.phase, plan.steps) / centre.value / 1e9,
        "peak_bytes": _peak_bytes(held),
    }
    return row | _disturbed(held, row["reason"], centre.half_width, plan.min_effect)


def _source(cell: Cell, plan: Plan, head: RunStarted) -> str:
    """What a contender's implementation came from: a side, a class of someone's own, or this tree."""
    sides = [f"{side.name} {side.label}" for side in plan.sides if side.name == cell.contender.variant]
    if ":" in cell.contender.implementation:
        sides = [cell.contender.implementation, *sides]
    return ", ".join(sides) or str(head.machine.get("source", ""))


def _status(held: CellRecords, plan: Plan) -> dict[str, Any]:
    if held.failed:
        return {"status": held.failed.status, "reason": held.failed.reason}
    if not held.blocks:
        return {"status": "not_run", "reason": "the run ended before this cell's first block"}
    reasons: list[str] = []
    row: dict[str, Any] = {"status": "ok"}
    limit = plan.threads(held.cell.contender)
    if held.busy > limit * BUSY_BEYOND_LIMIT:
        row["threads"] = math.ceil(held.busy - (BUSY_BEYOND_LIMIT - 1))
        reasons.append(f"asked to use {limit} threads, it kept {held.busy:.1f} busy")
    passes = len(held.per_pass())
    if passes < plan.passes:
        reasons.append(f"{passes} of {plan.passes} passes")
    if held.changed:
        reasons.append(f"resumed after a change of {', '.join(dict.fromkeys(held.changed))}")
    return row | {"reason": "; ".join(reasons)}


def _disturbed(held: CellRecords, reason: str, half_width: float, min_effect: float) -> dict[str, Any]:
    """What others took of the cell's processors, and in its reason whether its time suffered."""
    taken = disturbance.of_cell(held.blocks)
    if taken is None:
        return {}
    shares = {"others_share": taken.others, "steal_share": taken.stolen}
    if not disturbance.is_unsteady(taken, half_width, min_effect):
        return shares
    return {**shares, "reason": "; ".join(filter(None, (reason, disturbance.reason_of(taken))))}


def _peak_bytes(held: CellRecords) -> int | None:
    """The device's on an accelerator, the process's resident set on the host."""
    on_host = held.cell.contender.device == "cpu"
    peaks = [left.host_bytes if on_host else left.device_bytes for left in held.left]
    return max((peak for peak in peaks if peak is not None), default=None)


def suspects(records: Sequence[Record]) -> dict[str, str]:
    """By cell key, why a time cannot be true."""
    table = timings(records)
    cells = from_plain(started(records).plan).cells
    wrong = ~suspicion.trusted(table) & (table["status"] == "ok")
    return {cell.key: str(reason) for cell, reason, yes in zip(cells, table["reason"], wrong, strict=True) if yes}


def undecided(records: Sequence[Record]) -> set[str]:
    """The keys of cells whose place among the others, or verdict against the baseline, is `unclear`,
    and whose time is not precise enough to leave it at that; with them those they are compared with."""
    head = started(records)
    plan = from_plain(head.plan)
    rows = _rows(records, plan, head)
    _against_ceilings(rows, plan, limits(records))
    suspicion.set_aside(rows, plan)
    return standing.undecided(rows, plan)


def _against_ceilings(rows: list[dict[str, Any]], plan: Plan, found: Mapping[Place, Mapping[int, Limits]]) -> None:
    """How close each timed row is to what its device can do, and what binds it, paired within passes."""
    for row, cell in zip(rows, plan.cells, strict=True):
        here = found.get(cell.contender.place, {})
        if row["status"] == "ok" and here:
            close = closeness(cell, row["_per_pass"], row["_within"], here, plan.steps)
            row["ceiling_fraction"], row["bound"] = close.fraction.value, close.bound
            row["_ceiling_fraction"] = close.fraction


def _median(values: Iterable[float]) -> float:
    return float(np.median([*values]))
