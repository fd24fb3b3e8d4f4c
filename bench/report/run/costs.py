"""The section on what it costs to get to a steady step, and warnings of cells that did not keep their pace."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from bench.analyse.estimates.statistics import Estimate
from bench.analyse.run import tables, warmup
from bench.analyse.run.costs import BreakEven, Costs, costs
from bench.analyse.run.memo import once
from bench.measure.records import Record
from bench.plan import units
from bench.plan.cells import Contender, Shape
from bench.plan.plain import from_plain
from bench.report import page

from .rows import contender_names, shape_name

WARNED = ("slowing", "no steady state")
MOST_WARNINGS = 10


def section(records: Sequence[Record]) -> str:
    """Markdown: every contender's costs at the run's first shape, and its break-even at all of them; empty where
    nothing was timed."""
    told = costs(records)
    if not told:
        return ""
    names = _names(records)
    plan = from_plain(tables.started(records).plan)
    here = [each for each in told if each.shape == told[0].shape]
    overtakes = f"overtakes {plan.baseline} after"
    lines = [_line(each, names[each.contender, each.shape], overtakes, plan.baseline) for each in here]
    parts = [
        "## What it costs to get there",
        f"At {shape_name(told[0].shape)}, with 95 % intervals:",
        page.table(_without_empty(pd.DataFrame(lines), overtakes)),
        _others(told, names, plan.baseline),
        "Import is the framework's, NumPy included; the first pass has a column of its own, since it may "
        "have had to read the framework from the disk; set-up moves a problem's arrays to the device; a first step "
        "compiles where the backend does; both as the first things that a process does. `train` goes from host "
        "arrays to host arrays. Memory is the process's on the host, the framework's own count on an accelerator. A "
        f"contender overtakes {plan.baseline} when it has won back, step by step, what its import, set-up and first "
        "step cost more (Fieller's interval): up to ∞ where never cannot be excluded.",
    ]
    return "\n\n".join(part for part in parts if part)


@once
def warnings(records: Sequence[Record]) -> list[str]:
    """A line for each contender's cells that grew slower, or went back and forth, while they were sampled, and what
    to do; the worst first, and at most ten."""
    groups: dict[tuple[str, str], list[tuple[Shape, str]]] = defaultdict(list)
    names = _names(records)
    timed: dict[str, int] = defaultdict(int)
    for held in tables.by_cell(records).values():
        if held.failed or not held.blocks:
            continue
        cell = held.cell
        name = names[cell.contender, cell.shape]
        timed[name] += 1
        kind = warmup.of_cell(warmup.of_processes(held).values())
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


def _line(each: Costs, name: str, overtakes: str, baseline: str) -> dict[str, str]:
    return {
        "contender": name,
        "first import": units.duration(each.first_import_seconds),
        "import": units.duration_with_half_width(*each.import_seconds.with_bounds),
        "set-up": units.duration_with_half_width(*each.setup_seconds.with_bounds),
        "first step": units.duration_with_half_width(*each.first_step_seconds.with_bounds),
        "step": units.duration_with_half_width(*each.step_seconds.with_bounds),
        "train": units.duration_with_half_width(*each.train_seconds.with_bounds),
        "peak memory": _memory(each.peak_bytes),
        overtakes: _overtakes(each, baseline),
    }


def _others(told: Sequence[Costs], names: dict[tuple[Contender, Shape], str], baseline: str) -> str:
    """Break-even at the other shapes, a column each."""
    compared = [each for each in told if each.break_even and each.shape != told[0].shape]
    if not compared:
        return ""
    lines: dict[str, dict[str, str]] = {}
    for each in compared:
        name = names[each.contender, each.shape]
        lines.setdefault(name, {"contender": name})[shape_name(each.shape)] = _overtakes(each, baseline)
    return f"Overtakes {baseline} after, at the other shapes:\n\n" + page.table(
        pd.DataFrame([*lines.values()]).fillna("—")
    )


def _overtakes(each: Costs, baseline: str) -> str:
    if each.break_even is None:
        return "baseline" if each.contender.implementation == baseline else "—"
    return told_break_even(each.break_even)


def told_break_even(found: BreakEven) -> str:
    """`1,230 steps [980, 1,600]`, `at once`, `never`, `ahead until …`, or `cannot tell`."""
    match found.answer:
        case "after":
            return f"{units.steps(found.steps)} steps [{units.steps(found.low)}, {units.steps(found.high)}]"
        case "until":
            return f"ahead until {units.steps(found.steps)} steps [{units.steps(found.low)}, {units.steps(found.high)}]"
        case "at once":
            return f"at once [0, {units.steps(found.high)}]" if found.high > 0 else "at once"
        case "never":
            return f"never, or ahead until {units.steps(found.high)} at most" if found.high > 0 else "never"
    if math.isnan(found.low):
        return "cannot tell"
    known = f"ahead for {units.steps(found.low)} at least" if found.cheaper else f"not before {units.steps(found.low)}"
    return f"cannot tell, {known}"


def _memory(told: Estimate) -> str:
    return f"{units.mebibytes(told.value)} {units.half_width(told.low, told.high)}" if told.passes else "—"


def _without_empty(lines: pd.DataFrame, last: str) -> pd.DataFrame:
    """Without the columns of phases that were not asked for, and of break-even where there is none."""
    empty = [name for name in lines if lines[name].isin(["—", "baseline"] if name == last else ["—"]).all()]
    return lines.drop(columns=empty)


def _names(records: Sequence[Record]) -> dict[tuple[Contender, Shape], str]:
    """By contender and shape, as the step's row is called, or the first one's."""
    timings = tables.timings(records)
    cells = from_plain(tables.started(records).plan).cells
    names: dict[tuple[Contender, Shape], str] = {}
    for cell, name in zip(cells, contender_names(timings), strict=True):
        if cell.phase == "step":
            names[cell.contender, cell.shape] = name
        else:
            names.setdefault((cell.contender, cell.shape), name)
    return names
