"""The section on the machine's limits, and how close every contender comes to them."""

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

PHASES_OF_STEP = ("forward", "backward", "update")


def section(run: Run) -> str:
    """A Markdown section: the ceilings and the backends that reached them, how close each contender's step comes and
    what binds it, step time outside its phases, and the passes whose ceilings moved by more than the run's resolution.
    Empty where no ceilings were measured."""
    if not run.limits:
        return ""
    parts = [
        "## The machine's limits",
        page.table(pd.DataFrame([_limits(place, limits) for place, limits in run.limits.items()])),
        _missing(run),
        _closeness(run),
        _calls(run),
        _remainders(run),
        _drift(run),
        "A ceiling is the best of the run's backends: a large matrix product, and copying or adding in place; passes "
        "that did not measure all of them probed how fast the machine was. The median of the passes stands here. A "
        "cell's limit is the longer of its operations at the first and its unavoidable bytes at the second (each array "
        "that a phase is given read once, each that it leaves written once), at the bandwidth of the caches that they "
        "fit in. What takes at least half of the time binds: `compute` or `bandwidth`; else `call`, if the phase on "
        "arrays of one element takes at least half of the time; else it is `overhead`, of temporaries, small or oblong "
        "products, or a slower library.",
    ]
    return "\n\n".join(part for part in parts if part)


def _limits(place: Place, limits_by_pass: dict[int, Limits]) -> dict[str, str]:
    device, dtype, threads = place
    passes = [*limits_by_pass.values()]
    sizes = sorted({size for limits in passes for size in limits.streams})
    line = {
        "device": device,
        "dtype": dtype,
        "threads": threads,
        "matrix product": _typical([limits.product for limits in passes], "FLOP/s"),
    }
    for size in sizes:
        best = [limits.streams[size] for limits in passes if size in limits.streams]
        line[f"in {units.kibibytes_or_mebibytes(size)}"] = _typical(best, "B/s")
    return line


def _typical(best: Sequence[Best], unit: str) -> str:
    """`199 GFLOP/s (jax)`: the median of the passes, and the backend that was best most often."""
    names = [rate.by for rate in best]
    most_frequent = max(dict.fromkeys(names), key=names.count)
    median = float(np.median([rate.rate for rate in best]))
    return f"{units.significant(median / 1e9)} G{unit} ({page.escaped(most_frequent)})"


def _missing(run: Run) -> str:
    reasons = {record.contender: record.reason for record in run.of_kind(Ceiling) if record.reason}
    return "\n".join(
        f"* Not from {page.escaped(contender)}: {page.escaped(reason)}" for contender, reason in reasons.items()
    )


def _closeness(run: Run) -> str:
    """A table, contenders × shapes, of the step or of the first phase measured."""
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
    title = f"### Lower bound on {'an' if phase == 'update' else 'a'} {phase}'s time, as a share of it"
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
    """A table, contenders × shapes, of steps whose phases were timed separately."""
    lines: dict[str, dict[str, str]] = {}
    for cell, name in zip(run.plan.cells, contender_names(run.timings), strict=True):
        step_and_phases = [run.cells.get(replace(cell, phase=phase).key) for phase in ("step", *PHASES_OF_STEP)]
        if cell.phase != "step" or any(records is None or records.failed for records in step_and_phases):
            continue
        step, *separate = (records.typicals for records in step_and_phases if records is not None)
        remainder = ceilings.remainder(step, separate)
        if remainder:
            line = lines.setdefault(name, {"contender": name})
            sign = "−" if remainder.seconds < 0 else ""
            seconds = f"{sign}{units.duration(abs(remainder.seconds))}"
            line[shape_name(cell.shape)] = (
                f"{units.percent_with_interval(remainder.share, remainder.low, remainder.high)}, {seconds}"
            )
    if not lines:
        return ""
    return (
        "### Step time outside its phases\n\n"
        + page.table(pd.DataFrame([*lines.values()]).fillna("—"))
        + "\n\nThe step's time without those of forward, backward and update timed apart, with its 95 % interval: "
        "below 0 where one step is quicker than its phases, as a fused or compiled one is."
    )


def _drift(run: Run) -> str:
    has_several_places = len(run.limits) > 1
    lines = [
        f"* pass {moved.pass_number}: {'products' if moved.what == 'products' else 'bandwidth'}"
        f"{f' ({moved.place[0]}, {moved.place[1]}, {moved.place[2]} threads)' if has_several_places else ''} "
        f"{units.two_digit_percent(abs(moved.change))} {'higher' if moved.change > 0 else 'lower'}"
        for moved in ceilings.drift(run, run.resolution)
    ]
    if not lines:
        return ""
    warning = "> **The machine did not keep its pace.** Passes whose ceilings lay elsewhere than those of the others:"
    return warning + "\n\n" + "\n".join(lines)
