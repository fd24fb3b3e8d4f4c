"""Made runs: journals with chosen numbers, for the tests of what reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings

from bench.analyse.estimates import statistics
from bench.analyse.run import loading
from bench.analyse.run.run import Run
from bench.measure.journal import Journal
from bench.measure.records import Block, Entered, Failed, Left, Prepared, Record, RunEnded, RunStarted, WorkerStarted
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.plain import to_plain
from bench.plan.plan import Plan
from bench.report import files

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
steady = settings(derandomize=True, deadline=None, database=None)
"""The settings of property tests: the same examples every time, and no deadline on a slow machine."""
UPDATE = "RELUBENCH_UPDATE_GOLDEN"

NUMPY = Contender("numpy", "cpu", "float32")
TORCH = Contender("torch", "cpu", "float32")
CUPY = Contender("cupy", "cuda", "float32")
SMALL, LARGE = Shape(64, 1000, 100), Shape(512, 1000, 100)
SPREAD = (0.99, 0.995, 1.0, 1.02, 1.1)
"""The samples in a block, as multiples of its middle one."""
DRIFT = (1.0, 1.01, 0.99, 1.005, 0.995)
"""The times of the passes, as multiples of the usual one, repeated."""
INNER = 16
STEPS = 100
"""The number of steps whose time a train of a made run takes, more than any of its plans has."""
MACHINE = {
    "cpu": "Model Processor",
    "processors": 4,
    "usable_processors": 2,
    "memory_bytes": 8 * 2**30,
    "accelerators": [],
    "system": "Linux",
    "python": "CPython 3.11.7",
    "relubench": "0.1.0",
    "source": "abc1234",
}


def plan_of_cells(
    contenders: Sequence[Contender] = (NUMPY, TORCH),
    shapes: Sequence[Shape] = (SMALL,),
    phases: Sequence[str] = ("step",),
    **others: Any,
) -> Plan:
    """Return a plan of every contender at every shape in every phase."""
    cells = tuple(Cell(contender, shape, phase) for phase in phases for shape in shapes for contender in contenders)
    settings = {"passes": 5, "rounds": 2, "samples": 5, "baseline": "numpy", "steps": 10, "timeout": 60, "cpus": 2}
    return Plan(**{"grid": "made", "cells": cells, "seed": 1, **settings, **others})


def settled(cell: Cell, pass_number: int) -> float:
    """Return the seconds of the middle sample: torch is twice as fast as numpy, and every pass drifts a little."""
    per_flop = {"numpy": 16e-12, "torch": 8e-12}.get(cell.contender.implementation, 4e-12)
    work = cell.shape.N * cell.shape.D_in * cell.shape.H * {"step": 4, "train": 4 * STEPS}.get(cell.phase, 2)
    return work * per_flop * DRIFT[(pass_number - 1) % len(DRIFT)]


@dataclass(frozen=True)
class Outcome:
    """The result of cells that fail, and the pass in which they do."""

    status: str
    reason: str
    pass_number: int = 1
    error: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Story:
    """The course of a made run."""

    plan: Plan
    seconds: Callable[[Cell, int], float] = settled
    outcomes: Mapping[Cell, Outcome] = field(default_factory=dict)
    workers: Mapping[Contender, Mapping[str, Any]] = field(default_factory=dict)
    """The fields in which the reports of a contender's processes differ from the usual."""
    busy: Mapping[Contender, float] = field(default_factory=dict)
    """Processor seconds per second, by contender."""
    passes: int | None = None
    """The passes that were begun; None for all."""
    complete: bool = True
    name: str = "2026-01-02T03-04-05-made"
    machine: Mapping[str, Any] = field(default_factory=lambda: MACHINE)

    def records(self) -> list[Record]:
        """Return the records of the run's journal."""
        run_records: list[Record] = [
            RunStarted(
                self.name, "2026-01-02T03:04:05+00:00", to_plain(self.plan), dict(self.machine), ["bench/", "-q"]
            )
        ]
        contenders = list(dict.fromkeys(cell.contender for cell in self.plan.cells))
        for pass_number in range(1, (self.plan.passes if self.passes is None else self.passes) + 1):
            for position, contender in enumerate(contenders, 1):
                number = (pass_number - 1) * len(contenders) + position
                run_records += self._visit(contender, number, pass_number)
        return [*run_records, RunEnded(True, 60.0)] if self.complete else run_records

    def run(self) -> Run:
        """Return the run of the journal."""
        return Run.of(self.records())

    def _visit(self, contender: Contender, number: int, pass_number: int) -> list[Record]:
        cells = [cell for cell in self.plan.cells if cell.contender == contender]
        outcomes = {cell: outcome for cell, outcome in self.outcomes.items() if outcome.pass_number <= pass_number}
        cells_by_new_outcome: dict[Outcome, list[str]] = {}
        for cell in cells:
            if cell in outcomes and outcomes[cell].pass_number == pass_number:
                cells_by_new_outcome.setdefault(outcomes[cell], []).append(cell.key)
        visit_records: list[Record] = []
        if any(cell not in outcomes or outcomes[cell].status == "wrong" for cell in cells):
            visit_records.append(self._worker(contender, number, pass_number))
        visit_records += [
            Failed(pass_number, keys, outcome.status, outcome.reason, outcome.error, outcome.tolerance, 0.125)
            for outcome, keys in cells_by_new_outcome.items()
        ]
        timed_cells = [cell for cell in cells if cell not in outcomes]
        for shape in dict.fromkeys(cell.shape for cell in timed_cells):
            calls = {cell.key: 0.002 for cell in timed_cells if cell.shape == shape}
            tensor = "w1 after update"
            visit_records.append(
                Prepared(number, pass_number, calls, 0.001, 2.0**-20 * pass_number, 2.0**-12, tensor, 0.05, 0.0625)
            )
        for cell in timed_cells:
            visit_records += self._blocks(cell, number, pass_number)
        return visit_records

    def _worker(self, contender: Contender, number: int, pass_number: int) -> WorkerStarted:
        usual = {
            "backend": contender.implementation.partition("_")[0],
            "backend_version": "1.2.3",
            "interpreter": "CPython 3.11.7",
            "device_name": "" if contender.device == "cpu" else "Model Accelerator",
            "precision": "highest",
            "threads": self.plan.threads(contender),
            "import_seconds": 0.25,
            "wall_seconds": 0.5,
            "details": {"numpy": "2.0.0", "blas": "model-blas 1.0"},
        }
        return WorkerStarted(number, pass_number, contender.label, **{**usual, **self.workers.get(contender, {})})

    def _blocks(self, cell: Cell, number: int, pass_number: int) -> list[Record]:
        seconds = [self.seconds(cell, pass_number) * factor for factor in SPREAD]
        busy = self.busy.get(cell.contender, 1.0)
        host, device = (200 * 2**20, None) if cell.contender.device == "cpu" else (None, 50 * 2**20)
        blocks = [
            Block(number, pass_number, round_number, 1, cell.key, INNER, seconds, busy, 0.01, 0.125)
            for round_number in range(1, self.plan.rounds + 1)
        ]
        entered = Entered(number, pass_number, cell.key, INNER, len(SPREAD), 0.03125)
        return [entered, *blocks, Left(number, pass_number, cell.key, host, device)]


def story(**others: Any) -> Story:
    """Return the run of the golden files: torch is wrong at the larger shape, and CuPy is unavailable."""
    plan = plan_of_cells((NUMPY, TORCH, CUPY), (SMALL, LARGE), ("forward", "step"))
    wrong = Outcome("wrong", "w1 after update is off by |a - b| = 0.25", error=0.25, tolerance=0.001)
    missing = Outcome("unavailable", "CuPy is not installed: pip install 'relubench[cuda13]'")
    outcomes = {cell: missing for cell in plan.cells if cell.contender == CUPY}
    outcomes |= {cell: wrong for cell in plan.cells if cell.contender == TORCH and cell.shape == LARGE}
    return Story(**{"plan": plan, "outcomes": outcomes, **others})


def records(**others: Any) -> list[Record]:
    """Return the journal's records of `story`."""
    return story(**others).records()


def write_journal(folder: Path, run_records: Sequence[Record] | None = None) -> Path:
    """Write a run's folder with its journal alone, and return the folder."""
    with Journal(folder) as journal:
        for record in records() if run_records is None else run_records:
            journal.append(record)
    return folder


def write_files(folder: Path, results: Path | None = None) -> list[Path]:
    """Write the files of a run that has a journal, and return them."""
    return files.write(loading.read(folder), folder, results)


def same_as_golden(name: str, text: str) -> bool:
    """Assert that a text is the golden file's, to the byte; RELUBENCH_UPDATE_GOLDEN=1 rewrites the file."""
    path = GOLDEN / name
    if os.environ.get(UPDATE) == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    assert path.read_bytes().decode() == text, f"{path} differs; {UPDATE}=1 rewrites it"
    return True


def disturbed(
    run_records: Sequence[Record],
    others: float = 0.0,
    stolen: float | None = 0.0,
    where: Callable[[Block], bool] = lambda block: True,
) -> list[Record]:
    """Return the records with these shares of the processors taken from some blocks, and none from the rest."""

    def with_counts(block: Block) -> Block:
        shares = (others, stolen) if where(block) else (0.0, 0.0 if stolen is not None else None)
        return replace(
            block,
            processor_seconds=1.0,
            waited_seconds=shares[0],
            others_seconds=shares[0],
            stolen_seconds=shares[1],
            switches=8,
        )

    return [with_counts(record) if isinstance(record, Block) else record for record in run_records]


def p_beyond(ratio: statistics.Estimate, bound: float) -> float:
    """Return one ratio's p-value for lying beyond a bound."""
    return float(statistics.p_beyond([ratio], np.array([bound]))[0])
