"""The names and groups of rows, wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.plan.cells import Shape
from bench.plan.sides import BASE, HEAD

AXES = ["N", "D_in", "H", "D_out"]
MARKS = {"faster": "▲", "slower": "▼", "same": "=", "unclear": "?"}
"""Verdicts in tables of many."""


def shapes(timings: pd.DataFrame) -> Iterator[tuple[Shape, pd.DataFrame]]:
    """The rows of each shape, in the order in which the shapes first appear."""
    for sizes, rows in timings.groupby(AXES, sort=False):
        yield Shape(*(int(size) for size in sizes)), rows  # type: ignore[union-attr]


def shape_name(shape: Shape) -> str:
    return f"N={shape.N} D_in={shape.D_in} H={shape.H}" + (f" D_out={shape.D_out}" if shape.D_out != 10 else "")


def contender_names(timings: pd.DataFrame) -> pd.Series:
    """The name of each row's contender, with as much of device, dtype, threads and side as makes names different."""
    names = timings["implementation"].astype(str)
    known = timings[timings["status"] == "ok"]
    for column, text in (("device", "{}"), ("dtype", "{}"), ("threads", "{} threads")):
        if known[column].nunique() > 1 or (column == "device" and set(known[column]) - {"cpu"}):
            names = names + ", " + timings[column].map(lambda value, text=text: text.format(value)).astype(str)
    names = names + _sides(timings)
    # Thread limits that were not kept may leave two contenders with one name.
    repeats = timings.assign(name=names).groupby(["name", *AXES, "phase"], observed=True).cumcount()
    return names.where(repeats == 0, names + " (" + (repeats + 1).astype(str) + ")")


def _sides(timings: pd.DataFrame) -> pd.Series:
    """`, base` or `, head` in a run of two sides, whose sources begin with that word, or with the name of a user's
    own class and then that word."""
    if "source" not in timings:
        return pd.Series("", timings.index)
    classes = timings["implementation"].astype(str) + ", "
    sources = [source.removeprefix(name) for source, name in zip(timings["source"].astype(str), classes, strict=True)]
    sides = [source.partition(" ")[0] for source in sources]
    return pd.Series([f", {side}" if side in (BASE, HEAD) else "" for side in sides], timings.index)


def rank_range(best: int, worst: int) -> str:
    """`2`, or `2–4` where the verdicts leave the rank open."""
    return f"{best}" if best == worst else f"{best}–{worst}"


def disagree(verdict: object, verdict_floor: object) -> bool:
    """Whether the verdicts of a row on the typical time and on the floor are both decided, and differently."""
    return len({str(each) for each in (verdict, verdict_floor) if pd.notna(each)} - {"unclear"}) > 1
