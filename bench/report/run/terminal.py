"""The tables and lines that a run ends with on a terminal."""

from __future__ import annotations

import pandas as pd
from tabulate import tabulate

from bench.analyse.run.columns import SUSPECT
from bench.analyse.run.run import Run
from bench.plan import units
from bench.report.change import paired, unpaired

from . import costs, crossovers, disturbance, integrity, surroundings, trust
from .rows import contender_names, disagree, rank_range, shape_name, shapes

MOST_WARNINGS = 3


def page(run: Run) -> str:
    """The tables of a run and the lines below them; for a run of two sides, what changed."""
    if run.plan.sides:
        return unpaired.text(paired.comparison(run))
    lines = [
        *integrity.lines(run),
        *disturbance.lines(run),
        *crossovers.terminal_lines(run),
        *surroundings.lines(run),
        *trust.lines(run),
        *costs.warnings(run)[:MOST_WARNINGS],
    ]
    return "\n\n".join(part for part in (summary(run.timings, run.plan.baseline), "\n".join(lines)) if part)


def summary(timings: pd.DataFrame, baseline: str) -> str:
    """One compact table per shape with the time of the step (or the first phase measured), speed-up and share of the
    roofline limit; then the cells without a time, and why."""
    if timings.empty:
        return ""
    phase = "step" if "step" in set(timings["phase"]) else str(timings["phase"].iloc[0])
    names = contender_names(timings)
    timed = timings[(timings["phase"] == phase) & (timings["status"] == "ok")]
    parts = []
    for shape, rows in shapes(timed):
        lines = [_line(names[index], row) for index, row in _fastest_first(rows)]
        headers = [
            shape_name(shape),
            "rank",
            f"{phase} time",
            f"speed-up over {baseline}",
            "verdict",
            "GFLOP/s",
            "of the limit",
        ]
        align = ("left", "left", "right", "left", "left", "right", "left")
        parts.append(tabulate(lines, headers, tablefmt="simple", colalign=align, disable_numparse=True))
    failed = timings[timings["status"] != "ok"].assign(contender=names)
    reasons = failed.groupby(["contender", "status", "reason"], sort=False, observed=True).size()
    lines = [f"{name}: {status}, {reason} ({_cells(count)})" for (name, status, reason), count in reasons.items()]
    suspects = timings[timings["verdict"] == SUSPECT]
    suspect_lines = [f"{names[index]}: {row['phase']} {row['reason']}" for index, row in suspects.iterrows()]
    parts += ["\n".join(["Not timed:", *lines])] if lines else []
    parts += ["\n".join(["Suspect, and compared with nothing:", *suspect_lines])] if suspect_lines else []
    return "\n\n".join(parts)


def _fastest_first(rows: pd.DataFrame) -> list[tuple[int, pd.Series]]:
    return list(rows.sort_values("seconds", na_position="last", kind="stable").iterrows())  # type: ignore[arg-type]


def _line(name: str, row: pd.Series) -> list[str]:
    is_baseline = pd.isna(row["verdict"]) and row["speedup"] == 1
    speedup = "baseline" if is_baseline else units.ratio(row["speedup"], row["speedup_low"], row["speedup_high"])
    verdict = "" if pd.isna(row["verdict"]) else str(row["verdict"])
    if disagree(row["verdict"], row["verdict_floor"]):
        verdict += f" (floor: {row['verdict_floor']})"
    time = units.duration_with_half_width(row["seconds"], row["seconds_low"], row["seconds_high"]) + disturbance.mark(
        row["reason"]
    )
    rank = "" if pd.isna(row["rank"]) else rank_range(row["rank"], row["rank_worst"])
    return [name, rank, time, speedup, verdict, units.significant(row["gflops"]), _share_of_limit(row)]


def _share_of_limit(row: pd.Series) -> str:
    """`62 % compute`: the roofline limit as a share of the time, and what binds it."""
    if pd.isna(row["ceiling_fraction"]):
        return "—"
    return f"{units.percent(row['ceiling_fraction'])} {row['bound']}"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
