"""The section on start-up and break-even, and warnings of cells that did not keep their pace."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from bench.analyse.estimates.statistics import Estimate
from bench.analyse.run import warmup
from bench.analyse.run.costs import BreakEven, Costs
from bench.analyse.run.run import Run
from bench.plan import units
from bench.plan.cells import Contender, Shape
from bench.report import page

from .rows import contender_names, shape_name

WARNED = ("slowing", "no steady state")
MOST_WARNINGS = 10


def section(run: Run) -> str:
    """A Markdown section: every contender's costs at the run's first shape, and its break-even at all of them. Empty
    where nothing was timed."""
    if not run.costs:
        return ""
    names, baseline, first = _names(run), run.plan.baseline, run.costs[0].shape
    overtakes = f"overtakes {baseline} after"
    lines = [
        _line(cost, names[cost.contender, cost.shape], overtakes, baseline) for cost in run.costs if cost.shape == first
    ]
    parts = [
        "## Start-up and break-even",
        f"At {shape_name(first)}, with 95 % intervals:",
        page.table(_without_empty(pd.DataFrame(lines), overtakes)),
        _others(run.costs, names, baseline),
        "Import is the framework's, NumPy included; the first pass has a column of its own, since it may "
        "have had to read the framework from the disk; set-up moves a problem's arrays to the device; a first step "
        "compiles where the backend does; both as the first things that a process does. `train` goes from host "
        "arrays to host arrays. Memory is the process's on the host, the framework's own count on an accelerator. A "
        f"contender overtakes {baseline} when it has won back, step by step, what its import, set-up and first "
        "step cost more (Fieller's interval): up to ∞ where never cannot be excluded.",
    ]
    return "\n\n".join(part for part in parts if part)


def warnings(run: Run) -> list[str]:
    """A line for each contender whose cells grew slower, or went back and forth, while they were sampled, and what to
    do; the worst first, and at most ten."""
    groups: dict[tuple[str, str], list[tuple[Shape, str]]] = defaultdict(list)
    names = _names(run)
    timed: dict[str, int] = defaultdict(int)
    for key, kind in run.warmups.items():
        cell = run.cells[key].cell
        name = names[cell.contender, cell.shape]
        timed[name] += 1
        if kind in WARNED:
            groups[name, kind].append((cell.shape, cell.phase))
    worst = sorted(groups, key=lambda group: -len(groups[group]))
    lines = [_warning(name, kind, groups[name, kind], timed[name]) for name, kind in worst]
    more = len(lines) - MOST_WARNINGS
    return [*lines[:MOST_WARNINGS], f"and {more} more"] if more > 0 else lines


def _warning(name: str, kind: str, cells: Sequence[tuple[Shape, str]], timed: int) -> str:
    shape, phase = cells[0]
    first = f"{phase} at {shape_name(shape)}" + (", …" if len(cells) > 1 else "")
    return f"{name}: {kind} in {len(cells)} of {timed} cells ({first}): {warmup.advice(kind)}"


def _line(cost: Costs, name: str, overtakes: str, baseline: str) -> dict[str, str]:
    return {
        "contender": name,
        "first import": units.duration(cost.first_import_seconds),
        "import": units.duration_with_half_width(*cost.import_seconds.with_bounds),
        "set-up": units.duration_with_half_width(*cost.setup_seconds.with_bounds),
        "first step": units.duration_with_half_width(*cost.first_step_seconds.with_bounds),
        "step": units.duration_with_half_width(*cost.step_seconds.with_bounds),
        "train": units.duration_with_half_width(*cost.train_seconds.with_bounds),
        "peak memory": _memory(cost.peak_bytes),
        overtakes: _overtakes(cost, baseline),
    }


def _others(costs: Sequence[Costs], names: dict[tuple[Contender, Shape], str], baseline: str) -> str:
    """The break-even at the other shapes, one column per shape."""
    compared = [cost for cost in costs if cost.break_even and cost.shape != costs[0].shape]
    if not compared:
        return ""
    lines: dict[str, dict[str, str]] = {}
    for cost in compared:
        name = names[cost.contender, cost.shape]
        lines.setdefault(name, {"contender": name})[shape_name(cost.shape)] = _overtakes(cost, baseline)
    return f"Overtakes {baseline} after, at the other shapes:\n\n" + page.table(
        pd.DataFrame([*lines.values()]).fillna("—")
    )


def _overtakes(cost: Costs, baseline: str) -> str:
    if cost.break_even is None:
        return "baseline" if cost.contender.implementation == baseline else "—"
    return break_even(cost.break_even)


def break_even(even: BreakEven) -> str:
    """The break-even in words: `1,230 steps [980, 1,600]`, `at once`, `never`, `ahead until …`, or `cannot tell`."""
    match even.answer:
        case "after":
            return f"{units.steps(even.steps)} steps [{units.steps(even.low)}, {units.steps(even.high)}]"
        case "until":
            return f"ahead until {units.steps(even.steps)} steps [{units.steps(even.low)}, {units.steps(even.high)}]"
        case "at once":
            return f"at once [0, {units.steps(even.high)}]" if even.high > 0 else "at once"
        case "never":
            return f"never, or ahead until {units.steps(even.high)} at most" if even.high > 0 else "never"
    if math.isnan(even.low):
        return "cannot tell"
    known = f"ahead for {units.steps(even.low)} at least" if even.cheaper else f"not before {units.steps(even.low)}"
    return f"cannot tell, {known}"


def _memory(peak: Estimate) -> str:
    return f"{units.mebibytes(peak.value)} {units.half_width(peak.low, peak.high)}" if peak.passes else "—"


def _without_empty(lines: pd.DataFrame, overtakes: str) -> pd.DataFrame:
    """Drop the columns of phases that were not measured, and of break-even where there is none."""
    empty = [name for name in lines if lines[name].isin(["—", "baseline"] if name == overtakes else ["—"]).all()]
    return lines.drop(columns=empty)


def _names(run: Run) -> dict[tuple[Contender, Shape], str]:
    """The name of each contender at each shape: that of the step's row, or of the first row where there is no step."""
    names: dict[tuple[Contender, Shape], str] = {}
    for cell, name in zip(run.plan.cells, contender_names(run.timings), strict=True):
        if cell.phase == "step":
            names[cell.contender, cell.shape] = name
        else:
            names.setdefault((cell.contender, cell.shape), name)
    return names
