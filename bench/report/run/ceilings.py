"""The section on how far every contender is from what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.analyse.estimates.statistics import typical
from bench.analyse.run import ceilings, tables
from bench.analyse.run.ceilings import RESOLUTION, Best, Limits, Moved
from bench.measure.records import Ceiling, Record
from bench.plan import units
from bench.plan.cells import Place
from bench.plan.plain import from_plain
from bench.plan.plan import Plan
from bench.report import page

from .rows import contender_names, shape_name

APART = ("forward", "backward", "update")


def section(records: Sequence[Record], resolution: float = RESOLUTION) -> str:
    """Markdown: the ceilings and who reached them, how close each contender's step comes and what binds
    it, what of a step is not its phases, and the passes whose ceilings moved by more than
    `resolution`, a fraction. Empty where no ceilings were measured. Raises ValueError for a
    resolution that is not positive."""
    plan = from_plain(tables.started(records).plan)
    found = ceilings.limits(records)
    if not found:
        return ""
    parts = [
        "## How far from the limit",
        page.table(pd.DataFrame([_limits(place, by_pass) for place, by_pass in found.items()])),
        _missing(records),
        _closeness(records, plan, found),
        _remainders(records, plan),
        _drift(ceilings.drift(records, resolution), found),
        "A ceiling is the best of every backend here, measured in every pass: a large matrix product, and copying or "
        "adding in place; the median of the passes stands here. A cell's limit is the longer of its operations at the "
        "first and its unavoidable bytes at the second (each array that a phase is given read once, each that it "
        "leaves written once), at the bandwidth of the caches that they fit in. What takes at least half of the time "
        "binds: `compute` or `bandwidth`; else it is `overhead`, of calls, temporaries, small or oblong "
        "products, or a slower library.",
    ]
    return "\n\n".join(part for part in parts if part)


def _limits(place: Place, by_pass: dict[int, Limits]) -> dict[str, str]:
    device, dtype, threads = place
    sizes = sorted({size for each in by_pass.values() for size in each.streams})
    passes = [*by_pass.values()]
    line = {
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "matrix product": _typical([each.product for each in passes], "FLOP/s"),
    }
    for size in sizes:
        best = [each.streams[size] for each in passes if size in each.streams]
        line[f"in {units.kibibytes_or_mebibytes(size)}"] = _typical(best, "B/s")
    return line


def _typical(best: Sequence[Best], unit: str) -> str:
    """`199 GFLOP/s (jax)`: the median of the passes, and whose it was most often."""
    names = [each.by for each in best]
    most = max(dict.fromkeys(names), key=names.count)
    return f"{units.significant(float(np.median([each.rate for each in best])) / 1e9)} G{unit} ({page.escaped(most)})"


def _missing(records: Sequence[Record]) -> str:
    reasons = {record.contender: record.reason for record in records if isinstance(record, Ceiling) and record.reason}
    return "\n".join(
        f"* Not from {page.escaped(contender)}: {page.escaped(reason)}" for contender, reason in reasons.items()
    )


def _closeness(records: Sequence[Record], plan: Plan, found: dict[Place, dict[int, Limits]]) -> str:
    """Contenders × shapes, of the step or of the first phase measured."""
    timings = tables.timings(records)
    phases = list(dict.fromkeys(cell.phase for cell in plan.cells))
    phase = "step" if "step" in phases else phases[0]
    lines: dict[str, dict[str, str]] = {}
    names, held = contender_names(timings), tables.by_cell(records)
    for cell, name in zip(plan.cells, names, strict=True):
        mine = held[cell.key]
        if cell.phase != phase or mine.failed or not mine.blocks:
            continue
        line = lines.setdefault(name, {"contender": name})
        here = found.get(cell.contender.place, {})
        close = ceilings.closeness(cell, _seconds(mine), mine.within(), here, plan.steps)
        line[shape_name(cell.shape)] = units.percent_with_interval(*close.fraction.with_bounds) + (
            f" {close.bound}" if close.bound else ""
        )
    if not lines:
        return ""
    title = f"### The least a {phase} can take, as a share of what it takes"
    return title + "\n\n" + page.table(pd.DataFrame([*lines.values()]).fillna("—"))


def _remainders(records: Sequence[Record], plan: Plan) -> str:
    held = tables.by_cell(records)
    names = dict(zip((cell.key for cell in plan.cells), contender_names(tables.timings(records)), strict=True))
    lines: dict[str, dict[str, str]] = {}
    for cell in plan.cells:
        together = [held.get(replace(cell, phase=phase).key) for phase in ("step", *APART)]
        if cell.phase != "step" or any(each is None or each.failed for each in together):
            continue
        step, *apart = (_seconds(each) for each in together if each is not None)
        left = ceilings.remainder(step, apart)
        if left:
            line = lines.setdefault(names[cell.key], {"contender": names[cell.key]})
            sign = "−" if left.seconds < 0 else ""
            seconds = f"{sign}{units.duration(abs(left.seconds))}"
            line[shape_name(cell.shape)] = f"{units.percent_with_interval(left.share, left.low, left.high)}, {seconds}"
    if not lines:
        return ""
    return (
        "### What of a step is not its phases\n\n"
        + page.table(pd.DataFrame([*lines.values()]).fillna("—"))
        + "\n\nThe step's time without those of forward, backward and update timed apart, with its 95 % interval: "
        "below 0 where one step is quicker than its phases, as a fused or compiled one is."
    )


def _seconds(held: tables.CellRecords) -> dict[int, float]:
    return {pass_number: typical(samples) for pass_number, samples in held.per_pass().items()}


def _drift(moved: Sequence[Moved], found: dict[Place, dict[int, Limits]]) -> str:
    lines = [
        f"* pass {each.pass_number}: {'products' if each.what == 'products' else 'bandwidth'}"
        f"{f' ({each.place[0]}, {each.place[1]}, {each.place[2]} threads)' if len(found) > 1 else ''} "
        f"{units.two_digit_percent(abs(each.change))} {'higher' if each.change > 0 else 'lower'}"
        for each in moved
    ]
    if not lines:
        return ""
    warning = "> **The machine did not keep its pace.** Passes whose ceilings lay elsewhere than those of the others:"
    return warning + "\n\n" + "\n".join(lines)
