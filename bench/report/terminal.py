"""The table that a run ends with on a terminal."""

from __future__ import annotations

import pandas as pd
from tabulate import tabulate

from . import units
from .rows import contender_names, shape_name, shapes


def summary(timings: pd.DataFrame, baseline: str) -> str:
    """One compact table per shape: step time (or the first phase measured), speed-up, rate."""
    if timings.empty:
        return ""
    phase = "step" if "step" in set(timings["phase"]) else str(timings["phase"].iloc[0])
    chosen = timings[timings["phase"] == phase]
    names = contender_names(chosen)
    parts = []
    for shape, rows in shapes(chosen):
        lines = [_line(names[index], row) for index, row in _fastest_first(rows)]
        headers = [shape_name(shape), f"{phase} time", f"speed-up over {baseline}", "verdict", "GFLOP/s"]
        align = ("left", "right", "left", "left", "right")
        parts.append(tabulate(lines, headers, tablefmt="simple", colalign=align, disable_numparse=True))
    return "\n\n".join(parts)


def _fastest_first(rows: pd.DataFrame) -> list[tuple[int, pd.Series]]:
    return list(rows.sort_values("seconds", na_position="last", kind="stable").iterrows())  # type: ignore[arg-type]


def _line(name: str, row: pd.Series) -> list[str]:
    if row["status"] != "ok":
        return [name, str(row["status"]), _shortened(str(row["reason"])), "", ""]
    is_baseline = pd.isna(row["verdict"]) and row["speedup"] == 1
    speedup = "baseline" if is_baseline else units.ratio(row["speedup"], row["speedup_low"], row["speedup_high"])
    verdict = "" if pd.isna(row["verdict"]) else str(row["verdict"])
    time = units.with_interval(row["seconds"], row["seconds_low"], row["seconds_high"])
    return [name, time, speedup, verdict, units.significant(row["gflops"])]


def _shortened(reason: str, width: int = 60) -> str:
    return reason if len(reason) <= width else reason[: width - 1] + "…"
