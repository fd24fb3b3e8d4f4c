"""What it costs to get to a steady step, and after how many steps a contender has won that back from the baseline."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from bench.analyse.estimates.statistics import UNKNOWN, Estimate, confidence_after, estimate, kept_of, trimmed, typical
from bench.measure.plans import plan_of
from bench.measure.records import Prepared, Record
from bench.plan.cells import Cell, Contender, Shape

from . import standing, tables
from .suspicion import SUSPECT
from .tables import CellRecords

SHORTEST = 1e-9
"""Seconds below which a clock shows nothing."""


@dataclass(frozen=True)
class BreakEven:
    """From when on a contender is ahead of its baseline, start-up included, in steps with a 95 % interval.

    `answer` is `at once` (no dearer to start, and faster), `after` (`steps`; `high` is infinite where never cannot be
    excluded), `until` (cheaper to start but slower: ahead for `steps`), `never` (neither cheaper nor faster) or
    `unclear`; there `low` steps, where known, keep in front who is cheaper to start.
    """

    answer: str
    steps: float = math.nan
    low: float = math.nan
    high: float = math.nan
    cheaper: bool = False
    """Whether the contender itself is the one that is cheaper to start."""


@dataclass(frozen=True)
class Costs:
    """Of a contender at a shape, over the passes; seconds, and bytes of the most that any of its phases held.

    Set-up and first step are those of a process that does nothing before: where the shape was not the first of its
    process, what the first one cost more than it does later (contexts, thread pools, late imports) is added.
    """

    contender: Contender
    shape: Shape
    import_seconds: Estimate = UNKNOWN
    """Of the passes after the first one; of that one where it is the only one."""
    first_import_seconds: float = math.nan
    """Of the first pass, which may have had to read the framework from the disk; NaN where it is the only one."""
    setup_seconds: Estimate = UNKNOWN
    first_step_seconds: Estimate = UNKNOWN
    start_seconds: Estimate = UNKNOWN
    """Import, set-up and first step, of the passes that have them all."""
    step_seconds: Estimate = UNKNOWN
    train_seconds: Estimate = UNKNOWN
    peak_bytes: Estimate = UNKNOWN
    break_even: BreakEven | None = None
    """None for the baseline, and where there is none or no step was timed."""


@dataclass(frozen=True)
class _Visit:
    """A process prepared a shape; `fresh` if that was the first it did."""

    shape: Shape
    number: int
    passage: int
    fresh: bool
    setup_seconds: float
    first_step_seconds: float | None


@dataclass(frozen=True)
class Start:
    """One pass of a contender: seconds before its second step, seconds of a steady step, and its standard error."""

    start_up: float
    step: float
    step_error: float = 0.0


def costs(records: Sequence[Record]) -> list[Costs]:
    """Of each contender at each shape where any of its cells has a time, in the plan's order."""
    held = tables.by_cell(records)
    rows = dict(zip(held, tables.timings(records).to_dict("records"), strict=True))
    plan = plan_of(tables.started(records))
    groups: dict[tuple[Contender, Shape], dict[str, CellRecords]] = defaultdict(dict)
    for key, cell in held.items():
        if rows[key]["status"] == "ok" and rows[key]["verdict"] != SUSPECT:
            groups[cell.cell.contender, cell.cell.shape][cell.cell.phase] = cell
    steps = {group["step"].cell.key: group["step"] for group in groups.values() if "step" in group}
    timed = {key: rows[key] for key in steps}
    visits = _visits(records, held.values())
    starts = {key: _starts(step, visits[step.cell.contender]) for key, step in steps.items()}
    told = []
    for (contender, shape), group in groups.items():
        step, cells = group.get("step"), [*group.values()]
        base = _baseline(step.cell.key, timed, plan.baseline) if step else None
        told.append(
            Costs(
                contender,
                shape,
                import_seconds=_estimate(_later_imports(cells[0])),
                first_import_seconds=_first_import(cells[0]),
                setup_seconds=_estimate(_setups(visits[contender], shape)),
                first_step_seconds=_estimate(_first_steps(visits[contender], shape)),
                start_seconds=_estimate({p: s.start_up for p, s in starts[step.cell.key].items()}) if step else UNKNOWN,
                step_seconds=_time(step, plan.adaptive),
                train_seconds=_time(group.get("train"), plan.adaptive),
                peak_bytes=_estimate(_peaks(cells, visits[contender])),
                break_even=break_even(starts[step.cell.key], starts[base], plan.adaptive) if step and base else None,
            )
        )
    return told


def break_even(mine: Mapping[int, Start], baseline: Mapping[int, Start], adaptive: bool = False) -> BreakEven:
    """From each one's passes, by number, that both have: n with start-up + n · step alike, n = D / G, where D is by how
    much more a start costs, G by how much less a step; its interval by Fieller's theorem (Fieller 1954) on the pairs'
    differences, and from six passes on of trimmed means and winsorised covariances (Tukey & McLaughlin 1963)."""
    shared = [passage for passage in mine if passage in baseline]
    dearer = np.array([mine[passage].start_up - baseline[passage].start_up for passage in shared])
    gained = np.array([baseline[passage].step - mine[passage].step for passage in shared])
    kept = kept_of(len(shared))
    if kept < 2:
        return BreakEven("unclear")
    (more, less), covariance = trimmed(np.array([dearer, gained]))
    errors = [math.hypot(mine[passage].step_error, baseline[passage].step_error) for passage in shared]
    covariance[1, 1] = max(covariance[1, 1], float(np.mean(np.square(errors))) / kept)
    quantile = float(stats.t.ppf((1 + confidence_after(len(shared), adaptive)) / 2, kept - 1))
    return _answer(float(more), float(less), covariance * quantile**2)


def _answer(more: float, less: float, reach: np.ndarray) -> BreakEven:
    """Of D and G and their covariance (2, 2) times the squared quantile."""
    dearer, faster = _sign(more, reach[0, 0]), _sign(less, reach[1, 1])
    low, high = fieller(more, less, reach)
    point = more / less if less and more / less > 0 else 0.0
    if faster == 0:
        if dearer == 0:
            return BreakEven("unclear")
        if math.isinf(low):
            return BreakEven("never" if dearer > 0 else "at once")
        if (less > 0) == (dearer > 0) and less:
            return BreakEven("after" if dearer > 0 else "until", point, low, high)
        return BreakEven("unclear", math.nan, low, high, cheaper=dearer < 0)
    if (dearer or math.copysign(1, more)) == faster and more:
        return BreakEven("after" if faster > 0 else "until", point, low, high)
    bounds = (0.0, 0.0, high) if dearer == 0 else (0.0, 0.0, 0.0)
    return BreakEven("at once", *bounds) if faster > 0 else BreakEven("never", *bounds)


def fieller(more: float, less: float, reach: np.ndarray) -> tuple[float, float]:
    """The n >= 0 with (D - n·G)² <= reach of D - n·G; infinite where they have no end, (inf, inf) for none."""
    square = less**2 - float(reach[1, 1])
    linear = -2 * (more * less - float(reach[0, 1]))
    constant = more**2 - float(reach[0, 0])
    if square == 0:
        root = -constant / linear if linear else math.inf
        roots = [root, root]
    else:
        apart = math.sqrt(max(linear**2 - 4 * square * constant, 0.0))
        roots = sorted([(-linear - apart) / (2 * square), (-linear + apart) / (2 * square)])
    if constant <= 0:  # no step at all is among them
        return 0.0, max(roots[1], 0.0) if square > 0 else math.inf
    if square > 0:
        return (max(roots[0], 0.0), roots[1]) if roots[1] > 0 else (math.inf, math.inf)
    return (roots[1], math.inf) if roots[1] > 0 else (math.inf, math.inf)


def _sign(value: float, reach: float) -> int:
    """1 or -1 where the interval of a value leaves out 0."""
    return int(math.copysign(1, value)) if value**2 > reach else 0


def _baseline(key: str, timed: Mapping[str, dict[Any, Any]], implementation: str) -> str | None:
    """The key of the step that a step is compared with; None for the baseline itself."""
    row = timed[key]
    if row["implementation"] == implementation:
        return None
    candidates = {
        other: base
        for other, base in timed.items()
        if base["implementation"] == implementation and all(base[name] == row[name] for name in standing.LIKE)
    }
    base = standing.baseline_of(row, [*candidates.values()])
    return next((other for other, candidate in candidates.items() if candidate is base), None)


def _visits(records: Sequence[Record], held: Iterable[CellRecords]) -> dict[Contender, list[_Visit]]:
    fresh: dict[int, Prepared] = {}
    for record in records:
        if isinstance(record, Prepared):
            fresh.setdefault(record.number, record)
    found: dict[Contender, dict[tuple[int, Shape], _Visit]] = defaultdict(dict)
    for cell in (each for each in held if each.prepared):
        contender, shape = cell.cell.contender, cell.cell.shape
        step = Cell(contender, shape, "step").key
        for prepared in cell.prepared:
            found[contender][prepared.number, shape] = _Visit(
                shape,
                prepared.number,
                prepared.passage,
                prepared is fresh[prepared.number],
                prepared.setup_seconds,
                prepared.cells.get(step),
            )
    return {contender: [*visits.values()] for contender, visits in found.items()}


def _imports(cell: CellRecords) -> dict[int, float]:
    return _by_pass((worker.passage, worker.import_seconds) for worker in cell.workers)


def _later_imports(cell: CellRecords) -> dict[int, float]:
    imports = _imports(cell)
    first = min(imports, default=None)
    return {passage: seconds for passage, seconds in imports.items() if passage != first or len(imports) == 1}


def _first_import(cell: CellRecords) -> float:
    several = len(_imports(cell)) > 1
    return cell.workers[0].import_seconds if several else math.nan


def _setups(visits: Sequence[_Visit], shape: Shape) -> dict[int, float]:
    return _cold([(visit, visit.setup_seconds) for visit in visits], shape)


def _first_steps(visits: Sequence[_Visit], shape: Shape) -> dict[int, float]:
    known = [(visit, visit.first_step_seconds) for visit in visits if visit.first_step_seconds is not None]
    return _cold(known, shape)


def _cold(seconds: Sequence[tuple[_Visit, float]], shape: Shape) -> dict[int, float]:
    """By pass, as if the shape had been the first of its process."""
    later = [(visit, cost) for visit, cost in seconds if not visit.fresh]
    once = {}
    for first, cost in ((visit, cost) for visit, cost in seconds if visit.fresh):
        usual = [other for visit, other in later if visit.shape == first.shape]
        usual = usual or [other for visit, other in later if visit.number == first.number]
        once[first.number] = max(cost - float(np.median(usual)), 0.0) if usual else 0.0
    return _by_pass(
        (visit.passage, cost + (0.0 if visit.fresh else once.get(visit.number, 0.0)))
        for visit, cost in seconds
        if visit.shape == shape
    )


def _peaks(cells: Sequence[CellRecords], visits: Sequence[_Visit]) -> dict[int, float]:
    """The device's on an accelerator, the process's resident set on the host: of processes that had no other shape
    before, whose memory they might still hold, if there are two; else of all."""
    on_host = cells[0].cell.contender.device == "cpu"
    peaks: dict[int, float] = {}
    for left in (left for cell in cells for left in cell.left):
        peak = left.host_bytes if on_host else left.device_bytes
        if peak is not None:
            peaks[left.passage] = max(peak, peaks.get(left.passage, 0))
    first = {visit.passage for visit in visits if visit.fresh and visit.shape == cells[0].cell.shape} & set(peaks)
    return {passage: peak for passage, peak in peaks.items() if len(first) < 2 or passage in first}


def _starts(step: CellRecords, visits: Sequence[_Visit]) -> dict[int, Start]:
    """By pass, where all of it is known."""
    shape, within = step.cell.shape, step.within()
    parts = (_imports(step), _setups(visits, shape), _first_steps(visits, shape))
    starts = {}
    for passage, seconds in step.per_pass().items():
        if all(passage in part for part in parts):
            middle = typical(seconds)
            starts[passage] = Start(math.fsum(part[passage] for part in parts), middle, within[passage] * middle)
    return starts


def _time(cell: CellRecords | None, adaptive: bool) -> Estimate:
    if cell is None:
        return UNKNOWN
    medians = [typical(seconds) for seconds in cell.per_pass().values()]
    return estimate(medians, [*cell.within().values()], confidence_after(len(medians), adaptive))


def _by_pass(values: Iterable[tuple[int, float]]) -> dict[int, float]:
    """A process that died has another after it in its pass: the median of these."""
    found: dict[int, list[float]] = defaultdict(list)
    for passage, value in values:
        found[passage].append(value)
    return {passage: float(np.median(here)) for passage, here in found.items()}


def _estimate(per_pass: Mapping[int, float]) -> Estimate:
    return estimate([max(value, SHORTEST) for value in per_pass.values()])
