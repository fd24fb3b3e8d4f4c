"""`report.md`: a run as a page for GitHub, one function per section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analyse.run.columns import SUSPECT
from bench.analyse.run.run import Run
from bench.measure.records import (
    Block,
    Calls,
    Ceiling,
    Entered,
    Failed,
    Left,
    Prepared,
    Reference,
    RunEnded,
    WorkerStarted,
)
from bench.plan import units
from bench.plan.cells import PHASES, Contender, Shape
from bench.report import page
from bench.report.change import paired

from . import alignment, ceilings, costs, crossovers, disturbance, integrity, styles, surroundings, trust
from .rows import AXES, MARKS, contender_names, disagree, rank_range, shape_name

RANKED_BY = [*AXES, "phase", "dtype", "precision", "limit", "contender", "seconds", "rank", "rank_worst"]
SPEEDUP_OF = [*AXES, "phase", "contender", "verdict", "speedup", "speedup_low", "speedup_high"]
"""The columns that the ranking and the speed-ups need: rows of all columns take long to make."""


def report(run: Run) -> str:
    """The whole page."""
    timings = run.timings.assign(
        contender=contender_names(run.timings),
        shape=[shape_name(cell.shape) for cell in run.plan.cells],
        limit=[str(cell.contender.threads) for cell in run.plan.cells],
    )
    ranked = not run.plan.sides  # a run of two sides asks what changed, not which contender is faster
    sections = [
        _title(run, timings),
        paired.section(run),
        _fastest(timings) if ranked else "",
        _step_times(timings),
        _speedups(run, timings) if ranked else "",
        _disagreements(timings) if ranked else "",
        styles.section(run) if ranked else "",
        _trust(run),
        crossovers.section(run) if ranked else "",
        ceilings.section(run) if ranked else "",
        costs.section(run) if ranked else "",
        _threads(run),
        _failures(timings),
        _settings(run),
        _machine(run, timings),
        _method(run),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _title(run: Run, timings: pd.DataFrame) -> str:
    plan, head = run.plan, run.head
    counts = timings["status"].value_counts()
    outcome = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    accelerators = page.escaped(", ".join(sorted(set(_accelerator_names(timings)))))
    machine = f"{page.escaped(str(head.machine.get('cpu', 'unknown processor')))}, {plan.cpus} processors"
    question = "Did it get slower?" if plan.sides else "Which backend trains `y = relu(x·w1)·w2` fastest?"
    lines = [
        f"# relubench: {page.escaped(run.name)}",
        f"{question} Grid {page.code(plan.grid)} on {machine}{', ' + accelerators if accelerators else ''}: "
        f"{len(timings)} cells ({outcome}).",
    ]
    if not run.is_complete:
        command = page.code(f"pytest bench/ --benchmark-only --resume {run.name}")
        go_on = f"; {command} goes on with it" if not plan.sides else ""
        lines.append(f"> **This run was cut off.** What it had measured is here{go_on}.")
    lines += [f"> **{line}.**" for line in (*integrity.lines(run), *disturbance.lines(run))]
    return "\n\n".join(lines)


def _fastest(timings: pd.DataFrame) -> str:
    """The ranking by shape and phase, in groups without a verdict between them."""
    timed = timings.loc[timings["rank"].notna(), RANKED_BY]
    if timed.empty:
        return ""
    lines = [
        {"shape": shape_name(shape)}
        | {phase: "<br><br>".join(map(_groups, groups.values())) for phase, groups in by_phase.items()}
        for shape, by_phase in _ranked(timed).items()
    ]
    return (
        "## Fastest\n\n"
        + page.table(pd.DataFrame(lines).fillna("—"))
        + "\n\nThe first line has the fastest and all that no verdict puts behind it. A rank such as 2–4 is what the "
        "verdicts between every two contenders leave open: those whose ranks overlap are ties."
    )


def _ranked(timed: pd.DataFrame) -> dict[Shape, dict[str, dict[tuple[str, ...], list[Any]]]]:
    """The rows by shape, phase and what they must share to be ranked among each other.

    They are gathered in one go, since pandas takes milliseconds for each of what may be thousands of groups.
    """
    ranked: dict[Shape, dict[str, dict[tuple[str, ...], list[Any]]]] = {}
    for sizes in timed[AXES].drop_duplicates().itertuples(index=False):
        ranked[Shape(*sizes)] = {}
    for row in timed.sort_values(["phase", "dtype", "precision", "limit"], kind="stable").itertuples():
        groups = ranked[Shape(row.N, row.D_in, row.H, row.D_out)].setdefault(row.phase, {})
        groups.setdefault((row.dtype, row.precision, row.limit), []).append(row)
    return ranked


def _groups(rows: Sequence[Any]) -> str:
    """`1 **torch**, jax 1–2<br>3 numpy`: one line per best rank, the quickest first."""
    by_rank: dict[int, list[str]] = {}
    for index, row in enumerate(sorted(rows, key=lambda row: (row.rank, row.seconds))):
        name = (
            f"**{row.contender}** {units.duration(row.seconds)}" if row.rank == 1 and index == 0 else str(row.contender)
        )
        worst = f" {rank_range(row.rank, row.rank_worst)}" if row.rank != row.rank_worst else ""
        by_rank.setdefault(row.rank, []).append(name + worst)
    return "<br>".join(f"{rank} {', '.join(names)}" for rank, names in by_rank.items())


def _step_times(timings: pd.DataFrame) -> str:
    phase = "step" if "step" in set(timings["phase"]) else str(timings["phase"].iloc[0])
    chosen = timings[(timings["phase"] == phase) & (timings["status"] == "ok")]
    if chosen.empty:
        return ""
    text = chosen.assign(
        text=[
            units.duration_with_half_width(row.seconds, row.seconds_low, row.seconds_high)
            + f"{disturbance.mark(row.reason)}, {units.significant(row.gflops)} GFLOP/s"
            + (", suspect" if row.verdict == SUSPECT else "")
            for row in chosen.itertuples()
        ]
    )
    pivot = text.pivot(index="contender", columns="shape", values="text")
    pivot = pivot.reindex(index=text["contender"].unique(), columns=text["shape"].unique()).fillna("—")
    return f"## {phase.capitalize()} time\n\n" + page.table(pivot.reset_index())


def _speedups(run: Run, timings: pd.DataFrame) -> str:
    plan = run.plan
    known = timings[timings["speedup"].notna() & timings["verdict"].notna()]
    if known.empty:
        return ""
    parts = [
        f"## Speed-up over {plan.baseline}",
        f"With its interval; ▲ faster, ▼ slower by more than {units.short_percent(plan.min_effect)}, "
        "= same within it, ? unclear.",
    ]
    by_shape: dict[Shape, dict[str, dict[str, str]]] = {}
    for row in known[SPEEDUP_OF].itertuples():
        line = by_shape.setdefault(Shape(row.N, row.D_in, row.H, row.D_out), {}).setdefault(row.contender, {})
        line[row.phase] = f"{MARKS[row.verdict]} {units.ratio(row.speedup, row.speedup_low, row.speedup_high)}"
    for shape, lines in by_shape.items():
        columns = ["contender", *(phase for phase in PHASES if any(phase in line for line in lines.values()))]
        table = pd.DataFrame([{"contender": name, **line} for name, line in lines.items()], columns=columns)
        parts.append(f"### {shape_name(shape)}\n\n" + page.table(table.fillna("—")))
    return "\n\n".join(parts)


def _trust(run: Run) -> str:
    """The section on what the machine resolves, how an adaptive run ended, and which cells did not settle."""
    lines = [*surroundings.lines(run), *trust.lines(run), *costs.warnings(run), *alignment.lines(run)]
    return "## How far to trust it\n\n" + "\n".join(f"- {page.sentence(line)}" for line in lines)


def _disagreements(timings: pd.DataFrame) -> str:
    """The section on cells whose typical time and floor have different verdicts."""
    verdicts = zip(timings["verdict"], timings["verdict_floor"], strict=True)
    apart = timings[[disagree(*both) for both in verdicts]]
    if apart.empty:
        return ""
    rows = pd.DataFrame(
        {
            "contender": apart["contender"],
            "shape": apart["shape"],
            "phase": apart["phase"].astype(str),
            "typical": [_verdict_of(row, "") for _, row in apart.iterrows()],
            "floor": [_verdict_of(row, "_floor") for _, row in apart.iterrows()],
        }
    )
    return (
        "### Where typical time and floor disagree\n\n"
        + page.table(rows)
        + "\n\nThe typical time tells what a step takes here, neighbours and all; the floor what it can take."
    )


def _verdict_of(row: pd.Series, suffix: str) -> str:
    numbers = (row[f"speedup{suffix}{end}"] for end in ("", "_low", "_high"))
    return f"{row[f'verdict{suffix}']} {units.ratio(*numbers)}"


def _threads(run: Run) -> str:
    """The section on whether thread limits were kept: processor seconds per second in the steps of each contender."""
    busy: dict[Contender, float] = {}
    for records in run.cells.values():
        if records.blocks:
            contender = records.cell.contender
            busy[contender] = max(records.busy, busy.get(contender, 0.0))
    lines = [
        {
            "contender": contender.label if run.plan.sides else str(contender),
            "limit": run.plan.threads(contender),
            "busy, most": units.fixed(most, 2),
        }
        for contender, most in busy.items()
    ]
    return "## Threads\n\n" + page.table(pd.DataFrame(lines)) if lines else ""


def _failures(timings: pd.DataFrame) -> str:
    bad = timings[timings["status"] != "ok"]
    noted = timings[(timings["status"] == "ok") & timings["reason"].fillna("").ne("")]
    if bad.empty and noted.empty:
        return ""
    outcomes = pd.concat([bad, noted])
    is_suspect = outcomes["verdict"].astype("string").fillna("") == SUSPECT
    outcomes = outcomes.assign(status=outcomes["status"].astype(str).mask(is_suspect, SUSPECT))
    lines = [
        {"contender": contender, "status": status, "reason": page.escaped(str(reason)), "cells": len(rows)}
        for (contender, status, reason), rows in outcomes.groupby(
            ["contender", "status", "reason"], sort=False, observed=True
        )
    ]
    return "## What failed, and why\n\n" + page.table(pd.DataFrame(lines))


def _settings(run: Run) -> str:
    head, plan = run.head, run.plan
    contenders = list(dict.fromkeys(cell.contender for cell in plan.cells))
    passes = f"{plan.passes} or more" if plan.adaptive else plan.passes
    front = "python -m bench" if head.options[:1] == ["ab"] else "pytest"
    facts = {
        "command": page.code(f"{front} {' '.join(head.options)}"),
        "started": head.started,
        **{side.name: f"{side.label}, by {side.interpreter}" for side in plan.sides},
        "contenders": ", ".join(contender.label if plan.sides else str(contender) for contender in contenders),
        "shapes": "; ".join(dict.fromkeys(shape_name(cell.shape) for cell in plan.cells)),
        "phases": ", ".join(dict.fromkeys(cell.phase for cell in plan.cells)),
        "steps of one train": plan.steps,
        "passes × rounds × samples": f"{passes} × {plan.rounds} × {plan.samples} at most",
        "baseline": plan.baseline,
        "seed of the orders": plan.seed,
    }
    return "## Settings\n\n" + page.facts(facts)


def _machine(run: Run, timings: pd.DataFrame) -> str:
    machine = run.head.machine
    facts: dict[str, Any] = {
        "processor": f"{machine.get('cpu')}, {machine.get('usable_processors')} of {machine.get('processors')} usable",
        "memory": units.gibibytes(machine.get("memory_bytes", 0)),
        "system": machine.get("system"),
        "accelerators": ", ".join(sorted(set(_accelerator_names(timings)))) or "none",
        "relubench": f"{machine.get('relubench')} {machine.get('source', '')}".strip(),
    }
    for worker in run.of_kind(WorkerStarted):
        side = f", {worker.contender.partition('~')[2]}" if run.plan.sides else ""
        facts[f"{worker.backend}{side}"] = (
            f"{worker.backend_version}, {worker.interpreter}, matmul precision {worker.precision}"
        )
        facts[f"BLAS of NumPy{side}"] = worker.details.get("blas")
    facts |= surroundings.facts(run)
    return "## Machine and versions\n\n" + page.facts(facts)


def _method(run: Run) -> str:
    """The section on how it was measured, and where the time went."""
    plan, spent = run.plan, breakdown(run)
    wall = spent["whole run"]
    lines = [
        "## How it was measured",
        f"In each {'pass' if plan.adaptive else f'of {plan.passes} passes'} every contender had a fresh process, "
        f"started and prepared one at a time{_together(run)} and stopped while another was timed. In its first, before "
        "it was timed, "
        "its prediction, gradients, updated weights and a short loss trajectory were compared with float64 NumPy. For "
        "each shape and phase the contenders took turns: "
        f"{plan.rounds} rounds, each in a random order. Before each block, a contender got a new net elsewhere in "
        f"memory and a re-warm; a block is up to {plan.samples} samples, each of which ends when the device is done. "
        "Autograd's `backward` is timed alone, one at a time, with the forward that it consumes outside the clock; "
        "`train` goes from host arrays to host arrays.",
        "A time is the median of a pass's samples, averaged over the passes (geometrically; from five passes on "
        "trimmed at both ends). Intervals are 95 %"
        f"{', over all the looks at the run together' if plan.adaptive else ''}, with the process as the unit of "
        "replication, and no narrower than the spread of the blocks within the passes allows. Speed-ups are paired "
        "within rounds: those of floors by the blocks' least samples, all others by their medians. A verdict needs an "
        f"interval wholly beyond (or within) {units.short_percent(plan.min_effect)} and survives false-discovery "
        "control. The medians of pytest-benchmark's own tables differ a little from these times by design: it pools "
        "the samples of all passes, while here each pass weighs the same, since a process is what repeats itself.",
    ]
    if run.of_kind(Block) and wall:
        rows = [
            {"what": what, "seconds": units.fixed(spent[what], 1), "share": units.percent(spent[what] / wall)}
            for what in spent
        ]
        lines.append(page.table(pd.DataFrame(rows)))
    return "\n\n".join(lines)


def _together(run: Run) -> str:
    """From which pass on several processes started at the same time; empty where none did."""
    passes = [worker.pass_number for worker in run.of_kind(WorkerStarted) if worker.concurrent]
    return f" (several started at once from pass {min(passes)} on, which no import time counts)" if passes else ""


def breakdown(run: Run) -> dict[str, float]:
    """Where a run's wall time went, in seconds."""
    blocks, prepared = run.of_kind(Block), run.of_kind(Prepared)
    sampled = sum(math.fsum(block.seconds) * block.inner for block in blocks)
    spent = {
        "timed": sampled,
        "re-warming": sum(block.rewarm_seconds for block in blocks),
        "between samples and blocks": sum(block.wall_seconds - block.rewarm_seconds for block in blocks) - sampled,
        "calibrating": sum(record.wall_seconds for record in run.of_kind(Entered)),
        "imports": sum(record.wall_seconds for record in run.of_kind(WorkerStarted)),
        "set-up and first calls": sum(record.setup_seconds + math.fsum(record.cells.values()) for record in prepared),
        "float64 references": sum(record.wall_seconds for record in run.of_kind(Reference)),
        "verifying": sum(record.verify_seconds for record in prepared),
        "checking what was timed": sum(record.check_seconds for record in run.of_kind(Left)),
        "ceilings": sum(record.wall_seconds for kind in (Ceiling, Calls) for record in run.of_kind(kind)),
        "failing": sum(record.wall_seconds for record in run.of_kind(Failed)),
    }
    wall = sum(record.wall_seconds for record in run.of_kind(RunEnded))
    return {**spent, "the rest": max(0.0, wall - sum(spent.values())), "whole run": wall}


def _accelerator_names(timings: pd.DataFrame) -> list[str]:
    return [str(name) for name in timings.loc[timings["device"] != "cpu", "device_name"].dropna()]
