"""A run as one side of a comparison: of each cell one value a process, and what it was measured on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose, nan
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from bench.analyse.estimates.statistics import MIN_EFFECT, confidence_after, estimate, floor, typical
from bench.analyse.run import ceilings, environments, kernels, loading, suspicion, tables
from bench.measure.records import Record
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.plain import from_plain

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
    """Of a run's folder, a results folder (its newest run), or a `timings.csv` with its samples beside it.

    Raises FileNotFoundError or ValueError, naming what is wrong.
    """
    path = Path(path)
    records = loading.records_of(path)
    if records is not None:
        _check_one_sided(loading.load_run(path))  # which complains of one of another version
        return of_records(records)
    try:
        run = loading.load_run(path)
        _check_one_sided(run)
        return of_tables(run)
    except LookupError as error:
        raise ValueError(f"{path}: {error.args[0]}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a table of this version of relubench: {error}") from error


def of_records(records: Sequence[Record]) -> RunSide:
    """Of a journal."""
    head = tables.started(records)
    plan = from_plain(head.plan)
    held = tables.by_cell(records)
    found = ceilings.limits(records)
    cells = []
    for cell, (_, row) in zip(plan.cells, tables.timings(records).iterrows(), strict=True):
        mine = held[cell.key]
        per_pass = mine.per_pass() if _status(row) == "ok" else {}
        limits = {
            pass_number: max(most.compute_seconds(cell, plan.steps), most.bandwidth_seconds(cell, plan.steps))
            for pass_number, most in found.get(cell.contender.place, {}).items()
            if pass_number in per_pass
        }
        told = {
            "blas": {str(worker.details["blas"]) for worker in mine.workers if "blas" in worker.details},
            "matrix_kernels": {kernels.in_words(worker.backend, worker.details) for worker in mine.workers} - {""},
        }
        cells.append(
            CellSide(
                Cell(_limited(cell.contender, plan.threads(cell.contender)), cell.shape, cell.phase),
                _status(row),
                row["reason"],
                _facts(row, plan.steps) | {name: ", ".join(sorted(some)) for name, some in told.items() if some},
                environment=environments.of_workers(mine.workers),
                limits=limits,
                limit=_limit(row),
                **_by_pass(per_pass),
            )
        )
    return RunSide(
        head.run,
        cells,
        head.machine,
        head.started,
        _sampling(head.plan),
        plan.adaptive,
        plan.min_effect,
        plan.min_effects,
    )


def of_tables(run: loading.Run) -> RunSide:
    """Of a `timings.csv` and its samples, with what lies beside it. Raises LookupError where they do not match."""
    if run.samples.empty and (run.timings["status"] == "ok").any():
        raise LookupError(
            "has no samples.csv.gz beside it, whose processes are what is compared; name the run's folder"
        )
    plan = run.info.get("plan", {})
    samples: dict[Hashable, dict[int, dict[int, np.ndarray]]] = {}
    for key, seconds in run.samples.groupby([*NAMES, "threads", "pass"], observed=True)["seconds"]:
        *names, threads, pass_number = cast(tuple[Any, ...], key)
        limits = samples.setdefault(tuple(names), {})
        limits.setdefault(int(threads), {})[int(pass_number)] = seconds.to_numpy()
    cells = []
    for _, row in run.timings.iterrows():
        limit, per_pass = _samples_of(row, samples.get(tuple(row[NAMES]), {})) if row["status"] == "ok" else (None, {})
        contender = Contender(row["implementation"], row["device"], row["dtype"], limit or int(row["threads"]))
        shape = Shape(*(int(row[axis]) for axis in ("N", "D_in", "H", "D_out")))
        cells.append(
            CellSide(
                Cell(contender, shape, row["phase"]),
                _status(row),
                "" if pd.isna(row["reason"]) else row["reason"],
                _facts(row, plan.get("steps")),
                environment=run.info.get("environment"),
                limit=_limit(row),
                **_by_pass(per_pass if _status(row) == "ok" else {}),
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
    return suspicion.SUSPECT if str(row["verdict"]) == suspicion.SUSPECT else str(row["status"])


def _check_one_sided(run: loading.Run) -> None:
    if run.info.get("plan", {}).get("sides"):
        raise ValueError(f"{run.name} compares two sides itself, and what became of its cells is in its comparison.md")


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


def _by_pass(per_pass: Mapping[int, np.ndarray]) -> dict[str, dict[int, float]]:
    return {
        "floors": {pass_number: floor(seconds) for pass_number, seconds in per_pass.items()},
        "typicals": {pass_number: typical(seconds) for pass_number, seconds in per_pass.items()},
    }


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


def _limited(contender: Contender, threads: int) -> Contender:
    return Contender(contender.implementation, contender.device, contender.dtype, threads, contender.variant)


def _sampling(plan: Mapping[str, Any]) -> str:
    return f"{plan['rounds']} rounds of {plan['samples']} samples" if {"rounds", "samples"} <= set(plan) else ""
