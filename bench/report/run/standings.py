"""The table of one shape on a terminal, as wide as that is: who is fastest, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

import pandas as pd
from rich.table import Table

from bench.analyse.run.columns import SUSPECT
from bench.plan import looks, units
from bench.plan.cells import Shape
from bench.report.screen import Screen

from . import disturbance
from .rows import AXES, contender_names, disagree, rank_range, shape_name, shapes

GFLOPS, LIMIT, FLOOR, TIED_FIRST, RATIO_INTERVAL, RANK = "GFLOP/s", "of the limit", "floor", "first", "interval", "rank"
LEAST_NEEDED = (GFLOPS, LIMIT, FLOOR, TIED_FIRST, RATIO_INTERVAL, RANK)
"""The parts of a table that are left out one after the other where a terminal is too narrow for all."""
LEAST_NAME = 8
"""Columns to which names are folded at most."""
STYLES = {"slower": "dim", "unclear": "yellow", SUSPECT: "bold red"}
"""The styles of verdicts, by their words."""
WINNER = "green"
ALIKE = [*AXES, "dtype", "precision", "threads"]
"""The columns in which rows of one phase agree that are ranked among each other."""


def phase_of(timings: pd.DataFrame) -> str:
    """The phase that the tables show: `step`, or the first where that was not measured."""
    return "step" if "step" in set(timings["phase"]) else str(timings["phase"].iloc[0])


def with_names(timings: pd.DataFrame) -> pd.DataFrame:
    """The rows with the contender's name in a column of its own."""
    return timings.assign(contender=contender_names(timings))


def timed_in(timings: pd.DataFrame, phase: str) -> pd.DataFrame:
    """The rows with a time in a phase, with names, and with `may_win` for those that no verdict puts behind a rival."""
    named = with_names(timings)
    rows = named[(named["phase"] == phase) & (named["status"] == "ok")]
    rivals = rows["rank"].notna().groupby([rows[name] for name in ALIKE], dropna=False, observed=True).transform("sum")
    may_win = rows["rank"].eq(1).fillna(False) & (rivals > 1) & (rows["passes"] >= looks.FIRST)
    return rows.assign(may_win=may_win.astype(bool))


def tables(timed: pd.DataFrame, screen: Screen, phase: str) -> list[str]:
    """A table for each shape, under its name, the fastest first; all with the same columns: as many as the screen has
    room for in each."""
    drawn: list[Table] = []
    for dropped in range(len(LEAST_NEEDED) + 1):
        drawn = [_table(rows, screen, phase, LEAST_NEEDED[dropped:]) for _, rows in shapes(timed)]
        if all(map(screen.fits, drawn)):
            break
    names = [screen.line(shape_name(shape), "bold") for shape, _ in shapes(timed)]
    return [f"{name}\n{screen.drawn(table)}" for name, table in zip(names, drawn, strict=True)]


def are_few(rows: pd.DataFrame) -> bool:
    """Whether rows are of so few passes that their verdicts and ranks mean nothing yet."""
    return int(rows["passes"].max()) < looks.FIRST


def _table(rows: pd.DataFrame, screen: Screen, phase: str, parts: Collection[str]) -> Table:
    headers = {
        "contender": {"overflow": "fold", "min_width": LEAST_NAME},
        RANK: {},
        f"{phase} time": {"justify": "right"},
        "speed-up": {},
        "verdict": {},
        GFLOPS: {"justify": "right"},
        LIMIT: {},
    }
    left_out = {name for name in (GFLOPS, LIMIT, RANK) if name not in parts}
    if are_few(rows):
        left_out |= {RANK, "verdict"}
    drawn = screen.table()
    for header, options in headers.items():
        if header not in left_out:
            drawn.add_column(header, no_wrap=header != "contender", **options)
    for row in rows.sort_values("seconds", na_position="last", kind="stable").to_dict("records"):
        words = dict(zip(headers, _words(row, parts), strict=True))
        styles = dict.fromkeys(("contender", RANK), WINNER if row["may_win"] else "")
        styles["verdict"] = STYLES.get(str(row["verdict"]), "")
        if row["verdict"] == SUSPECT:
            styles["contender"] = STYLES[SUSPECT]
        shown = [header for header in headers if header not in left_out]
        drawn.add_row(*(screen.cell(words[header], styles.get(header, "")) for header in shown))
    return drawn


def _words(row: Mapping[Hashable, Any], parts: Collection[str]) -> list[str]:
    is_baseline = pd.isna(row["verdict"]) and row["speedup"] == 1
    speedup = units.ratio(row["speedup"], row["speedup_low"], row["speedup_high"])
    if RATIO_INTERVAL not in parts or pd.isna(row["speedup_low"]):
        speedup = units.ratio_alone(row["speedup"])
    verdict = "" if pd.isna(row["verdict"]) else str(row["verdict"])
    if FLOOR in parts and disagree(row["verdict"], row["verdict_floor"]):
        verdict += f" (floor: {row['verdict_floor']})"
    return [
        str(row["contender"]),
        _rank(row, parts),
        _time(row),
        "baseline" if is_baseline else speedup,
        verdict,
        units.significant(row["gflops"]),
        _share_of_limit(row),
    ]


def _time(row: Mapping[Hashable, Any]) -> str:
    """The time with half its interval, which a single pass does not have."""
    seconds, low, high = row["seconds"], row["seconds_low"], row["seconds_high"]
    time = units.duration(seconds) if pd.isna(low) else units.duration_with_half_width(seconds, low, high)
    return time + disturbance.mark(row["reason"])


def _rank(row: Mapping[Hashable, Any], parts: Collection[str]) -> str:
    """`1 fastest`, `1–2 tied first`, or the rank alone of one that cannot be the fastest."""
    if pd.isna(row["rank"]):
        return ""
    rank = rank_range(row["rank"], row["rank_worst"])
    if not row["may_win"]:
        return rank
    if row["rank_worst"] == 1:
        return f"{rank} fastest"
    return f"{rank} tied first" if TIED_FIRST in parts else f"{rank} tied"


def _share_of_limit(row: Mapping[Hashable, Any]) -> str:
    """`62 % compute`: the roofline limit as a share of the time, and what binds it."""
    if pd.isna(row["ceiling_fraction"]):
        return units.NONE
    return f"{units.percent(row['ceiling_fraction'])} {row['bound']}"


def fastest(rows: pd.DataFrame) -> Iterator[str]:
    """For each shape, and dtype, precision and threads if they differ, a sentence on which contenders may be the
    fastest; none of a contender that was alone, nor before there are enough passes."""
    # All shapes are grouped at once: pandas takes milliseconds for each group that is looked at alone.
    groups = {"of_shape": AXES, "alike": ALIKE}
    numbers = {name: rows.groupby(by, sort=False, observed=True, dropna=False).ngroup() for name, by in groups.items()}
    winners = rows.assign(**numbers)[rows["may_win"]].sort_values([*groups, "seconds"], kind="stable")
    for _, tied in groupby(winners[[*AXES, "alike", "contender"]].itertuples(index=False), attrgetter("alike")):
        first, *others = tied
        names = " or ".join(row.contender for row in (first, *others))
        tie = " (a tie: no verdict separates them)" if others else ""
        yield f"fastest at {shape_name(Shape(*first[: len(AXES)]))}: {names}{tie}"
