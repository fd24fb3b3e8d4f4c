"""A run as one side of a comparison: of each cell one value a process, and what it was measured on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isclose, nan
from os import PathLike
from pathlib import Path
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

NAMES = ["implementation", "device", "dtype", "N", "D_in", "H", "D_out", "phase"]
"""The columns that name a cell, but for its thread limit."""


@dataclass(frozen=True)
class CellSide:
    """A cell of a run. Seconds are by pass."""

    cell: Cell
    """Its thread limit is a number, whatever the plan called it."""
    status: str
    reason: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What its times depend on: `cpu` or `gpu`, `python`, its library's name, `threads`, …; those that are known."""
    floors: Mapping[int, float] = field(default_factory=dict)
    typicals: Mapping[int, float] = field(default_factory=dict)
    limits: Mapping[int, float] = field(default_factory=dict)
    """The least that the machine could have taken; empty where it was not measured."""
    limit: float = nan
    """The same over all passes."""
    environment: Mapping[str, str] | None = None
    """The variables that its processes had set; None where that is not known."""


@dataclass(frozen=True)
class RunSide:
    """A run. `machine` has its machine's facts, empty where they are lost."""

    name: str
    cells: Sequence[CellSide]
    machine: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    sampling: str = ""
    """Of a pass, in words."""
    adaptive: bool = False
    """Whether it ended once it had seen enough."""
    min_effect: float = MIN_EFFECT
    min_effects: Sequence[tuple[str, float]] = ()
    """The same by pattern of a cell's key, which has its threads as a number here."""

    def confidence(self, passes: int) -> float:
        """Of intervals after so many passes."""
        return confidence_after(passes, self.adaptive)


def load(path: str | PathLike[str]) -> RunSide:
    """The side that a run's folder, a results folder's newest run, or a `timings.csv` with its samples beside it has.

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
    """The side that a run with a journal is."""
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
    """The side that a `timings.csv` and its samples are, with what lies beside them. Raises LookupError where they do
    not match."""
    if run.samples.empty and (run.timings["status"] == "ok").any():
        raise LookupError(
            "has no samples.csv.gz beside it, whose processes are what is compared; name the run's folder"
        )
    plan = run.info.get("plan", {})
    samples: dict[Hashable, dict[int, dict[int, np.ndarray]]] = {}
    for key, seconds in run.samples.groupby([*NAMES, "threads", "pass"], observed=True)["seconds"]:
        *names, threads, pass_number = cast(tuple[Any, ...], key)
        by_limit = samples.setdefault(tuple(names), {})
        by_limit.setdefault(int(threads), {})[int(pass_number)] = seconds.to_numpy()
    cells = []
    for _, row in run.timings.iterrows():
        limit, per_pass = _samples_of(row, samples.get(tuple(row[NAMES]), {})) if row["status"] == "ok" else (None, {})
        contender = Contender(row["implementation"], row["device"], row["dtype"], limit or int(row["threads"]))
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
                floors={pass_number: floor(seconds) for pass_number, seconds in trusted.items()},
                typicals={pass_number: typical(seconds) for pass_number, seconds in trusted.items()},
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
    """Of a cell whose time cannot be true, `suspect`: it is no side of a ratio."""
    return SUSPECT if str(row["verdict"]) == SUSPECT else str(row["status"])


def matched(base: RunSide, head: RunSide) -> list[tuple[CellSide | None, CellSide | None]]:
    """The cells of both with their like on the other side, None where there is none: in base's order, then head's.

    A cell whose thread limit or dtype the other side lacks goes with the only other one that is left there.
    """
    partner: dict[int, int] = {}
    for ignored in (set(), {"threads"}, {"dtype"}, {"threads", "dtype"}):
        bases = _only(base.cells, ignored, set(partner))
        heads = _only(head.cells, ignored, set(partner.values()))
        partner |= {place: heads[name] for name, place in bases.items() if name in heads}
    pairs: list[tuple[CellSide | None, CellSide | None]] = [
        (one, head.cells[partner[place]] if place in partner else None) for place, one in enumerate(base.cells)
    ]
    found = set(partner.values())
    return pairs + [(None, one) for place, one in enumerate(head.cells) if place not in found]


def _only(cells: Sequence[CellSide], ignored: set[str], taken: set[int]) -> dict[Hashable, int]:
    """By name without what is ignored, the places of those that are the only ones of their name."""
    places: dict[Hashable, list[int]] = {}
    for place, one in enumerate(cells):
        if place not in taken:
            contender = one.cell.contender
            names = {"threads": contender.threads, "dtype": contender.dtype}
            kept = tuple(None if name in ignored else value for name, value in names.items())
            name = (
                contender.implementation,
                contender.device,
                contender.variant,
                one.cell.shape,
                one.cell.phase,
                *kept,
            )
            places.setdefault(name, []).append(place)
    return {name: mine[0] for name, mine in places.items() if len(mine) == 1}


def _samples_of(
    row: pd.Series, by_limit: Mapping[int, Mapping[int, np.ndarray]]
) -> tuple[int, Mapping[int, np.ndarray]]:
    """A timed row's samples and the limit on its threads, which the row does not tell where it did not hold."""
    for limit, per_pass in by_limit.items():
        if isclose(
            estimate([floor(seconds) for seconds in per_pass.values()]).value, row["seconds_floor"], rel_tol=1e-6
        ):
            return limit, per_pass
    raise LookupError(f"the samples beside it are of another run: they lack {row['implementation']}'s {row['phase']}")


def _facts(row: pd.Series, steps: int | None) -> dict[str, str]:
    told = {
        "cpu" if row["device"] == "cpu" else "gpu": row["device_name"],
        "python": row["interpreter"],
        str(row["backend"]): row["backend_version"],
        "dtype": row["dtype"],
        "precision": row["precision"],
        "threads": row["threads"],
        "steps": steps if row["phase"] == "train" else None,
    }
    return {name: str(value) for name, value in told.items() if pd.notna(value)}


def _limit(row: pd.Series) -> float:
    return float(row["ceiling_fraction"] * row["seconds"])


def _sampling(plan: Mapping[str, Any]) -> str:
    return f"{plan['rounds']} rounds of {plan['samples']} samples" if {"rounds", "samples"} <= set(plan) else ""
