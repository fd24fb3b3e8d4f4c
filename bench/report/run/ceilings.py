"""The section on how far every contender is from what the machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bench.analyse.run import ceilings
from bench.analyse.run.ceilings import Best, Limits
from bench.analyse.run.run import Run
from bench.measure.records import Ceiling
from bench.plan import units
from bench.plan.cells import Contender, Place
from bench.report import page

from .rows import contender_names, shape_name

APART = ("forward", "backward", "update")


def section(run: Run) -> str:
    """Markdown: the ceilings and who reached them, how close each contender's step comes and what binds it, what of a
    step is not its phases, and the passes whose ceilings moved by more than the run's resolution. Empty where no
    ceilings were measured."""
    if not run.limits:
        return ""
    parts = [
        "## How far from the limit",
        page.table(pd.DataFrame([_limits(place, by_pass) for place, by_pass in run.limits.items()])),
        _missing(run),
        _closeness(run),
        _calls(run),
        _remainders(run),
        _drift(run),
        "A ceiling is the best of every backend here, measured in every pass: a large matrix product, and copying or "
        "adding in place; the median of the passes stands here. A cell's limit is the longer of its operations at the "
        "first and its unavoidable bytes at the second (each array that a phase is given read once, each that it "
        "leaves written once), at the bandwidth of the caches that they fit in. What takes at least half of the time "
        "binds: `compute` or `bandwidth`; else `call`, if the phase on arrays of one element takes at least half of "
        "the time; else it is `overhead`, of temporaries, small or oblong products, or a slower library.",
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


def _missing(run: Run) -> str:
    reasons = {record.contender: record.reason for record in run.of_kind(Ceiling) if record.reason}
    return "\n".join(
        f"* Not from {page.escaped(contender)}: {page.escaped(reason)}" for contender, reason in reasons.items()
    )


def _closeness(run: Run) -> str:
    """Contenders × shapes, of the step or of the first phase measured."""
    phases = list(dict.fromkeys(cell.phase for cell in run.plan.cells))
    phase = "step" if "step" in phases else phases[0]
    lines: dict[str, dict[str, str]] = {}
    for measured, name in zip(run.measured, contender_names(run.timings), strict=True):
        cell, records = measured.cell, measured.records
        if cell.phase != phase or records.status != "ok":
            continue
        limits = run.limits.get(cell.contender.place, {})
        call = run.call_seconds.get(cell.contender, {}).get(cell.phase, 0.0)
        closeness = ceilings.closeness(cell, records.typicals, records.block_errors, limits, run.plan.steps, call)
        line = lines.setdefault(name, {"contender": name})
        line[shape_name(cell.shape)] = units.percent_with_interval(*closeness.fraction.with_bounds) + (
            f" {closeness.bound}" if closeness.bound else ""
        )
    if not lines:
        return ""
    title = f"### The least a {phase} can take, as a share of what it takes"
    return title + "\n\n" + page.table(pd.DataFrame([*lines.values()]).fillna("—"))


def _calls(run: Run) -> str:
    """Contenders × phases, of calls on arrays of one element."""
    names: dict[Contender, str] = {}
    for cell, name in zip(run.plan.cells, contender_names(run.timings), strict=True):
        names.setdefault(cell.contender, name)
    lines = [
        {"contender": names[contender], **{phase: units.duration(seconds) for phase, seconds in by_phase.items()}}
        for contender, by_phase in run.call_seconds.items()
    ]
    if not lines:
        return ""
    return "### A call without work\n\n" + page.table(pd.DataFrame(lines).fillna("—"))


def _remainders(run: Run) -> str:
    """Contenders × shapes, of steps whose phases were timed apart."""
    lines: dict[str, dict[str, str]] = {}
    for cell, name in zip(run.plan.cells, contender_names(run.timings), strict=True):
        together = [run.cells.get(replace(cell, phase=phase).key) for phase in ("step", *APART)]
        if cell.phase != "step" or any(records is None or records.failed for records in together):
            continue
        step, *apart = (records.typicals for records in together if records is not None)
        left = ceilings.remainder(step, apart)
        if left:
            line = lines.setdefault(name, {"contender": name})
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


def _drift(run: Run) -> str:
    several = len(run.limits) > 1
    lines = [
        f"* pass {moved.pass_number}: {'products' if moved.what == 'products' else 'bandwidth'}"
        f"{f' ({moved.place[0]}, {moved.place[1]}, {moved.place[2]} threads)' if several else ''} "
        f"{units.two_digit_percent(abs(moved.change))} {'higher' if moved.change > 0 else 'lower'}"
        for moved in ceilings.drift(run, run.resolution)
    ]
    if not lines:
        return ""
    warning = "> **The machine did not keep its pace.** Passes whose ceilings lay elsewhere than those of the others:"
    return warning + "\n\n" + "\n".join(lines)
