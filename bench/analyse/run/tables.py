"""The tables of a run: one row per cell, one row per sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from bench.analyse.estimates.statistics import Blocks, estimate
from bench.measure.records import Block, RunStarted
from bench.plan.cells import Cell, flops
from bench.plan.plan import Plan

from .columns import SAMPLES, SUSPECT, Timing, table_of, typed
from .measured import MeasuredCell
from .recorded import CellRecords, RunRecords
from .standing import Speedup


@dataclass(frozen=True)
class RunTables:
    """The tables of a run, from its journal or from its CSV files."""

    name: str
    timings: pd.DataFrame
    samples: pd.DataFrame
    info: dict[str, Any]
    """The run's plan, machine and options, as `run.json` has them; empty where only a CSV is left."""


def timings(
    run: RunRecords,
    cells: Sequence[MeasuredCell],
    speedups: Mapping[str, Speedup],
    floor_speedups: Mapping[str, Speedup],
    ranks: Mapping[str, tuple[int, int]],
) -> pd.DataFrame:
    """Return one row per cell of the plan, measured or not, in the plan's order."""
    rows = []
    for cell in cells:
        row = _row(cell, run)
        if speedup := speedups.get(cell.key):
            row.speedup, row.speedup_low, row.speedup_high = speedup.ratio.with_bounds
            row.verdict = speedup.verdict
        if speedup := floor_speedups.get(cell.key):
            row.speedup_floor, row.speedup_floor_low, row.speedup_floor_high = speedup.ratio.with_bounds
            row.verdict_floor = speedup.verdict
        if rank := ranks.get(cell.key):
            row.rank, row.rank_worst = rank
        rows.append(row)
    return table_of(rows)


def samples(run: RunRecords) -> pd.DataFrame:
    """Return one row per sample, in the order they were taken."""
    blocks = run.of_kind(Block)
    counts = [len(block.seconds) for block in blocks]
    table = blocks_table(run).loc[np.repeat(np.arange(len(blocks)), counts)]
    table["sample"] = np.concatenate([np.arange(1, count + 1) for count in counts]) if counts else []
    table["seconds"] = np.concatenate([block.seconds for block in blocks]) if counts else []
    return typed(table.reset_index(drop=True), SAMPLES)


def blocks_table(run: RunRecords) -> pd.DataFrame:
    """Return one row per block, in the order they were taken: the columns that its samples share, which are all but the
    last two."""
    blocks = run.of_kind(Block)
    facts = {key: names_of(records.cell, run.plan) for key, records in run.cells.items()}
    columns: dict[str, Any] = {
        "run": [run.name] * len(blocks),
        "pass": [block.pass_number for block in blocks],
        "process": [block.number for block in blocks],
        "round": [block.round for block in blocks],
        "position": [block.position for block in blocks],
        "inner": [block.inner for block in blocks],
        **{name: [facts[block.cell][name] for block in blocks] for name in CELL_NAMES},
    }
    return typed(pd.DataFrame(columns), [column for column in SAMPLES if column.name in columns])


CELL_NAMES = ("implementation", "device", "dtype", "threads", "N", "D_in", "H", "D_out", "phase")
"""The columns that name a cell. In a table of samples `threads` is the thread limit, in one of cells the threads in
force: a cell that exceeded its limit finds no samples by its name."""


def names_of(cell: Cell, plan: Plan) -> dict[str, Any]:
    """Return the values of the columns that name a cell."""
    contender, shape = cell.contender, cell.shape
    sizes = shape.N, shape.D_in, shape.H, shape.D_out
    values = contender.implementation, contender.device, contender.dtype, plan.threads(contender), *sizes, cell.phase
    return dict(zip(CELL_NAMES, values, strict=True))


def blocks_of(samples: pd.DataFrame) -> dict[tuple[object, ...], Blocks]:
    """Return the typical seconds of each cell's blocks, by the values of CELL_NAMES, from a table of samples."""
    medians = samples.groupby([*CELL_NAMES, "pass", "round"], observed=True)["seconds"].median()
    blocks: dict[tuple[object, ...], dict[int, dict[int, float]]] = {}
    for (*cell, pass_number, round_number), seconds in zip(medians.index.to_list(), medians, strict=True):
        rounds = blocks.setdefault(tuple(cell), {}).setdefault(int(pass_number), {})
        rounds[int(round_number)] = float(seconds)
    return dict(blocks)


def _row(cell: MeasuredCell, run: RunRecords) -> Timing:
    """Return the row of a cell, without what comparing it with others adds."""
    records, is_suspect = cell.records, cell.status == SUSPECT
    row = Timing(**names_of(cell.cell, run.plan), run=run.name)
    # A suspect cell is `ok` by its status, which has a time, and `suspect` by its verdicts.
    row.status, row.reason, row.threads = "ok" if is_suspect else cell.status, cell.reason, cell.threads
    row.source = _source(cell.cell, run.plan, run.head)
    _add_processes(row, records, run.head)
    if cell.is_timed or is_suspect:
        _add_time(row, cell, run.plan)
    if is_suspect:
        row.verdict = row.verdict_floor = SUSPECT
    return row


def _add_processes(row: Timing, records: CellRecords, head: RunStarted) -> None:
    """Add what a cell's processes reported, and what they took before they were timed."""
    if records.workers:
        worker = records.workers[-1]
        row.backend, row.backend_version = worker.backend, worker.backend_version
        row.interpreter, row.precision = worker.interpreter, worker.precision
        row.device_name = worker.device_name or head.machine.get("cpu", "")
        row.import_seconds = _median(worker.import_seconds for worker in records.started_alone)
        row.import_seconds_first = records.workers[0].import_seconds  # its files may not be in memory yet
    if records.prepared:
        key = records.cell.key
        row.setup_seconds = _median(prepared.setup_seconds for prepared in records.prepared)
        row.first_call_seconds = _median(prepared.cells[key] for prepared in records.prepared)
        checks = [(prepared.error or 0.0, prepared.tolerance) for prepared in records.prepared if prepared.tolerance]
        row.error, row.tolerance = max(checks, key=lambda check: check[0] / check[1], default=(None, None))
    if records.failed:
        row.error = records.failed.error if records.failed.error is not None else row.error
        row.tolerance = records.failed.tolerance if records.failed.tolerance is not None else row.tolerance


def _add_time(row: Timing, cell: MeasuredCell, plan: Plan) -> None:
    records, summaries = cell.records, cell.records.summaries.values()
    row.passes, row.samples = len(summaries), sum(process.count for process in summaries)
    row.inner = records.blocks[-1].inner
    row.seconds, row.seconds_low, row.seconds_high = cell.time.with_bounds
    row.seconds_floor = estimate([*records.floors.values()]).value
    row.seconds_p95 = estimate([process.high for process in summaries]).value
    row.gflops = flops(cell.cell.shape, cell.cell.phase, plan.steps) / cell.time.value / 1e9
    row.ceiling_fraction, row.bound = cell.closeness.fraction.value, cell.closeness.bound
    row.peak_bytes = max((peak for _, peak in records.peaks), default=None)
    if cell.disturbance:
        row.others_share, row.steal_share = cell.disturbance.others, cell.disturbance.stolen


def _source(cell: Cell, plan: Plan, head: RunStarted) -> str:
    """Return the source of a contender's implementation: a side, a user's own class, or this tree."""
    sides = [f"{side.name} {side.label}" for side in plan.sides if side.name == cell.contender.variant]
    if ":" in cell.contender.implementation:
        sides = [cell.contender.implementation, *sides]
    return ", ".join(sides) or str(head.machine.get("source", ""))


def _median(values: Iterable[float]) -> float:
    return float(median(values))
