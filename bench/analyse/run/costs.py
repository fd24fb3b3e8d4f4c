"""What a contender costs before its first steady step, and after how many steps it is ahead of its baseline."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from bench.analyse.estimates.statistics import UNKNOWN, Estimate, confidence_after, estimate, kept_of, trimmed, typical
from bench.measure.records import Prepared
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.looks import Spending

from .measured import MeasuredCell
from .recorded import CellRecords, RunRecords

SHORTEST = 1e-9
"""The shortest time, in seconds, that a clock can show."""
ANSWERS = {
    # Whether a start is dearer (1) or cheaper (-1), and a step faster (1) or slower (-1), than the baseline's.
    (1, 1): "after",
    (1, -1): "never",
    (0, 1): "at once",
    (0, -1): "never",
    (-1, 1): "at once",
    (-1, -1): "until",
}
"""The `BreakEven.answer` for each order of starts and steps."""


@dataclass(frozen=True)
class BreakEven:
    """The number of steps after which a contender is ahead of its baseline, start-up included, with a 95 % interval.

    `answer` is `at once` (no dearer to start, and faster), `after` (`steps`; `high` is infinite where never cannot be
    excluded), `until` (cheaper to start but slower: ahead for `steps`), `never` (neither cheaper nor faster) or
    `unclear`: then the one that is cheaper to start is ahead for at least `low` steps, where known.
    """

    answer: str
    steps: float = math.nan
    low: float = math.nan
    high: float = math.nan
    cheaper: bool = False
    """Whether the contender, rather than its baseline, is cheaper to start."""


@dataclass(frozen=True)
class Costs:
    """The costs of a contender at a shape over the passes, in seconds, and the peak bytes of its phases.

    Set-up and first step are those of a process that does nothing before: where the shape was not the first of its
    process, the extra cost of the first one (contexts, thread pools, late imports) is added.
    """

    contender: Contender
    shape: Shape
    import_seconds: Estimate = UNKNOWN
    """The import in the passes after the first, or in the first where it is the only one."""
    first_import_seconds: float = math.nan
    """The import in the first pass, which may read the framework from the disk; NaN where it is the only pass."""
    setup_seconds: Estimate = UNKNOWN
    first_step_seconds: Estimate = UNKNOWN
    start_seconds: Estimate = UNKNOWN
    """Import, set-up and first step together, from the passes that have all three."""
    step_seconds: Estimate = UNKNOWN
    train_seconds: Estimate = UNKNOWN
    peak_bytes: Estimate = UNKNOWN
    break_even: BreakEven | None = None
    """None for the baseline, where there is no baseline, and where no step was timed."""


@dataclass(frozen=True)
class _Visit:
    """A process's preparation of a shape; `fresh` where it was the process's first."""

    shape: Shape
    process: int
    pass_number: int
    fresh: bool
    setup_seconds: float
    first_step_seconds: float | None


@dataclass(frozen=True)
class _Processes:
    """What the processes of a contender cost until a shape's first step has run: seconds by shape and pass."""

    setups: Mapping[Shape, Mapping[int, float]]
    first_steps: Mapping[Shape, Mapping[int, float]]
    began_with: Mapping[Shape, Set[int]]
    """The passes whose process prepared the shape before any other."""


@dataclass(frozen=True)
class Start:
    """A contender's seconds in one pass before its second step and of a steady step, with the step's standard error."""

    start_up: float
    step: float
    step_error: float = 0.0


def costs(run: RunRecords, cells: Sequence[MeasuredCell], baselines: Mapping[str, MeasuredCell]) -> list[Costs]:
    """Return the costs of each contender at each shape where any of its cells has a time, in the plan's order.

    `baselines` has the cell that each cell is compared with, by key.
    """
    groups: dict[tuple[Contender, Shape], dict[str, CellRecords]] = defaultdict(dict)
    for cell in cells:
        if cell.is_timed:
            groups[cell.cell.contender, cell.cell.shape][cell.cell.phase] = cell.records
    processes = {contender: _processes(visits) for contender, visits in _visits(run).items()}
    steps = [group["step"] for group in groups.values() if "step" in group]
    starts = {step.cell.key: _starts(step, processes[step.cell.contender]) for step in steps}
    all_costs = []
    for (contender, shape), group in groups.items():
        cost = _of_processes(contender, shape, group, processes[contender], run.spending)
        if step := group.get("step"):
            base = _baseline(step.cell.key, baselines)
            cost = _with_starts(cost, starts[step.cell.key], starts[base] if base else None, run.spending)
        all_costs.append(cost)
    return all_costs


def break_even(
    starts: Mapping[int, Start], baseline: Mapping[int, Start], spending: Spending = Spending.WHOLE
) -> BreakEven:
    """Return the steps after which a contender is ahead of its baseline, from the passes, by number, that both have.

    n steps take start-up + n · step, which is the same for both at n = D / G, where D is by how much more a start
    costs and G by how much less a step takes. The interval is by Fieller's theorem (`fieller`) from the passes'
    differences, and from five passes on from their trimmed means and winsorised covariances (Tukey & McLaughlin 1963).

    >>> baseline = {1: Start(1.0, 2e-3), 2: Start(1.1, 2e-3), 3: Start(0.9, 2e-3)}
    >>> even = break_even({1: Start(2.0, 1e-3), 2: Start(2.2, 1e-3), 3: Start(1.8, 1e-3)}, baseline)
    >>> even.answer, round(even.steps), round(even.low), round(even.high)
    ('after', 1000, 752, 1248)
    """
    shared = [pass_number for pass_number in starts if pass_number in baseline]
    kept = kept_of(len(shared))
    if kept < 2:
        return BreakEven("unclear")
    pairs = [(starts[pass_number], baseline[pass_number]) for pass_number in shared]
    extra_starts = [own.start_up - base.start_up for own, base in pairs]
    saved_steps = [base.step - own.step for own, base in pairs]
    (extra, saved), covariance = trimmed([extra_starts, saved_steps])
    # Over a few passes, steps may agree by chance better than the errors within passes allow.
    errors = [math.hypot(own.step_error, base.step_error) for own, base in pairs]
    covariance[1, 1] = max(covariance[1, 1], float(np.mean(np.square(errors))) / kept)
    quantile = float(special.stdtrit(kept - 1, (1 + confidence_after(len(shared), spending)) / 2))
    return _answer(extra, saved, covariance * quantile**2)


def fieller(extra: float, saved: float, reach: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest n >= 0 at which D - n·G may be 0, for D = `extra` and G = `saved`.

    The largest is infinite where there is none; both are where D - n·G cannot be 0.

    D - n·G has the variance V_DD - 2n·V_DG + n²·V_GG, and may be 0 where its square is at most t² times that
    (Fieller 1954). With `reach` (2, 2) = t²·V this is a·n² + b·n + c <= 0, where a = G² - reach_GG,
    b = -2·(D·G - reach_DG) and c = D² - reach_DD.

    >>> low, high = fieller(10.0, 0.01, np.diag([1.0, 0.0]))  # a start 10 ± 1 s dearer, a step 10 ms faster
    >>> round(low), round(high)
    (900, 1100)
    """
    a = saved**2 - float(reach[1, 1])
    b = -2 * (extra * saved - float(reach[0, 1]))
    c = extra**2 - float(reach[0, 0])
    first, last = _roots(a, b, c)
    if c <= 0:  # n = 0 is among them
        return 0.0, max(last, 0.0) if a > 0 else math.inf
    if last <= 0:
        return math.inf, math.inf
    # The parabola opens upward and is below 0 between its roots, or downward and is below 0 beyond them.
    return (max(first, 0.0), last) if a > 0 else (last, math.inf)


def _of_processes(
    contender: Contender, shape: Shape, group: Mapping[str, CellRecords], processes: _Processes, spending: Spending
) -> Costs:
    """Return the costs of a contender's processes, from its cells at a shape, by phase."""
    cells = [*group.values()]
    return Costs(
        contender,
        shape,
        import_seconds=_estimate(_later_imports(cells[0])),
        first_import_seconds=_first_import(cells[0]),
        setup_seconds=_estimate(processes.setups.get(shape, {})),
        first_step_seconds=_estimate(processes.first_steps.get(shape, {})),
        step_seconds=_time(group.get("step"), spending),
        train_seconds=_time(group.get("train"), spending),
        peak_bytes=_estimate(_peaks(cells, processes.began_with.get(shape, set()))),
    )


def _with_starts(
    cost: Costs, starts: Mapping[int, Start], baseline: Mapping[int, Start] | None, spending: Spending
) -> Costs:
    """Return the costs with the start-up, and with the break-even where the contender has a baseline."""
    return replace(
        cost,
        start_seconds=_estimate({pass_number: start.start_up for pass_number, start in starts.items()}),
        break_even=None if baseline is None else break_even(starts, baseline, spending),
    )


def _answer(extra: float, saved: float, reach: np.ndarray) -> BreakEven:
    """Return the break-even of D = `extra` and G = `saved` with `reach`, their covariance times the squared quantile.

    | a start, a step | faster           | not known                 | slower         |
    | --------------- | ---------------- | ------------------------- | -------------- |
    | dearer          | after            | never, after or unclear   | never          |
    | not known       | after or at once | unclear                   | never or until |
    | cheaper         | at once          | at once, until or unclear | until          |

    Where only the order of the starts is not known, the sign of the estimated D decides (`_by_steps`). Where only that
    of the steps is not known, the order of the starts decides if no n can be even; the answer is `after` or `until` if
    the estimated G leads to it; else it is `unclear` (`_by_starts`).
    """
    start, step = _known_sign(extra, reach[0, 0]), _known_sign(saved, reach[1, 1])
    if step:
        return _by_steps(start, step, extra, saved, reach)
    return _by_starts(start, extra, saved, reach) if start else BreakEven("unclear")


def _by_steps(start: int, step: int, extra: float, saved: float, reach: np.ndarray) -> BreakEven:
    """Return the break-even where the order of the steps is known. Where that of the starts is not, `at once` and
    `never` may be wrong for the first `high` steps."""
    answer = ANSWERS[start or _sign(extra), step]
    low, high = fieller(extra, saved, reach)
    if answer in ("after", "until"):
        return BreakEven(answer, _even_at(extra, saved), low, high)
    return BreakEven(answer, 0.0, 0.0, 0.0 if start else high)


def _by_starts(start: int, extra: float, saved: float, reach: np.ndarray) -> BreakEven:
    """Return the break-even where the order of the starts is known, and not that of the steps."""
    low, high = fieller(extra, saved, reach)
    if math.isinf(low):
        return BreakEven(ANSWERS[start, -start])
    if _sign(saved) == start:
        return BreakEven(ANSWERS[start, start], _even_at(extra, saved), low, high)
    return BreakEven("unclear", math.nan, low, high, cheaper=start < 0)


def _even_at(extra: float, saved: float) -> float:
    """Return D / G, the n at which both are even; 0 where that is not above 0."""
    return extra / saved if saved and extra / saved > 0 else 0.0


def _roots(a: float, b: float, c: float) -> tuple[float, float]:
    """Return the roots of a·n² + b·n + c, the smaller one first; infinite where there is none."""
    if a == 0:
        root = -c / b if b else math.inf
        return root, root
    distance = math.sqrt(max(b**2 - 4 * a * c, 0.0))
    first, last = sorted([(-b - distance) / (2 * a), (-b + distance) / (2 * a)])
    return first, last


def _known_sign(value: float, reach: float) -> int:
    """Return 1 or -1 where the interval of a value excludes 0, else 0."""
    return _sign(value) if value**2 > reach else 0


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _baseline(key: str, baselines: Mapping[str, MeasuredCell]) -> str | None:
    """Return the key of the step that a step is compared with; None for a baseline itself."""
    base = baselines.get(key)
    return base.key if base and base.key != key else None


def _visits(run: RunRecords) -> dict[Contender, list[_Visit]]:
    """Return the visits of each contender's processes, one for each shape of a process."""
    first: dict[int, Prepared] = {}
    for prepared in run.of_kind(Prepared):
        first.setdefault(prepared.number, prepared)
    visits: dict[Contender, dict[tuple[int, Shape], _Visit]] = defaultdict(dict)
    for records in run.cells.values():
        contender, shape = records.cell.contender, records.cell.shape
        step = Cell(contender, shape, "step").key
        for prepared in records.prepared:
            visits[contender][prepared.number, shape] = _Visit(
                shape,
                prepared.number,
                prepared.pass_number,
                prepared is first[prepared.number],
                prepared.setup_seconds,
                prepared.cells.get(step),
            )
    return {contender: [*by_process.values()] for contender, by_process in visits.items()}


def _imports(cell: CellRecords) -> dict[int, float]:
    return _by_pass((worker.pass_number, worker.import_seconds) for worker in cell.started_alone)


def _later_imports(cell: CellRecords) -> dict[int, float]:
    """Return the imports of the passes after the first, or of the first where it is the only one."""
    imports = _imports(cell)
    first = min(imports, default=None)
    return {number: seconds for number, seconds in imports.items() if number != first or len(imports) == 1}


def _first_import(cell: CellRecords) -> float:
    several = len(_imports(cell)) > 1
    return cell.started_alone[0].import_seconds if several else math.nan


def _processes(visits: Sequence[_Visit]) -> _Processes:
    first_steps = [(visit, visit.first_step_seconds) for visit in visits if visit.first_step_seconds is not None]
    began_with: dict[Shape, set[int]] = defaultdict(set)
    for visit in visits:
        if visit.fresh:
            began_with[visit.shape].add(visit.pass_number)
    return _Processes(_cold([(visit, visit.setup_seconds) for visit in visits]), _cold(first_steps), began_with)


def _cold(seconds: Sequence[tuple[_Visit, float]]) -> dict[Shape, dict[int, float]]:
    """Return what each shape costs as the first of its process, by pass, from visits and their seconds.

    Where it came later, that is its own seconds plus the extra seconds of the same process's first shape."""
    extras = {visit.process: _extra_of_first(visit, cost, seconds) for visit, cost in seconds if visit.fresh}
    by_shape: dict[Shape, list[tuple[int, float]]] = defaultdict(list)
    for visit, cost in seconds:
        extra = 0.0 if visit.fresh else extras.get(visit.process, 0.0)
        by_shape[visit.shape].append((visit.pass_number, cost + extra))
    return {shape: _by_pass(costs) for shape, costs in by_shape.items()}


def _extra_of_first(first: _Visit, cost: float, seconds: Sequence[tuple[_Visit, float]]) -> float:
    """Return how much more the first shape of a process cost than it does in processes that had another one before it,
    else than the later shapes of its process; 0 if there are none either."""
    later = [(visit, later_cost) for visit, later_cost in seconds if not visit.fresh]
    usual = [later_cost for visit, later_cost in later if visit.shape == first.shape]
    usual = usual or [later_cost for visit, later_cost in later if visit.process == first.process]
    return max(cost - float(np.median(usual)), 0.0) if usual else 0.0


def _peaks(cells: Sequence[CellRecords], began_with: Set[int]) -> dict[int, float]:
    """Return the peak bytes by pass: the device's on an accelerator, the process's resident set on the host.

    If there are two passes whose process began with this shape, and so had no other's memory, only such passes count.
    """
    peaks: dict[int, float] = {}
    for cell in cells:
        for pass_number, peak in cell.peaks:
            peaks[pass_number] = max(peak, peaks.get(pass_number, 0))
    alone = began_with & peaks.keys()
    return {pass_number: peak for pass_number, peak in peaks.items() if len(alone) < 2 or pass_number in alone}


def _starts(step: CellRecords, processes: _Processes) -> dict[int, Start]:
    """Return the starts of a step's contender, by pass, where import, set-up and first step are known."""
    shape, errors = step.cell.shape, step.block_errors
    parts = (_imports(step), processes.setups.get(shape, {}), processes.first_steps.get(shape, {}))
    starts = {}
    for pass_number, seconds in step.typicals.items():
        if all(pass_number in part for part in parts):
            start_up = math.fsum(part[pass_number] for part in parts)
            starts[pass_number] = Start(start_up, seconds, errors[pass_number] * seconds)
    return starts


def _time(cell: CellRecords | None, spending: Spending) -> Estimate:
    if cell is None:
        return UNKNOWN
    typicals, errors = cell.typicals.values(), cell.block_errors.values()
    return estimate([*typicals], [*errors], confidence_after(len(typicals), spending))


def _by_pass(values: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Return the median value of each pass: a process that died is followed by another in the same pass."""
    by_pass: dict[int, list[float]] = defaultdict(list)
    for pass_number, value in values:
        by_pass[pass_number].append(value)
    return {pass_number: typical(values_of_pass) for pass_number, values_of_pass in by_pass.items()}


def _estimate(per_pass: Mapping[int, float]) -> Estimate:
    return estimate([max(value, SHORTEST) for value in per_pass.values()])
