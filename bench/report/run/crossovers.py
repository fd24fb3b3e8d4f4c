"""The section that says at which sizes one contender overtakes another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.analyse.run.crossovers import AXES, crossovers
from bench.plan.units import rounded
from bench.report import page

from .rows import contender_names

MOST_ROWS = 12
"""Of an axis's table."""
MOST_PLACES = 2
"""Of one pair in a row, where the other sizes have many settings."""
MOST_LINES = 4
"""On a terminal."""


def section(timings: pd.DataFrame, samples: pd.DataFrame, baseline: str, adaptive: bool = False) -> str:
    """Markdown; empty where no axis has two sizes. Of `step`, or the first phase that was timed."""
    found, phase = _found(timings, samples, adaptive)
    if found.empty:
        return ""
    parts = [
        "## Where the winner changes",
        f"In `{phase}`, within the sizes measured: a contender overtakes another at the size where the ratio of their "
        "times, paired within rounds and interpolated in logs, is 1; the interval is where its 95 % band holds 1.",
    ]
    for axis, rows in _axes(found):
        parts.append(f"### Along {axis}, {rows['measured_low'].min():,} to {rows['measured_high'].max():,}")
        changes = _changes(rows, timings, baseline)
        if changes:
            lines = [{"faster above": one, "faster below": other, axis: where} for one, other, where in changes]
            parts.append(page.table(pd.DataFrame(lines[:MOST_ROWS])))
        if len(changes) > MOST_ROWS:
            parts.append(f"And {len(changes) - MOST_ROWS} more pairs.")
        parts.append("\n".join(_standing(rows, timings, baseline)))
    return "\n\n".join(part for part in parts if part)


def terminal_lines(timings: pd.DataFrame, samples: pd.DataFrame, baseline: str, adaptive: bool = False) -> list[str]:
    """At most four lines, a sentence each: pairs with the baseline first."""
    found, phase = _found(timings, samples, adaptive)
    told = []
    for axis, rows in _axes(found):
        told += [
            f"{one} overtakes {other} in {phase} at {axis} = {where.replace('<br>', ', ')}"
            for one, other, where in _changes(rows, timings, baseline)
        ]
    if len(told) > MOST_LINES:
        told[MOST_LINES - 1 :] = [f"and {len(told) - MOST_LINES + 1} more pairs change places: see the report"]
    return told


def _found(timings: pd.DataFrame, samples: pd.DataFrame, adaptive: bool) -> tuple[pd.DataFrame, str]:
    timed = timings[timings["status"] == "ok"]
    if timed.empty:
        return pd.DataFrame(), ""
    phase = "step" if "step" in set(timed["phase"]) else str(timed["phase"].iloc[0])
    return crossovers(timings, samples, contender_names(timings), [phase], adaptive), phase


def _axes(found: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for axis in AXES:
        rows = found[found["axis"] == axis] if len(found) else found
        if len(rows):
            yield axis, rows


def _changes(rows: pd.DataFrame, timings: pd.DataFrame, baseline: str) -> list[tuple[str, str, str]]:
    """(faster above, faster below, where) of each pair that changes places; those with the baseline first."""
    at = rows[rows["answer"] == "at"]
    told = []
    for (one, other), places in at.groupby(["contender", "other"], sort=False):
        where = [_place(row, len(_settings(rows)) > 1) for row in places.head(MOST_PLACES).itertuples()]
        where += [f"and {len(places) - MOST_PLACES} more"] if len(places) > MOST_PLACES else []
        told.append((str(one), str(other), "<br>".join(where)))
    bases = _baselines(timings, baseline)
    return sorted(told, key=lambda pair: not bases & {pair[0], pair[1]})


def _place(row: Any, several: bool) -> str:
    size, low, high = (rounded(getattr(row, name)) for name in ("size", "size_low", "size_high"))
    return f"{size} [{low}, {high}]" + (f" ({row.fixed})" if several else "")


def _standing(rows: pd.DataFrame, timings: pd.DataFrame, baseline: str) -> list[str]:
    """One line each for those always faster than the baseline, always slower, and not told apart throughout."""
    told: dict[str, list[str]] = {"always faster": [], "always slower": [], "cannot tell": []}
    settings = len(_settings(rows))
    for base in sorted(_baselines(timings, baseline)):
        mine = rows[(rows["contender"] == base) | (rows["other"] == base)]
        flipped = mine["contender"] == base
        others = mine["other"].where(flipped, mine["contender"])
        opposite = {"always": "always slower", "never": "always faster"}
        straight = {"always": "always faster", "never": "always slower"}
        answers = [
            (opposite if is_flipped else straight).get(answer, answer)
            for is_flipped, answer in zip(flipped, mine["answer"], strict=True)
        ]
        for (name, answer), count in Counter(zip(others, answers, strict=True)).items():
            if answer in told:
                told[answer].append(str(name) + (f" ({count} of {settings} settings)" if settings > count else ""))
    lines = [f"- {what}: {', '.join(names)}" for what, names in told.items() if names]
    return [f"Against {baseline}:", "", *lines] if lines else []


def _settings(rows: pd.DataFrame) -> set[str]:
    return set(rows["fixed"])


def _baselines(timings: pd.DataFrame, baseline: str) -> set[str]:
    """What the baseline is called: several names where it ran on several devices or thread limits."""
    return set(contender_names(timings)[timings["implementation"] == baseline])
