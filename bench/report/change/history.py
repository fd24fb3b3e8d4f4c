"""What a history tells of each cell: its trend, its changes, and how the newest run fares."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from bench.analyse.change import gate
from bench.analyse.change.history import Difference, Look, Shift, Trend
from bench.plan import units

from . import unpaired

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 16
"""Of a trend's drawing, in characters."""
LEAST_RANGE = 0.1
"""From its lowest bar to its highest, as a fraction at least, so that noise does not look like change."""
QUIET = ("same", "unclear", "untimed")
"""Verdicts on the newest run that are counted, and not listed."""
LAST_LEVEL = "each cell's last level"


def text(told: Look) -> str:
    """The trends, the changes and what they may come from, new series, and the newest run."""
    changes = [row for trend in told.trends for row in _changes(trend, told.since)]
    parts = [
        _table([_trend(trend, told.since) for trend in told.trends], right=("runs", "first", "now", "by")),
        _table(changes, right=("by",)) if changes else f"No change of level{_from(told)}.",
        *_new_series(told),
        _newest(told),
        _missing(told),
        _dated_later(told),
    ]
    return "\n\n".join(part for part in parts if part)


def data(told: Look) -> dict[str, Any]:
    """For JSON: seconds, ratios of after over before, times in UTC; None for what is unknown."""
    return {
        "runs": told.runs,
        "since": told.since.isoformat() if told.since is not None else None,
        "cells": [_cell(trend, told.since) for trend in told.trends],
        "newest": {**unpaired.data(_comparison(told)), "first": list(told.first)},
        "missing": list(told.missing),
        "dated_later": list(told.dated_later),
    }


def rebuilt(runs: int, cut_off: Sequence[str], two_sides: Sequence[str], unreadable: Sequence[str]) -> str:
    """What a new index has, and what it has not."""
    lines = [f"the history has {_count(runs, 'run')}"]
    if cut_off:
        lines.append(f"left out, as they were cut off: {', '.join(cut_off)}")
    if two_sides:
        lines.append(f"left out, as they compare two sides: {', '.join(two_sides)}")
    return "\n".join([*lines, *(f"left out: {reason}" for reason in unreadable)])


def _trend(trend: Trend, since: pd.Timestamp | None) -> dict[str, str]:
    shown = trend.seconds.loc[since:] if since is not None else trend.seconds
    first, now = _level(trend, len(trend.seconds) - len(shown)), trend.levels[-1].seconds
    return {
        "cell": trend.key,
        "runs": str(len(shown)),
        "from": f"{shown.index[0]:%Y-%m-%d}",
        "to": f"{shown.index[-1]:%Y-%m-%d}",
        "first": units.duration(first),
        "now": units.duration(now),
        "by": units.change(now / first) if now != first else "",
        "trend": _drawn(shown.to_numpy()),
    }


def _level(trend: Trend, place: int) -> float:
    return next(level.seconds for level in trend.levels if place < level.end)


def _changes(trend: Trend, since: pd.Timestamp | None) -> list[dict[str, str]]:
    return [
        {
            "changed": f"{trend.seconds.index[shift.at]:%Y-%m-%d %H:%M}",
            "cell": trend.key,
            "by": units.change_with_interval(*shift.ratio.with_bounds),
            "level": f"{units.duration(before.seconds)} → {units.duration(after.seconds)}",
            "what else changed there": _explained(explained) or "nothing that is recorded",
            "first run": trend.runs[shift.at],
        }
        for shift, explained, before, after in _told(trend, since)
    ]


def _told(trend: Trend, since: pd.Timestamp | None) -> list[tuple[Shift, Sequence[Difference], Any, Any]]:
    each = zip(trend.shifts, trend.explained, trend.levels, trend.levels[1:], strict=False)
    return [one for one in each if since is None or trend.seconds.index[one[0].at] >= since]


def _explained(found: Sequence[Difference]) -> str:
    told = []
    for one in found:
        later = abs(one.runs_later)
        when = f" ({_count(later, 'run')} {'later' if one.runs_later > 0 else 'earlier'})" if later else ""
        told.append(f"{one.name} {one.before or 'none'} → {one.after or 'none'}{when}")
    return ", ".join(told)


def _new_series(told: Look) -> list[str]:
    """One line for all cells whose series began the same way."""
    cells: dict[tuple[str, str], int] = defaultdict(int)
    for trend in told.trends:
        if trend.begins and (told.since is None or trend.seconds.index[0] >= told.since):
            named = [one for one in trend.begins if one.name != "machine"] or trend.begins
            cells[f"{trend.seconds.index[0]:%Y-%m-%d}", _explained(named)] += 1
    lines = [f"{_count(count, 'cell')} begin a new series on {day}: {what}" for (day, what), count in cells.items()]
    return ["\n".join(line.replace("1 cell begin ", "1 cell begins ") for line in lines)] if lines else []


def _newest(told: Look) -> str:
    shown = [change for change in told.changes if change.verdict not in QUIET]
    lines = [unpaired.text(_comparison(told, shown))] if told.changes else []
    if told.first:
        lines.append(f"{_count(len(told.first), 'cell')} of {told.newest} had no run to be held against yet")
    return "\n".join(lines)


def _comparison(told: Look, shown: Sequence[Any] | None = None) -> unpaired.Comparison:
    how = "processes of the newest run with those of the runs on the cell's last level"
    changes = told.changes if shown is None else shown
    return unpaired.Comparison(LAST_LEVEL, told.newest, gate.outcome(told.changes), changes, how=how)


def _missing(told: Look) -> str:
    if not told.missing:
        return ""
    count = _count(len(told.missing), "whole run")
    return f"not in the history: {count} of this folder; `python -m bench history rebuild` makes it anew with them"


def _dated_later(told: Look) -> str:
    if not told.dated_later:
        return ""
    which = "it counts" if len(told.dated_later) == 1 else "they count"
    return (
        f"dated later than now: {', '.join(told.dated_later)}; {which} as newer than every run of today: correct "
        "`started` in the journal's first line, or remove the run's folder, then `python -m bench history rebuild`"
    )


def _cell(trend: Trend, since: pd.Timestamp | None) -> dict[str, Any]:
    when = [moment.isoformat() for moment in trend.seconds.index]
    begin = 0 if since is None else int((trend.seconds.index < since).sum())
    return {
        "cell": trend.key,
        "conditions": dict(trend.conditions),
        "new_series": [_difference(one) for one in trend.begins],
        "runs": len(trend.seconds) - begin,
        "first": when[begin],
        "last": when[-1],
        "levels": [
            {
                "first_run": trend.runs[level.begin],
                "last_run": trend.runs[level.end - 1],
                "first": when[level.begin],
                "last": when[level.end - 1],
                "runs": level.end - level.begin,
                "seconds": level.seconds,
            }
            for level in trend.levels
            if level.end > begin
        ],
        "changes": [
            {
                "run": trend.runs[shift.at],
                "last_run_before": trend.runs[shift.at - 1],
                "started": when[shift.at],
                "ratio": shift.ratio.value,
                "ratio_low": shift.ratio.low,
                "ratio_high": shift.ratio.high,
                "p": shift.p,
                "seconds_before": before.seconds,
                "seconds": after.seconds,
                "versions": [asdict(one) for one in explained],
            }
            for shift, explained, before, after in _told(trend, since)
        ],
    }


def _difference(one: Difference) -> dict[str, str]:
    return {"name": one.name, "before": one.before, "after": one.after}


def _drawn(seconds: np.ndarray) -> str:
    """Medians of at most WIDTH stretches, on a scale of logs about their middle."""
    logs = np.array([np.median(part) for part in np.array_split(np.log(seconds), min(WIDTH, len(seconds)))])
    low, high = logs.min(), logs.max()
    short = max(0.0, math.log1p(LEAST_RANGE) - (high - low)) / 2
    places = (logs - low + short) / (high - low + 2 * short) * (len(BARS) - 1)
    return "".join(BARS[round(place)] for place in places)


def _from(told: Look) -> str:
    return f" since {told.since:%Y-%m-%d %H:%M}" if told.since is not None else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _table(rows: Sequence[dict[str, str]], right: Sequence[str]) -> str:
    if not rows:
        return ""
    align = ["right" if name in right else "left" for name in rows[0]]
    return tabulate(rows, "keys", tablefmt="simple", colalign=align, disable_numparse=True)
