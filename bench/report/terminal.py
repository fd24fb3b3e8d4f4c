"""The table that a run ends with on a terminal."""

from __future__ import annotations

import pandas as pd
from tabulate import tabulate

from . import units
from .rows import contender_names, shape_name, shapes


def summary(timings: pd.DataFrame, baseline: str) -> str:
    """One compact table per shape: step time (or the first phase measured), speed-up, rate; then
    whatever has no time, and why."""
    if timings.empty:
        return ""
    phase = "step" if "step" in set(timings["phase"]) else str(timings["phase"].iloc[0])
    names = contender_names(timings)
    timed = timings[(timings["phase"] == phase) & (timings["status"] == "ok")]
    parts = []
    for shape, rows in shapes(timed):
        lines = [_line(names[index], row) for index, row in _fastest_first(rows)]
        headers = [shape_name(shape), f"{phase} time", f"speed-up over {baseline}", "verdict", "GFLOP/s"]
        align = ("left", "right", "left", "left", "right")
        parts.append(tabulate(lines, headers, tablefmt="simple", colalign=align, disable_numparse=True))
    failed = timings[timings["status"] != "ok"].assign(contender=names)
    reasons = failed.groupby(["contender", "status", "reason"], sort=False, observed=True).size()
    lines = [f"{name}: {status}, {reason} ({_cells(count)})" for (name, status, reason), count in reasons.items()]
    return "\n\n".join(parts + (["\n".join(["Not timed:", *lines])] if lines else []))


def _fastest_first(rows: pd.DataFrame) -> list[tuple[int, pd.Series]]:
    return list(rows.sort_values("seconds", na_position="last", kind="stable").iterrows())  # type: ignore[arg-type]


def _line(name: str, row: pd.Series) -> list[str]:
    is_baseline = pd.isna(row["verdict"]) and row["speedup"] == 1
    speedup = "baseline" if is_baseline else units.ratio(row["speedup"], row["speedup_low"], row["speedup_high"])
    verdict = "" if pd.isna(row["verdict"]) else str(row["verdict"])
    time = units.with_interval(row["seconds"], row["seconds_low"], row["seconds_high"])
    return [name, time, speedup, verdict, units.significant(row["gflops"])]


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
