"""Which contender to use at a size, measured or not: a run's answer, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.analyse.estimates.statistics import CONFIDENCE, Blocks, Estimate, paired
from bench.analyse.run import crossovers, tables
from bench.analyse.run.costs import costs
from bench.analyse.run.loading import Run
from bench.analyse.run.suspicion import SUSPECT, trusted
from bench.measure.plans import plan_of
from bench.measure.records import Record
from bench.plan.cells import DEFAULT_D_OUT, DTYPES, PHASES, Shape, flops
from bench.plan.nearest import hint

from . import costmodel
from .costmodel import AXES, KEY, LEVEL, Validation, Who

Starts = Mapping[tuple[Who, Shape], Estimate]
"""Seconds from a process's import to the end of its first step, where nothing ran in it before."""
UNSURE = 0.20
"""The relative half-width of an interval from which the cell is worth measuring."""


@dataclass(frozen=True)
class Question:
    """What is asked; None where anything that the run has will do, but one dtype: by default its first."""

    shape: Shape
    phase: str = "step"
    steps: int | None = None
    """Of a training whose start counts as well."""
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Answer:
    """`table` has a row for each contender, best first: implementation, device, dtype, threads; seconds, low, high
    of one iteration with its 90 % interval; start_seconds (import, set-up and first step) and total_seconds,
    total_low, total_high where steps were asked for; measured, whether this very cell was; tied, whether it is not
    told apart from the first."""

    question: Question
    iteration: str
    """What the seconds are of: the phase, and how many steps a `train` has."""
    run: Run
    table: pd.DataFrame
    validation: Validation | None
    """None where nothing had to be predicted."""
    left_out: list[str]
    """Contenders without an answer, and why."""
    measure: str | None
    """The command that makes it sure; None where it is."""


def starts(records: Sequence[Record]) -> Starts:
    """Of each contender at each shape whose step a run timed."""
    plan = plan_of(tables.started(records))
    return {
        (
            (each.contender.implementation, each.contender.device, each.contender.dtype, plan.threads(each.contender)),
            each.shape,
        ): each.start_seconds
        for each in costs(records)
        if each.start_seconds.passes
    }


def recommend(run: Run, question: Question, started: Starts | None = None) -> Answer:
    """What a run says of a size. Where `started` lacks a contender, as where only a CSV is left of the run, its
    start is the sum of the table's medians, which are of processes that had other sizes before.

    Raises ValueError, in a line, for what the run has nothing of, and for sizes too far beyond what it measured.
    """
    _check(question)
    if run.info.get("plan", {}).get("sides"):
        raise ValueError(f"{run.name} compares two sides, not who is fastest; name another run with --results")
    timings = _selected(run.timings, question)
    cells = costmodel.measured(timings)
    phase = [one for one in cells if one.phase == question.phase]
    if not phase:
        raise ValueError(f"{run.name} has no time of such a cell: every one failed or was not run")
    names = list(dict.fromkeys(one.who[0] for one in phase))
    steps = phase[0].steps
    here = _at(timings, question)
    timed = {one.who for one in phase}
    failed = {who: why for who, why in _failed_at(timings, question).items() if who in timed}
    missing = [one for one in phase if one.who not in here and one.who not in failed]
    able = [one for one in missing if len(one.shapes) >= costmodel.MIN_SHAPES]
    predicted: dict[Who, costmodel.Prediction] = {}
    validation, scale = None, None
    if missing:
        costmodel.refuse_beyond(phase, question.shape, question.phase, _command(question, names, timings, steps))
    beyond = {one.who: told for one in able if (told := costmodel.beyond([one], question.shape, question.phase))}
    able = [one for one in able if one.who not in beyond]
    if able:
        fitted, validation = costmodel.model(cells), costmodel.validate(cells)
        predicted = {one.who: fitted.predict(one.who, one.phase, question.shape) for one in able}
        scale = fitted.scale
    if not here and not predicted:
        raise ValueError(
            f"{run.name} timed {question.phase} at too few sizes to predict others "
            f"(it takes {costmodel.MIN_SHAPES}); measure it: {_command(question, names, timings, steps)}"
        )
    rows = [_measured_row(who, row) for who, row in here.items()]
    rows += [_predicted_row(who, one) for who, one in predicted.items()]
    table = _ranked(
        pd.DataFrame([_with_total(row, timings, question, started or {}) for row in rows]), run, question, scale
    )
    unsure = _unsure(table)
    again = [int(row["passes"]) for row in here.values() if row["implementation"] in unsure]
    measure = _command(question, unsure, timings, steps, 2 * max(again, default=0)) if unsure else None
    iteration = question.phase if question.phase != "train" else f"train of {steps} steps"
    return Answer(question, iteration, run, table, validation, _left_out(missing, {**beyond, **failed}), measure)


def _check(question: Question) -> None:
    for axis in AXES:
        if getattr(question.shape, axis) < 1:
            raise ValueError(f"{_option(axis)} {getattr(question.shape, axis)}: a size is a whole number above 0")
    if question.phase not in PHASES:
        near = hint(question.phase, PHASES)
        raise ValueError(f"--phase {question.phase}: phases are {', '.join(PHASES)}{near}")
    if question.steps is not None and question.steps < 1:
        raise ValueError(f"--steps {question.steps}: a training takes one step or more")
    if question.steps is not None and question.phase != "step":
        raise ValueError(f"--steps counts steps: it goes with --phase step, not {question.phase}")


def _selected(timings: pd.DataFrame, question: Question) -> pd.DataFrame:
    """The rows whose contenders are asked for. Raises ValueError naming the option and what the run has."""
    dtypes = [dtype for dtype in DTYPES if dtype in set(timings["dtype"])]
    asked = {
        "--dtype": ("dtype", question.dtype or next(iter(dtypes), None)),
        "--device": ("device", question.device),
        "--threads": ("threads", question.threads),
    }
    for option, (column, value) in asked.items():
        if value is None:
            continue
        fitting = timings[timings[column] == value]
        if fitting.empty:
            near = hint(value, {str(each) for each in timings[column].dropna()})
            raise ValueError(f"{option} {value}: this run has {_listed(timings[column])}{near}")
        timings = fitting
    if question.phase not in set(timings["phase"]):
        raise ValueError(f"--phase {question.phase}: this run has {_listed(timings['phase'])}")
    return timings


def _at(timings: pd.DataFrame, question: Question) -> dict[Who, pd.Series]:
    """The rows of the very cell, by contender."""
    there = timings[trusted(timings) & (timings["phase"] == question.phase)]
    for axis in AXES:
        there = there[there[axis] == getattr(question.shape, axis)]
    return {_who(row): row for _, row in there.drop_duplicates(KEY).iterrows()}


def _failed_at(timings: pd.DataFrame, question: Question) -> dict[Who, str]:
    """Contenders that were tried at the very cell and have no time there, and why."""
    lacking = ~trusted(timings) & (timings["status"] != "not_run")
    there = timings[lacking & (timings["phase"] == question.phase)]
    for axis in AXES:
        there = there[there[axis] == getattr(question.shape, axis)]
    return {_who(row): f"{_outcome(row)} at this very cell, {row['reason']}" for _, row in there.iterrows()}


def _outcome(row: pd.Series) -> str:
    return SUSPECT if row["status"] == "ok" else str(row["status"])


def _left_out(missing: Sequence[costmodel.Measured], failed: dict[Who, str]) -> list[str]:
    few = [
        f"{one.who[0]}: timed at {len(one.shapes)} of the {costmodel.MIN_SHAPES} sizes that predicting takes"
        for one in missing
        if len(one.shapes) < costmodel.MIN_SHAPES
    ]
    return few + [f"{who[0]}: {why}" for who, why in failed.items()]


def _measured_row(who: Who, row: pd.Series) -> dict[str, Any]:
    """Its 95 % interval, narrowed to 90 % as a normal one; unknown from one pass."""
    width = (log(row["seconds_high"]) - log(row["seconds_low"])) / 2
    reach = width * stats.norm.ppf((1 + LEVEL) / 2) / stats.norm.ppf((1 + CONFIDENCE) / 2)
    seconds = float(row["seconds"])
    low, high = seconds * exp(-reach), seconds * exp(reach)
    return {**dict(zip(KEY, who, strict=True)), "seconds": seconds, "low": low, "high": high, "measured": True}


def _predicted_row(who: Who, one: costmodel.Prediction) -> dict[str, Any]:
    return {
        **dict(zip(KEY, who, strict=True)),
        "seconds": one.seconds,
        "low": one.low,
        "high": one.high,
        "measured": False,
    }


def _with_total(row: dict[str, Any], timings: pd.DataFrame, question: Question, started: Starts) -> dict[str, Any]:
    """Adds what a training takes from its import on; start-up costs are those of the measured size of nearest work."""
    if question.steps is None:
        return row
    mine = timings[trusted(timings) & (timings["phase"] == question.phase)]
    for name in KEY:
        mine = mine[mine[name] == row[name]]
    work = [log(flops(Shape(*(int(size) for size in sizes)), question.phase)) for sizes in mine[AXES].to_numpy()]
    asked = log(flops(question.shape, question.phase))
    nearest = mine.iloc[min(range(len(work)), key=lambda index: abs(work[index] - asked))]
    usual = float(nearest["import_seconds"] + nearest["setup_seconds"] + nearest["first_call_seconds"])
    shape = Shape(*(int(nearest[axis]) for axis in AXES))
    start = started.get((_who(nearest), shape), Estimate(usual, usual, usual, 1))
    ends = (start.value, *np.nan_to_num([start.low, start.high], nan=start.value).tolist())
    # The first step is in the start.
    totals = {
        f"total_{name}": begun + (question.steps - 1) * row[name]
        for name, begun in zip(("seconds", "low", "high"), ends, strict=True)
    }
    return {**row, "start_seconds": start.value, **totals}


def _ranked(table: pd.DataFrame, run: Run, question: Question, scale: costmodel.Scale | None) -> pd.DataFrame:
    table = table.sort_values(_deciding(table)[0], kind="stable", ignore_index=True)
    blocks = crossovers.blocks_of(run.samples) if table["measured"].sum() > 1 and len(run.samples) else {}
    table["tied"] = [
        False,
        *(_tied(table.iloc[0], row, blocks, question, scale) for _, row in table.iloc[1:].iterrows()),
    ]
    return table


def _tied(
    best: pd.Series,
    row: pd.Series,
    blocks: dict[tuple[object, ...], Blocks],
    question: Question,
    scale: costmodel.Scale | None,
) -> bool:
    """Whether a contender may be as fast as the best: by the ratio of two measured ones, paired within rounds; else
    by how far ratios of two predictions missed; else as if their intervals were independent."""
    value, low, high = _deciding(row.to_frame().T)
    if best["measured"] and row["measured"] and question.steps is None:
        sizes = tuple(getattr(question.shape, axis) for axis in AXES)
        mine, theirs = (blocks.get((*(one[name] for name in KEY), *sizes, question.phase)) for one in (best, row))
        if mine and theirs:
            return not paired(theirs, mine).low > 1
    reach = hypot(*(log(one[high] / one[low]) / 2 for one in (best, row)))
    if scale and not best["measured"] and not row["measured"]:
        reach *= scale.ratio / scale.single
    return not log(row[value] / best[value]) > reach


def _unsure(table: pd.DataFrame) -> list[str]:
    """The implementations worth measuring: those that may be the fastest, where they are several or badly known."""
    _, low, high = _deciding(table)
    best = table.iloc[0]
    candidates = table[table["tied"] | (table.index == 0)]
    if len(candidates) > 1 or not sqrt(best[high] / best[low]) <= 1 + UNSURE:
        candidates = candidates if len(candidates) > 1 else table.iloc[:2]
        return list(dict.fromkeys(str(name) for name in candidates["implementation"]))
    return []


def _deciding(table: pd.DataFrame) -> tuple[str, str, str]:
    """The columns that say who is best."""
    return ("total_seconds", "total_low", "total_high") if "total_seconds" in table else ("seconds", "low", "high")


def _command(
    question: Question, implementations: Sequence[str], timings: pd.DataFrame, steps: int | None, passes: int = 0
) -> str:
    """The line that measures the cell, with a number of passes of its own where that is not 0."""
    shape = question.shape
    parts = ["pytest bench/ --benchmark-only", f"--N {shape.N} --D-in {shape.D_in} --H {shape.H}"]
    if shape.D_out != DEFAULT_D_OUT:
        parts.append(f"--D-out {shape.D_out}")
    parts += [f"--phases {question.phase}", f"--implementations {','.join(implementations)}"]
    devices = list(dict.fromkeys(map(str, timings.loc[timings["implementation"].isin([*implementations]), "device"])))
    if devices != ["cpu"]:
        parts.append(f"--devices {','.join(devices)}")
    if timings["dtype"].iloc[0] != DTYPES[0]:
        parts.append(f"--dtypes {timings['dtype'].iloc[0]}")
    mine = timings[timings["implementation"].isin([*implementations]) & (timings["device"] == "cpu")]
    limits = [question.threads] if question.threads is not None else [*dict.fromkeys(mine["threads"].dropna())]
    if limits:
        parts.append(f"--threads {','.join(map(str, limits))}")
    if question.phase == "train" and steps:
        parts.append(f"--steps {steps}")
    if passes:
        parts.append(f"--passes {passes}")
    return " ".join(parts)


def _who(row: pd.Series) -> Who:
    return str(row["implementation"]), str(row["device"]), str(row["dtype"]), int(row["threads"])


def _listed(column: pd.Series) -> str:
    return ", ".join(str(value) for value in dict.fromkeys(column.dropna()))


def _option(axis: str) -> str:
    return "--" + axis.replace("_", "-")
