"""A run in the form that the formats start from: its cells, each with its row and its samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.analyse.estimates.statistics import Blocks, typical
from bench.analyse.run.run import Run
from bench.analyse.run.tables import CELL_NAMES, RunTables
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.plain import from_plain
from bench.plan.plan import Plan
from bench.report.plain import plain

Samples = Mapping[int, Mapping[int, Sequence[float]]]
"""Seconds per iteration, by pass and round, in the order they were taken."""


@dataclass(frozen=True)
class Measured:
    """A cell, its row of `timings.csv`, and its samples."""

    cell: Cell
    row: dict[str, Any]
    """Plain values; None for unknown ones."""
    samples: Samples
    """Empty where a run's samples are lost."""

    @property
    def ok(self) -> bool:
        """Whether the cell has a time."""
        return bool(self.row["status"] == "ok")

    def pooled(self) -> list[float]:
        """Every sample, in seconds, pass by pass."""
        return [second for rounds in self.samples.values() for block in rounds.values() for second in block]

    def per_pass(self) -> list[float]:
        """The typical seconds of each pass, that is, of each process."""
        return [typical(np.concatenate([*map(np.asarray, rounds.values())])) for rounds in self.samples.values()]

    def per_block(self) -> Blocks:
        """The typical seconds of each block."""
        return {
            pass_number: {round_number: typical(np.asarray(block)) for round_number, block in rounds.items()}
            for pass_number, rounds in self.samples.items()
        }


@dataclass(frozen=True)
class Exported:
    """A run and its cells, in the plan's order."""

    run: RunTables
    cells: tuple[Measured, ...]
    adaptive: bool = False
    """Whether the run went on until its cells were decided."""

    @property
    def source(self) -> str:
        """The revision of the measured sources by git, like `v1.0-3-gabc1234-dirty`; empty where not known."""
        recorded = str(self.run.info.get("machine", {}).get("source", ""))
        built_in = (exported for exported in self.cells if ":" not in exported.cell.contender.implementation)
        return recorded or next((str(exported.row["source"]) for exported in built_in if exported.row["source"]), "")

    def timed(self) -> list[Measured]:
        """The cells that have a time. Raises ValueError where none has: an empty file would pass for a clean run."""
        if timed := [measured for measured in self.cells if measured.ok]:
            return timed
        raise ValueError(f"run {self.run.name}: none of its {len(self.cells)} cells has a time, nothing to export")

    def sampled(self) -> list[Measured]:
        """The cells that have a time, with their samples. Raises ValueError where those of a cell are lost."""
        for measured in (timed := self.timed()):
            if not measured.samples:
                raise ValueError(
                    f"run {self.run.name}: {measured.cell.key} has no samples; this format needs the run's "
                    "journal.jsonl or samples.csv.gz beside its timings.csv"
                )
        return timed


def of_run(run: Run) -> Exported:
    """Export a run with a journal, which alone distinguishes cells whose thread limits are the same number."""
    cells = [
        Measured(
            records.cell, row, _of_blocks((block.pass_number, block.round, block.seconds) for block in records.blocks)
        )
        for records, row in zip(run.cells.values(), _rows(run.timings), strict=True)
    ]
    return Exported(run.tables, tuple(cells), run.plan.adaptive)


def of_tables(run: RunTables) -> Exported:
    """Export a run from its tables."""
    rows, plan = _rows(run.timings), _plan(run)
    is_planned = plan is not None and len(plan.cells) == len(rows)
    cells = [*plan.cells] if plan and is_planned else _cells_of(rows)
    samples = _samples_by_names(run.samples, [_names(cell, plan) for cell in cells])
    measured = tuple(Measured(*parts) for parts in zip(cells, rows, samples, strict=True))
    return Exported(run, measured, plan is not None and plan.adaptive)


def _rows(timings: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): plain(value) for name, value in row.items()} for row in timings.to_dict("records")]


def _plan(run: RunTables) -> Plan | None:
    """The run's plan, where its `run.json` still has it."""
    if "plan" not in run.info:
        return None
    try:
        return from_plain(run.info["plan"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"run {run.name}: its run.json is not of this version of relubench: {error!r}") from error


def _cells_of(rows: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """The cells of rows, by the threads in force, and numbered where two thread limits gave the same number."""
    cells: list[Cell] = []
    seen: Counter[Cell] = Counter()
    for row in rows:
        shape = Shape(row["N"], row["D_in"], row["H"], row["D_out"])
        names = row["implementation"], row["device"], row["dtype"], row["threads"]
        cell = Cell(Contender(*names), shape, row["phase"])
        seen[cell] += 1
        number = str(seen[cell]) if seen[cell] > 1 else ""
        cells.append(Cell(Contender(*names, number), shape, row["phase"]))
    return cells


def _names(cell: Cell, plan: Plan | None) -> tuple[Any, ...]:
    contender, shape = cell.contender, cell.shape
    threads = plan.threads(contender) if plan else contender.threads
    sizes = shape.N, shape.D_in, shape.H, shape.D_out
    return (contender.implementation, contender.device, contender.dtype, threads, *sizes, cell.phase)


def _samples_by_names(samples: pd.DataFrame, names: Sequence[tuple[Any, ...]]) -> list[Samples]:
    """The samples of each cell, looked up by its names; none for cells with the same names."""
    by_name = {}
    for key, of_cell in samples.groupby([*CELL_NAMES], observed=True, sort=False):
        blocks = of_cell.groupby(["pass", "round"], sort=False)["seconds"]
        by_name[tuple(map(plain, key))] = _of_blocks((*map(int, numbers), block.tolist()) for numbers, block in blocks)
    count = Counter(names)
    return [by_name.get(name, {}) if count[name] == 1 else {} for name in names]


def _of_blocks(blocks: Iterable[tuple[int, int, Sequence[float]]]) -> Samples:
    samples: dict[int, dict[int, Sequence[float]]] = defaultdict(dict)
    for pass_number, round_number, seconds in blocks:
        samples[pass_number][round_number] = seconds
    return dict(samples)
