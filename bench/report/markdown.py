"""`report.md`: a run as a page that is worth reading on GitHub. One function a section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analyse import tables
from bench.analyse.statistics import MIN_EFFECT, Estimate, estimate
from bench.measure.records import Block, Entered, Failed, Prepared, Record, RunEnded, WorkerStarted
from bench.measure.session import plan_of
from bench.plan.plan import Plan

from . import page, units
from .rows import contender_names, shape_name, shapes


def report(records: Sequence[Record]) -> str:
    """The whole page."""
    timings = tables.timings(records)
    timings["contender"] = contender_names(timings)
    timings["shape"] = [shape_name(plan_cell.shape) for plan_cell in plan_of(tables.started(records)).cells]
    plan = plan_of(tables.started(records))
    sections = [
        _title(records, timings),
        _fastest(records, timings),
        _step_times(timings),
        _speedups(timings, plan),
        _start_up(timings),
        _threads(records, plan),
        _failures(timings),
        _asked(records, plan),
        _machine(records, timings),
        _method(records, plan),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _title(records: Sequence[Record], timings: pd.DataFrame) -> str:
    head = tables.started(records)
    counts = timings["status"].value_counts()
    outcome = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    accelerators = ", ".join(sorted(set(_accelerator_names(timings))))
    machine = f"{head.machine.get('cpu', 'unknown processor')}, {plan_of(head).cpus} processors"
    lines = [
        f"# relubench: {head.run}",
        "Which backend trains `y = relu(x·w1)·w2` fastest? "
        f"Grid `{plan_of(head).grid}` on {machine}{', ' + accelerators if accelerators else ''}: "
        f"{len(timings)} cells ({outcome}).",
    ]
    if not tables.is_complete(records):
        lines.append(
            "> **This run was cut off.** What it had measured is here; "
            f"`pytest bench/ --benchmark-only --resume {head.run}` goes on with it."
        )
    return "\n\n".join(lines)


def _fastest(records: Sequence[Record], timings: pd.DataFrame) -> str:
    """Per shape and phase, with those that cannot be told apart from the winner."""
    if not (timings["status"] == "ok").any():
        return ""
    per_pass = {key: _medians(held) for key, held in tables.by_cell(records).items()}
    keys = [cell.key for cell in plan_of(tables.started(records)).cells]
    lines: list[dict[str, str]] = []
    for shape, rows in shapes(timings):
        line = {"shape": shape_name(shape)}
        for phase, here in rows[rows["status"] == "ok"].groupby("phase", observed=True):
            for _, alike in here.groupby(["dtype"], observed=True):
                best = alike["seconds"].idxmin()
                tied = [
                    str(row["contender"])
                    for index, row in alike.sort_values("seconds").iterrows()
                    if index != best and _not_slower(per_pass[keys[index]], per_pass[keys[best]])  # type: ignore[index, call-overload]
                ]
                name = f"**{alike.loc[best, 'contender']}** {units.duration(alike.loc[best, 'seconds'])}"
                told = name + (f" (or {', '.join(tied)})" if tied else "")
                line[str(phase)] = f"{line[str(phase)]}<br>{told}" if str(phase) in line else told
        lines.append(line)
    return (
        "## Fastest\n\n"
        + page.table(pd.DataFrame(lines).fillna("—"))
        + "\n\nIn parentheses: contenders whose interval against the fastest does not exclude a tie."
    )


def _step_times(timings: pd.DataFrame) -> str:
    phase = "step" if "step" in set(timings["phase"]) else str(timings["phase"].iloc[0])
    chosen = timings[(timings["phase"] == phase) & (timings["status"] == "ok")]
    if chosen.empty:
        return ""
    text = chosen.assign(
        text=[
            units.with_interval(row.seconds, row.seconds_low, row.seconds_high)
            + f", {units.significant(row.gflops)} GFLOP/s"
            for row in chosen.itertuples()
        ]
    )
    pivot = text.pivot(index="contender", columns="shape", values="text")
    pivot = pivot.reindex(index=text["contender"].unique(), columns=text["shape"].unique()).fillna("—")
    return f"## {phase.capitalize()} time\n\n" + page.table(pivot.reset_index())


def _speedups(timings: pd.DataFrame, plan: Plan) -> str:
    known = timings[timings["speedup"].notna() & timings["verdict"].notna()]
    if known.empty:
        return ""
    parts = [
        f"## Speed-up over {plan.baseline}",
        f"With its 95 % interval; ▲ faster, ▼ slower by more than {MIN_EFFECT:.0%}, = the same within it, ? unclear.",
    ]
    marks = {"faster": "▲", "slower": "▼", "same": "=", "unclear": "?"}
    for shape, rows in shapes(known):
        text = rows.assign(
            text=[
                f"{marks[row.verdict]} {units.ratio(row.speedup, row.speedup_low, row.speedup_high)}"
                for row in rows.itertuples()
            ]
        )
        pivot = text.pivot(index="contender", columns="phase", values="text").reindex(text["contender"].unique())
        parts.append(
            f"### {shape_name(shape)}\n\n" + page.table(pivot.dropna(axis=1, how="all").fillna("—").reset_index())
        )
    return "\n\n".join(parts)


def _start_up(timings: pd.DataFrame) -> str:
    known = timings[timings["status"] == "ok"]
    if known.empty:
        return ""
    lines = []
    for contender, rows in known.groupby("contender", sort=False):
        line = {"contender": contender, "import": units.duration(rows["import_seconds"].iloc[0])}
        line["set-up, largest"] = units.duration(rows["setup_seconds"].max())
        for phase, here in rows.groupby("phase", observed=True):
            line[f"first {phase}"] = units.duration(here["first_call_seconds"].median())
        line["peak memory"] = units.mebibytes(rows["peak_bytes"].max())
        lines.append(line)
    return (
        "## What it costs to get there\n\n"
        + page.table(pd.DataFrame(lines).fillna("—"))
        + "\n\nImport is the framework's, NumPy included; set-up moves a problem's arrays to the device; a first call "
        "compiles where the backend does (median over the shapes). Memory is the process's on the host, the "
        "framework's own count on an accelerator."
    )


def _threads(records: Sequence[Record], plan: Plan) -> str:
    """Whether limits held: processor seconds per second in the steps of each contender."""
    held = [cell for cell in tables.by_cell(records).values() if cell.blocks]
    lines = []
    for contender in dict.fromkeys(cell.cell.contender for cell in held):
        busy = [cell.busy for cell in held if cell.cell.contender == contender]
        lines.append({"contender": str(contender), "limit": plan.threads(contender), "busy, most": f"{max(busy):.2f}"})
    return "## Threads\n\n" + page.table(pd.DataFrame(lines)) if lines else ""


def _failures(timings: pd.DataFrame) -> str:
    bad = timings[timings["status"] != "ok"]
    noted = timings[(timings["status"] == "ok") & timings["reason"].fillna("").ne("")]
    if bad.empty and noted.empty:
        return ""
    lines = [
        {"contender": contender, "status": status, "reason": str(reason).replace("|", "\\|"), "cells": len(rows)}
        for (contender, status, reason), rows in pd.concat([bad, noted]).groupby(
            ["contender", "status", "reason"], sort=False, observed=True
        )
    ]
    return "## What failed, and why\n\n" + page.table(pd.DataFrame(lines))


def _asked(records: Sequence[Record], plan: Plan) -> str:
    head = tables.started(records)
    contenders = list(dict.fromkeys(cell.contender for cell in plan.cells))
    facts = {
        "command": f"`pytest {' '.join(head.options)}`",
        "started": head.started,
        "contenders": ", ".join(str(contender) for contender in contenders),
        "shapes": "; ".join(dict.fromkeys(shape_name(cell.shape) for cell in plan.cells)),
        "phases": ", ".join(dict.fromkeys(cell.phase for cell in plan.cells)),
        "steps of one train": plan.steps,
        "passes × rounds × samples": f"{plan.passes} × {plan.rounds} × {plan.samples} at most",
        "baseline": plan.baseline,
        "seed of the orders": plan.seed,
    }
    return "## What was asked\n\n" + page.facts(facts)


def _machine(records: Sequence[Record], timings: pd.DataFrame) -> str:
    machine = tables.started(records).machine
    facts: dict[str, Any] = {
        "processor": f"{machine.get('cpu')}, {machine.get('usable_processors')} of {machine.get('processors')} usable",
        "memory": f"{machine.get('memory_bytes', 0) / 2**30:.1f} GiB",
        "system": machine.get("system"),
        "accelerators": ", ".join(sorted(set(_accelerator_names(timings)))) or "none",
        "relubench": f"{machine.get('relubench')} {machine.get('source', '')}".strip(),
    }
    for worker in (record for record in records if isinstance(record, WorkerStarted)):
        facts[worker.backend] = f"{worker.backend_version}, {worker.interpreter}, matmul precision {worker.precision}"
        facts["BLAS of NumPy"] = worker.details.get("blas")
    return "## Machine and versions\n\n" + page.facts(facts)


def _method(records: Sequence[Record], plan: Plan) -> str:
    """How it was measured, and where the time went."""
    blocks = [record for record in records if isinstance(record, Block)]
    wall = sum(record.wall_seconds for record in records if isinstance(record, RunEnded))
    spent = breakdown(records)
    lines = [
        "## How it was measured",
        f"In each of {plan.passes} passes every contender had a fresh process, started and prepared one at a time and "
        "stopped while another was timed. Before it was timed, its prediction, gradients, updated weights and a short "
        "loss trajectory were compared with float64 NumPy. For each shape and phase the contenders took turns: "
        f"{plan.rounds} rounds, each in a random order; a turn is a new net elsewhere in memory, a re-warm, "
        f"then a block of up to {plan.samples} samples, each of which ends when the device is done. Autograd's "
        "`backward` is timed alone, one at a time, with the forward that it consumes outside the clock; `train` goes "
        "from host arrays to host arrays.",
        "A time is the median of a pass's samples, averaged over the passes (geometrically; from five passes on "
        "without the smallest and the largest). Intervals are 95 %, with the process as the unit of replication, and "
        "no narrower than the spread of the blocks within the passes allows. "
        "Speed-ups are paired within passes. A verdict needs an interval wholly beyond (or within) "
        f"{MIN_EFFECT:.0%} and survives false-discovery control.",
    ]
    if blocks and wall:
        rows = [{"what": what, "seconds": f"{spent[what]:.1f}", "share": f"{spent[what] / wall:.0%}"} for what in spent]
        lines.append(page.table(pd.DataFrame(rows)))
    return "\n\n".join(lines)


def breakdown(records: Sequence[Record]) -> dict[str, float]:
    """Where a run's wall time went, in seconds."""
    blocks = [record for record in records if isinstance(record, Block)]
    prepared = [record for record in records if isinstance(record, Prepared)]
    starts = [record for record in records if isinstance(record, WorkerStarted)]
    sampled = sum(math.fsum(block.seconds) * block.inner for block in blocks)
    spent = {
        "timed": sampled,
        "re-warming": sum(block.rewarm_seconds for block in blocks),
        "between samples and blocks": sum(block.wall_seconds - block.rewarm_seconds for block in blocks) - sampled,
        "calibrating": sum(record.wall_seconds for record in records if isinstance(record, Entered)),
        "imports": sum(start.wall_seconds for start in starts),
        "set-up and first calls": sum(p.setup_seconds + math.fsum(p.cells.values()) for p in prepared),
        "verifying": sum(p.verify_seconds for p in prepared),
        "failing": sum(record.wall_seconds for record in records if isinstance(record, Failed)),
    }
    wall = sum(record.wall_seconds for record in records if isinstance(record, RunEnded))
    return {**spent, "the rest": max(0.0, wall - sum(spent.values())), "whole run": wall}


def _medians(held: tables.CellRecords) -> dict[int, float]:
    return {passage: float(np.median(seconds)) for passage, seconds in held.per_pass().items()}


def _not_slower(mine: dict[int, float], best: dict[int, float]) -> bool:
    """Whether a contender's time over the fastest's does not exclude 1; unknown from one pass."""
    ratio: Estimate = estimate([mine[passage] / best[passage] for passage in mine if passage in best])
    return not ratio.low > 1


def _accelerator_names(timings: pd.DataFrame) -> list[str]:
    return [str(name) for name in timings.loc[timings["device"] != "cpu", "device_name"].dropna()]
