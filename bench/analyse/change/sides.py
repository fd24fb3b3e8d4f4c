"""A run as one side of a comparison: each cell's values by pass, and what they depend on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isclose, nan
from os import PathLike
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.analyse.estimates.statistics import MIN_EFFECT, confidence_after, estimate, floor, typical
from bench.analyse.run import environments, kernels, loading
from bench.analyse.run.columns import SUSPECT
from bench.analyse.run.measured import MeasuredCell
from bench.analyse.run.run import Run
from bench.analyse.run.tables import RunTables
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.looks import of_ended

NAMES = ["implementation", "device", "dtype", "N", "D_in", "H", "D_out", "phase"]
"""The columns that name a cell, except for its thread limit."""


@dataclass(frozen=True)
class CellSide:
    """A cell of a run. Seconds are by pass."""

    cell: Cell
    """The cell, whose thread limit is a number here even where the plan has a name for it."""
    status: str
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the times depend on, where known: `cpu` or `gpu`, `python`, the library's name, `threads`, …"""
    floors: Mapping[int, float] = field(default_factory=dict)
    typicals: Mapping[int, float] = field(default_factory=dict)
    limits: Mapping[int, float] = field(default_factory=dict)
    """The shortest time possible on the machine; empty where its ceilings were not measured."""
    limit: float = nan
    """The shortest time possible on the machine, over all passes."""
    environment: Mapping[str, str] | None = None
    """The environment variables of its processes; None where they are not known."""


@dataclass(frozen=True)
class RunSide:
    """A run. `machine` has its machine's facts, and is empty where they are lost."""

    name: str
    cells: Sequence[CellSide]
    machine: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    sampling: str = ""
    """A description of the sampling of a pass."""
    adaptive: bool = False
    """Whether the run ended once its results were precise enough."""
    min_effect: float = MIN_EFFECT
    min_effects: Sequence[tuple[str, float]] = ()
    """Minimum effects by a pattern of cells' keys, in which the thread limit is a number."""

    def confidence(self, passes: int) -> float:
        """Return the confidence of intervals after some passes."""
        return confidence_after(passes, of_ended(self.adaptive))


def load(path: str | PathLike[str]) -> RunSide:
    """Return the side of a run's folder, of a results folder's newest run, or of a `timings.csv` beside its samples.

    Raises FileNotFoundError or ValueError, naming what is wrong.
    """
    path = Path(path)
    try:
        run = loading.load(path)
        tables = loading.tables_of(run, path) if run else loading.load_run(path)
        if tables.info.get("plan", {}).get("sides"):
            what = "compares two sides itself, and what became of its cells is in its comparison.md"
            raise ValueError(f"{tables.name} {what}")
        return of_run(run) if run else of_tables(tables)
    except LookupError as error:
        raise ValueError(f"{path}: {error.args[0]}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a table of this version of relubench: {error}") from error


def of_run(run: Run) -> RunSide:
    """Return the side of a run with a journal."""
    cells = [_of_cell(run, cell, row) for cell, (_, row) in zip(run.measured, run.timings.iterrows(), strict=True)]
    plan = run.plan
    return RunSide(
        run.name,
        cells,
        run.head.machine,
        run.head.started,
        _sampling(run.head.plan),
        plan.adaptive,
        plan.min_effect,
        plan.min_effects,
    )


def _of_cell(run: Run, measured: MeasuredCell, row: pd.Series) -> CellSide:
    plan, records, cell = run.plan, measured.records, measured.cell
    is_timed = measured.is_timed
    least_seconds = {
        pass_number: max(limits.compute_seconds(cell, plan.steps), limits.bandwidth_seconds(cell, plan.steps))
        for pass_number, limits in run.limits.get(cell.contender.place, {}).items()
        if is_timed and pass_number in records.typicals
    }
    libraries = {
        "blas": {str(worker.details["blas"]) for worker in records.workers if "blas" in worker.details},
        "matrix_kernels": {kernels.in_words(worker.backend, worker.details) for worker in records.workers} - {""},
    }
    facts = {name: ", ".join(sorted(versions)) for name, versions in libraries.items() if versions}
    return CellSide(
        Cell(replace(cell.contender, threads=plan.threads(cell.contender)), cell.shape, cell.phase),
        measured.status,
        measured.reason,
        _facts(row, plan.steps) | facts,
        environment=environments.of_workers(records.workers),
        limits=least_seconds,
        limit=_limit(row),
        floors=records.floors if is_timed else {},
        typicals=records.typicals if is_timed else {},
    )


def of_tables(run: RunTables) -> RunSide:
    """Return the side of a `timings.csv` and its samples, with the `run.json` beside them. Raises LookupError where
    they do not match."""
    if run.samples.empty and (run.timings["status"] == "ok").any():
        raise LookupError(
            "has no samples.csv.gz beside it, whose processes are what is compared; name the run's folder"
        )
    plan = run.info.get("plan", {})
    samples: dict[Hashable, dict[int, dict[int, list[np.ndarray]]]] = {}
    for key, seconds in run.samples.groupby([*NAMES, "threads", "pass", "round"], observed=True)["seconds"]:
        *names, threads, pass_number, _ = cast(tuple[Any, ...], key)
        by_pass = samples.setdefault(tuple(names), {}).setdefault(int(threads), {})
        by_pass.setdefault(int(pass_number), []).append(seconds.to_numpy())
    cells = []
    for _, row in run.timings.iterrows():
        is_timed, by_limit = row["status"] == "ok", samples.get(tuple(row[NAMES]), {})
        thread_limit, per_pass = _samples_of(row, by_limit) if is_timed else (None, {})
        contender = Contender(row["implementation"], row["device"], row["dtype"], thread_limit or int(row["threads"]))
        shape = Shape(*(int(row[axis]) for axis in ("N", "D_in", "H", "D_out")))
        trusted = per_pass if _status(row) == "ok" else {}
        cells.append(
            CellSide(
                Cell(contender, shape, row["phase"]),
                _status(row),
                "" if pd.isna(row["reason"]) else row["reason"],
                _facts(row, plan.get("steps")),
                environment=run.info.get("environment"),
                limit=_limit(row),
                floors={pass_number: median(map(floor, blocks)) for pass_number, blocks in trusted.items()},
                typicals=_typicals(trusted),
            )
        )
    return RunSide(
        run.name,
        cells,
        run.info.get("machine", {}),
        run.info.get("started", ""),
        _sampling(plan),
        plan.get("time_budget") is not None,
        plan.get("min_effect", MIN_EFFECT),
        [(pattern, effect) for pattern, effect in plan.get("min_effects", ())],
    )


def _status(row: pd.Series) -> str:
    """Return the status of a row; it is `suspect` where the time cannot be true, which has no ratio then."""
    return SUSPECT if str(row["verdict"]) == SUSPECT else str(row["status"])


def matched(base: RunSide, head: RunSide) -> list[tuple[CellSide | None, CellSide | None]]:
    """Return the pairs of like cells of both sides, in base's order, then head's; None where there is none.

    A cell whose thread limit or dtype the other side lacks is paired with the only like cell that is left there.
    """
    partners: dict[int, int] = {}
    for ignored in (set(), {"threads"}, {"dtype"}, {"threads", "dtype"}):
        bases = _only(base.cells, ignored, set(partners))
        heads = _only(head.cells, ignored, set(partners.values()))
        partners |= {index: heads[name] for name, index in bases.items() if name in heads}
    pairs: list[tuple[CellSide | None, CellSide | None]] = [
        (cell, head.cells[partners[index]] if index in partners else None) for index, cell in enumerate(base.cells)
    ]
    matched_heads = set(partners.values())
    return pairs + [(None, cell) for index, cell in enumerate(head.cells) if index not in matched_heads]


def _only(cells: Sequence[CellSide], ignored: set[str], taken: set[int]) -> dict[Hashable, int]:
    """Return the indices of cells with a unique name, by that name without what is ignored."""
    indices: dict[Hashable, list[int]] = {}
    for index, cell in enumerate(cells):
        if index not in taken:
            contender = cell.cell.contender
            names = {"threads": contender.threads, "dtype": contender.dtype}
            kept = tuple(None if name in ignored else value for name, value in names.items())
            name = (
                contender.implementation,
                contender.device,
                contender.variant,
                cell.cell.shape,
                cell.cell.phase,
                *kept,
            )
            indices.setdefault(name, []).append(index)
    return {name: indices_of_name[0] for name, indices_of_name in indices.items() if len(indices_of_name) == 1}


def _samples_of(
    row: pd.Series, by_limit: Mapping[int, Mapping[int, Sequence[np.ndarray]]]
) -> tuple[int, Mapping[int, Sequence[np.ndarray]]]:
    """Return a timed row's thread limit and the samples of its blocks, by pass; the row itself lacks the limit where
    the cell exceeded it."""
    for thread_limit, per_pass in by_limit.items():
        if isclose(estimate([*_typicals(per_pass).values()]).value, row["seconds"], rel_tol=1e-6):
            return thread_limit, per_pass
    raise LookupError(f"the samples beside it are of another run: they lack {row['implementation']}'s {row['phase']}")


def _typicals(per_pass: Mapping[int, Sequence[np.ndarray]]) -> dict[int, float]:
    return {pass_number: typical(np.concatenate(blocks)) for pass_number, blocks in per_pass.items()}


def _facts(row: pd.Series, steps: int | None) -> dict[str, str]:
    facts = {
        "cpu" if row["device"] == "cpu" else "gpu": row["device_name"],
        "python": row["interpreter"],
        str(row["backend"]): row["backend_version"],
        "dtype": row["dtype"],
        "precision": row["precision"],
        "threads": row["threads"],
        "steps": steps if row["phase"] == "train" else None,
    }
    return {name: str(value) for name, value in facts.items() if pd.notna(value)}


def _limit(row: pd.Series) -> float:
    return float(row["ceiling_fraction"] * row["seconds"])


def _sampling(plan: Mapping[str, Any]) -> str:
    return f"{plan['rounds']} rounds of {plan['samples']} samples" if {"rounds", "samples"} <= set(plan) else ""
