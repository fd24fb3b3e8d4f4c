"""Recommend a contender at a size, measured or not, from a run, with the uncertainty of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from math import exp, hypot, log, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.statistics import CONFIDENCE, Blocks, Estimate
from bench.analyse.run.columns import SUSPECT
from bench.analyse.run.run import Run
from bench.analyse.run.suspicion import trusted
from bench.analyse.run.tables import RunTables, blocks_of
from bench.plan.cells import DEFAULT_D_OUT, DTYPES, PHASES, Shape, flops
from bench.plan.nearest import hint

from . import costmodel, proposal
from .costmodel import AXES, KEY, LEVEL, Validation, Who
from .proposal import Proposal

Starts = Mapping[tuple[Who, Shape], Estimate]
"""The seconds from a process's import to the end of its first step, where nothing ran in it before."""
_SECONDS = ("seconds", "low", "high")
_RATIO = ("ratio", "ratio_low", "ratio_high")
UNSURE = 0.20
"""The relative half-width of an interval from which the cell is worth measuring."""


@dataclass(frozen=True)
class Question:
    """A cell to recommend a contender for. None is any value that the run has, or, for dtype, its first."""

    shape: Shape
    phase: str = "step"
    steps: int | None = None
    """The steps of a training, whose start-up counts as well."""
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Answer:
    """The contenders ranked for a question.

    `table` has a row for each contender, best first: implementation, device, dtype, threads; seconds, low, high
    of one iteration with its 90 % interval; start_seconds (import, set-up and first step) and total_seconds,
    total_low, total_high where the question has steps; measured, whether this very cell was; tied, whether it may be
    as fast as the first; ratio, ratio_low, ratio_high, how many times as long as the first one's an iteration takes,
    with its 90 % interval."""

    question: Question
    iteration: str
    """The iteration that is timed: the phase, and how many steps a `train` has."""
    run: RunTables
    table: pd.DataFrame
    validation: Validation | None
    """None where nothing had to be predicted."""
    left_out: list[str]
    """The contenders without an answer, with the reasons."""
    measure: str | None
    """The command whose measurement makes the answer sure; None where it is sure."""
    proposal: Proposal | None
    """Other sizes that would sharpen predictions like this one; None where the answer is sure, or measured."""
    sharpen: str | None
    """The command that measures the proposed sizes with those of the run; None without a proposal."""


@dataclass(frozen=True)
class _Predicted:
    """The predictions of contenders that have no time at the very cell."""

    predictions: Mapping[Who, costmodel.Prediction]
    too_far: Mapping[Who, str]
    """The contenders whose measured sizes are too far from the cell, with the reasons."""
    model: costmodel.CostModel | None = None
    validation: Validation | None = None
    """Both None where nothing was predicted."""


@dataclass(frozen=True)
class _Evidence:
    """The times, predictions and failures of a cell in a run."""

    steps: int
    """The steps in one `train`."""
    timed: Mapping[Who, pd.Series]
    """The rows of contenders that have a time at the very cell."""
    predicted: _Predicted
    left_out: list[str]


def starts(run: Run) -> Starts:
    """Return the start-up times of each contender, at each shape whose step a run timed."""
    return {
        (
            (
                cost.contender.implementation,
                cost.contender.device,
                cost.contender.dtype,
                run.plan.threads(cost.contender),
            ),
            cost.shape,
        ): cost.start_seconds
        for cost in run.costs
        if cost.start_seconds.passes
    }


def recommend(run: RunTables, question: Question, started: Starts | None = None) -> Answer:
    """Return a run's answer to a question.

    Where `started` lacks a contender, as where only a CSV is left of the run, its start is the sum of the table's
    medians, which are of processes that had other sizes before. Raises ValueError, with a message of one line, for
    questions that no row of the run answers, and for sizes too far beyond the measured ones.

        recommend(run, Question(Shape(128, 2000, 200))).table.iloc[0]["implementation"]
    """
    _check(run, question)
    timings = _selected(run.timings, question)
    evidence = _evidence(run, question, timings)
    rows = [_with_total(row, timings, question, started or {}) for row in _rows(evidence)]
    model = evidence.predicted.model
    table = _ranked(pd.DataFrame(rows), run, question, model.scale if model else None)
    proposed, sharpen = _sharpen(table, evidence, timings, question)
    return Answer(
        question,
        iteration=question.phase if question.phase != "train" else f"train of {evidence.steps} steps",
        run=run,
        table=table,
        validation=evidence.predicted.validation,
        left_out=evidence.left_out,
        measure=_measure(table, evidence, timings, question),
        proposal=proposed,
        sharpen=sharpen,
    )


def _check(run: RunTables, question: Question) -> None:
    """Raise ValueError for an invalid question, and for a run of two sides, which answers none."""
    for axis in AXES:
        if getattr(question.shape, axis) < 1:
            raise ValueError(f"{_option(axis)} {getattr(question.shape, axis)}: a size is a whole number above 0")
    if question.phase not in PHASES:
        suggestion = hint(question.phase, PHASES)
        raise ValueError(f"--phase {question.phase}: phases are {', '.join(PHASES)}{suggestion}")
    if question.steps is not None and question.steps < 1:
        raise ValueError(f"--steps {question.steps}: a training takes one step or more")
    if question.steps is not None and question.phase != "step":
        raise ValueError(f"--steps counts steps: it goes with --phase step, not {question.phase}")
    if run.info.get("plan", {}).get("sides"):
        raise ValueError(f"{run.name} compares two sides, not who is fastest; name another run with --results")


def _selected(timings: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the rows that match a question's options. Raises ValueError naming the option and the run's values."""
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
            suggestion = hint(value, {str(each) for each in timings[column].dropna()})
            raise ValueError(f"{option} {value}: this run has {_listed(timings[column])}{suggestion}")
        timings = fitting
    if question.phase not in set(timings["phase"]):
        raise ValueError(f"--phase {question.phase}: this run has {_listed(timings['phase'])}")
    return timings


def _evidence(run: RunTables, question: Question, timings: pd.DataFrame) -> _Evidence:
    """Return the evidence on a cell. A contender of the phase that was neither timed there nor failed is predicted
    where possible. Raises ValueError where no contender has an answer."""
    cells = costmodel.measured(timings)
    contenders = [each for each in cells if each.phase == question.phase]
    if not contenders:
        raise ValueError(f"{run.name} has no time of such a cell: every one failed or was not run")
    steps = contenders[0].steps
    names = list(dict.fromkeys(each.who[0] for each in contenders))
    measure_all = _command([question.shape], question, names, timings, steps)
    timed = _timed_at(timings, question)
    failed = _failed_at(timings, question, {each.who for each in contenders})
    missing = [each for each in contenders if each.who not in timed and each.who not in failed]
    if missing:
        costmodel.refuse_beyond(contenders, question.shape, question.phase, measure_all)
    predicted = _predicted(missing, cells, question)
    if not timed and not predicted.predictions:
        raise ValueError(
            f"{run.name} timed {question.phase} at too few sizes to predict others "
            f"(it takes {costmodel.MIN_SHAPES}); measure it: {measure_all}"
        )
    return _Evidence(steps, timed, predicted, _left_out(missing, {**predicted.too_far, **failed}))


def _at(timings: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the rows of the very cell."""
    rows = timings[timings["phase"] == question.phase]
    for axis in AXES:
        rows = rows[rows[axis] == getattr(question.shape, axis)]
    return rows


def _timed_at(timings: pd.DataFrame, question: Question) -> dict[Who, pd.Series]:
    """Return the rows of contenders that have a time at the very cell."""
    rows = _at(timings[trusted(timings)], question)
    return {_who(row): row for _, row in rows.drop_duplicates(KEY).iterrows()}


def _failed_at(timings: pd.DataFrame, question: Question, known: Set[Who]) -> dict[Who, str]:
    """Return why known contenders that were tried at the very cell have no time there."""
    rows = _at(timings[~trusted(timings) & (timings["status"] != "not_run")], question)
    reasons = {_who(row): f"{_outcome(row)} at this very cell, {row['reason']}" for _, row in rows.iterrows()}
    return {who: reason for who, reason in reasons.items() if who in known}


def _predicted(
    missing: Sequence[costmodel.Measured], cells: Sequence[costmodel.Measured], question: Question
) -> _Predicted:
    """Predict the missing contenders that have enough shapes, not too far from the cell, by a model of all cells."""
    enough = [each for each in missing if len(each.shapes) >= costmodel.MIN_SHAPES]
    distances = {each.who: costmodel.beyond([each], question.shape, question.phase) for each in enough}
    too_far = {who: distance for who, distance in distances.items() if distance}
    near = [each.who for each in enough if each.who not in too_far]
    if not near:
        return _Predicted({}, too_far)
    model = costmodel.model(cells)
    predictions = {who: model.predict(who, question.phase, question.shape) for who in near}
    return _Predicted(predictions, too_far, model, costmodel.validate(cells))


def _outcome(row: pd.Series) -> str:
    return SUSPECT if row["status"] == "ok" else str(row["status"])


def _left_out(missing: Sequence[costmodel.Measured], reasons: Mapping[Who, str]) -> list[str]:
    few = [
        f"{each.who[0]}: timed at {len(each.shapes)} of the {costmodel.MIN_SHAPES} sizes that predicting takes"
        for each in missing
        if len(each.shapes) < costmodel.MIN_SHAPES
    ]
    return few + [f"{who[0]}: {reason}" for who, reason in reasons.items()]


def _rows(evidence: _Evidence) -> list[dict[str, Any]]:
    """Return the rows of `Answer.table`, one for each contender with a time, measured or predicted."""
    return [
        *(_measured_row(who, row) for who, row in evidence.timed.items()),
        *(_predicted_row(who, prediction) for who, prediction in evidence.predicted.predictions.items()),
    ]


def _measured_row(who: Who, row: pd.Series) -> dict[str, Any]:
    """Return a measured row with its 90 % interval; NaN from one pass."""
    seconds, low, high = _narrowed(float(row["seconds"]), row["seconds_low"], row["seconds_high"])
    return {**dict(zip(KEY, who, strict=True)), "seconds": seconds, "low": low, "high": high, "measured": True}


def _narrowed(value: float, low: float, high: float) -> tuple[float, float, float]:
    """Return a value with its 95 % interval narrowed to 90 %, as of a normal distribution of the log."""
    reach = log(high / low) / 2 * stats.norm.ppf((1 + LEVEL) / 2) / stats.norm.ppf((1 + CONFIDENCE) / 2)
    return value, value * exp(-reach), value * exp(reach)


def _predicted_row(who: Who, prediction: costmodel.Prediction) -> dict[str, Any]:
    return {
        **dict(zip(KEY, who, strict=True)),
        "seconds": prediction.seconds,
        "low": prediction.low,
        "high": prediction.high,
        "measured": False,
    }


def _with_total(row: dict[str, Any], timings: pd.DataFrame, question: Question, started: Starts) -> dict[str, Any]:
    """Return the row with the total time of a training, whose start-up is that of the measured size of nearest work.

    The start includes the first step: the total is start + (steps - 1) · seconds. Its interval is the sum of both lower
    ends to the sum of both upper ends. A start from one pass has no interval.
    """
    if question.steps is None:
        return row
    start = _start(_of_nearest_work(row, timings, question), started)
    low, high = np.nan_to_num([start.low, start.high], nan=start.value).tolist()
    further = question.steps - 1
    return {
        **row,
        "start_seconds": start.value,
        "total_seconds": start.value + further * row["seconds"],
        "total_low": low + further * row["low"],
        "total_high": high + further * row["high"],
    }


def _of_nearest_work(row: dict[str, Any], timings: pd.DataFrame, question: Question) -> pd.Series:
    """Return the row of the contender's measured size whose flops are nearest, in logs, to those of the cell."""
    own = timings[trusted(timings) & (timings["phase"] == question.phase)]
    for name in KEY:
        own = own[own[name] == row[name]]
    work = [log(flops(Shape(*(int(size) for size in sizes)), question.phase)) for sizes in own[AXES].to_numpy()]
    asked = log(flops(question.shape, question.phase))
    return own.iloc[min(range(len(work)), key=lambda index: abs(work[index] - asked))]


def _start(row: pd.Series, started: Starts) -> Estimate:
    """Return the start of a measured cell from its journal, else the sum of the table's medians."""
    shape = Shape(*(int(row[axis]) for axis in AXES))
    usual = float(row["import_seconds"] + row["setup_seconds"] + row["first_call_seconds"])
    return started.get((_who(row), shape), Estimate(usual, usual, usual, 1))


def _ranked(table: pd.DataFrame, run: RunTables, question: Question, scale: costmodel.Scale | None) -> pd.DataFrame:
    """Return the table, best first, with columns of which rows are `tied` with the best, and of their ratios to it."""
    table = table.sort_values(_deciding(table)[0], kind="stable", ignore_index=True)
    blocks = blocks_of(run.samples) if table["measured"].sum() > 1 and len(run.samples) else {}
    best = table.iloc[0]
    tied, ratios = [False], [(1.0, 1.0, 1.0)]
    for _, row in table.iloc[1:].iterrows():
        ratio = _paired(best, row, blocks, question)
        tied.append(_tied(best, row, ratio if question.steps is None else None, scale))
        ratios.append(_narrowed(*ratio.with_bounds) if ratio else _ratio(best, row, scale))
    return table.assign(tied=tied, **dict(zip(_RATIO, zip(*ratios, strict=True), strict=True)))


def _paired(
    best: pd.Series, row: pd.Series, blocks: dict[tuple[object, ...], Blocks], question: Question
) -> Estimate | None:
    """Return how many times as long as the best one an iteration takes, paired within rounds; None where not both were
    measured, or their samples are not known."""
    if not (best["measured"] and row["measured"]):
        return None
    best_blocks, row_blocks = (blocks.get(_block_key(each, question)) for each in (best, row))
    return paired([(row_blocks, best_blocks)])[0] if best_blocks and row_blocks else None


def _tied(best: pd.Series, row: pd.Series, ratio: Estimate | None, scale: costmodel.Scale | None) -> bool:
    """Return whether a contender may be as fast as the best, by their paired ratio where there is one."""
    if ratio:
        return not ratio.low > 1
    columns = _deciding(row.to_frame().T)
    return not log(row[columns[0]] / best[columns[0]]) > _reach(best, row, columns, scale)


def _ratio(best: pd.Series, row: pd.Series, scale: costmodel.Scale | None) -> tuple[float, float, float]:
    """Return the ratio of two contenders' seconds that are not paired, with its interval."""
    ratio, reach = row["seconds"] / best["seconds"], _reach(best, row, _SECONDS, scale)
    return ratio, ratio * exp(-reach), ratio * exp(reach)


def _reach(best: pd.Series, row: pd.Series, columns: tuple[str, str, str], scale: costmodel.Scale | None) -> float:
    """Return the half-width, in logs, of the interval of a ratio: by the errors of ratios of two predictions; else as
    if the two intervals were independent."""
    _, low, high = columns
    reach = hypot(*(log(each[high] / each[low]) / 2 for each in (best, row)))
    if scale and not best["measured"] and not row["measured"]:
        # The intervals are `single` spreads wide; that of a ratio is `ratio` spreads.
        reach *= scale.ratio / scale.single
    return reach


def _block_key(row: pd.Series, question: Question) -> tuple[object, ...]:
    return (*(row[name] for name in KEY), *(getattr(question.shape, axis) for axis in AXES), question.phase)


def _measure(table: pd.DataFrame, evidence: _Evidence, timings: pd.DataFrame, question: Question) -> str | None:
    """Return the command that makes the answer sure, with twice the passes that were not enough; None if it is sure."""
    unsure = _unsure(table)
    if not unsure:
        return None
    passes = [int(row["passes"]) for row in evidence.timed.values() if row["implementation"] in unsure]
    return _command([question.shape], question, unsure, timings, evidence.steps, 2 * max(passes, default=0))


def _sharpen(
    table: pd.DataFrame, evidence: _Evidence, timings: pd.DataFrame, question: Question
) -> tuple[Proposal | None, str | None]:
    """Return the sizes that would sharpen the predictions of the implementations that may be the fastest, and the
    command that measures them with all of the run's sizes; None where no prediction among these is wide."""
    unsure = _unsure(table)
    model, predictions = evidence.predicted.model, evidence.predicted.predictions
    wide = [
        who
        for who, prediction in predictions.items()
        if who[0] in unsure and prediction.high > (1 + UNSURE) * prediction.seconds
    ]
    if model is None or not wide:
        return None, None
    curves = [model.curves[who, question.phase] for who in wide]
    proposed = proposal.propose(curves, model.scale.single, question.shape)
    if not proposed.shapes:
        return None, None
    measured = dict.fromkeys(shape for curve in curves for shape in curve.measured.shapes)
    return proposed, _command([*measured, *proposed.shapes], question, unsure, timings, evidence.steps)


def _unsure(table: pd.DataFrame) -> list[str]:
    """Return the implementations to measure: those that may be the fastest, if several or not precisely known."""
    _, low, high = _deciding(table)
    best = table.iloc[0]
    candidates = table[table["tied"] | (table.index == 0)]
    # The best one's interval may be unknown, NaN.
    if len(candidates) == 1 and sqrt(best[high] / best[low]) <= 1 + UNSURE:
        return []
    worth_measuring = candidates if len(candidates) > 1 else table.iloc[:2]
    return list(dict.fromkeys(str(name) for name in worth_measuring["implementation"]))


def _deciding(table: pd.DataFrame) -> tuple[str, str, str]:
    """Return the columns that decide which contender is best."""
    return ("total_seconds", "total_low", "total_high") if "total_seconds" in table else _SECONDS


def _command(
    shapes: Sequence[Shape],
    question: Question,
    implementations: Sequence[str],
    timings: pd.DataFrame,
    steps: int | None,
    passes: int = 0,
) -> str:
    """Return the command that measures a question's cells at some shapes, with an option for the passes where they are
    not 0.

    An option with its default value is left out: `pytest bench/ --benchmark-only --N 128 --D-in 2000 --H 200
    --phases step --implementations numpy,torch --threads 2 --passes 10`.
    """
    (shape, *further_shapes), dtype = shapes, timings["dtype"].iloc[0]
    rows = timings[timings["implementation"].isin([*implementations])]
    devices = ",".join(dict.fromkeys(map(str, rows["device"])))
    options = {
        "--N": shape.N,
        "--D-in": shape.D_in,
        "--H": shape.H,
        "--D-out": shape.D_out if shape.D_out != DEFAULT_D_OUT else None,
        "--shapes": ",".join(map(_sizes, further_shapes)),
        "--phases": question.phase,
        "--implementations": ",".join(implementations),
        "--devices": devices if devices != "cpu" else None,
        "--dtypes": dtype if dtype != DTYPES[0] else None,
        "--threads": ",".join(map(str, _threads(rows, question))),
        "--steps": steps if question.phase == "train" else None,
        "--passes": passes,
    }
    option_texts = [f"{option} {value}" for option, value in options.items() if value]
    return " ".join(["pytest bench/ --benchmark-only", *option_texts])


def _sizes(shape: Shape) -> str:
    """Return a shape as `--shapes` reads it, like `64x1000x100`."""
    sizes = [shape.N, shape.D_in, shape.H, *([shape.D_out] if shape.D_out != DEFAULT_D_OUT else [])]
    return "x".join(map(str, sizes))


def _threads(rows: pd.DataFrame, question: Question) -> list[int]:
    """Return the thread limits to measure under: the question's, else those of the rows on the host."""
    if question.threads is not None:
        return [question.threads]
    return [*dict.fromkeys(rows.loc[rows["device"] == "cpu", "threads"].dropna())]


def _who(row: pd.Series) -> Who:
    return str(row["implementation"]), str(row["device"]), str(row["dtype"]), int(row["threads"])


def _listed(column: pd.Series) -> str:
    return ", ".join(str(value) for value in dict.fromkeys(column.dropna()))


def _option(axis: str) -> str:
    return "--" + axis.replace("_", "-")
