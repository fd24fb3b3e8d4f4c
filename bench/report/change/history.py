"""Shows the history of each cell: its trend, its changes, and how the newest run compares."""

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
"""The width of a trend's drawing, in characters."""
LEAST_RANGE = 0.1
"""The least range of a drawing, as a fraction, so that noise does not look like change."""
QUIET = ("same", "unclear", "untimed")
"""Verdicts on the newest run that are counted, and not listed."""
LAST_LEVEL = "each cell's last level"


def text(look: Look) -> str:
    """The trends, the changes and their possible causes, new series, and the newest run."""
    changes = [row for trend in look.trends for row in _changes(trend, look.since)]
    parts = [
        _table([_trend(trend, look.since) for trend in look.trends], right=("runs", "first", "now", "by")),
        _table(changes, right=("by",)) if changes else f"No change of level{_from(look)}.",
        *_new_series(look),
        _newest(look),
        _missing(look),
        _dated_later(look),
    ]
    return "\n\n".join(part for part in parts if part)


def data(look: Look) -> dict[str, Any]:
    """The history for JSON: seconds, ratios of after over before, times in UTC; None for unknown values."""
    return {
        "runs": look.runs,
        "since": look.since.isoformat() if look.since is not None else None,
        "cells": [_cell(trend, look.since) for trend in look.trends],
        "newest": {**unpaired.data(_comparison(look)), "first": list(look.first)},
        "missing": list(look.missing),
        "dated_later": list(look.dated_later),
    }


def rebuilt(runs: int, cut_off: Sequence[str], two_sides: Sequence[str], unreadable: Sequence[str]) -> str:
    """The lines on what a new index has, and what was left out."""
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


def _level(trend: Trend, index: int) -> float:
    return next(level.seconds for level in trend.levels if index < level.end)


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
        for shift, explained, before, after in _shown_shifts(trend, since)
    ]


def _shown_shifts(trend: Trend, since: pd.Timestamp | None) -> list[tuple[Shift, Sequence[Difference], Any, Any]]:
    rows = zip(trend.shifts, trend.explained, trend.levels, trend.levels[1:], strict=False)
    return [row for row in rows if since is None or trend.seconds.index[row[0].at] >= since]


def _explained(differences: Sequence[Difference]) -> str:
    texts = []
    for difference in differences:
        runs_apart = abs(difference.runs_later)
        direction = "later" if difference.runs_later > 0 else "earlier"
        when = f" ({_count(runs_apart, 'run')} {direction})" if runs_apart else ""
        texts.append(f"{difference.name} {difference.before or 'none'} → {difference.after or 'none'}{when}")
    return ", ".join(texts)


def _new_series(look: Look) -> list[str]:
    """One line for all cells whose series began on the same day for the same reasons."""
    cells: dict[tuple[str, str], int] = defaultdict(int)
    for trend in look.trends:
        if trend.begins and (look.since is None or trend.seconds.index[0] >= look.since):
            reasons = [difference for difference in trend.begins if difference.name != "machine"] or trend.begins
            cells[f"{trend.seconds.index[0]:%Y-%m-%d}", _explained(reasons)] += 1
    lines = [f"{_count(count, 'cell')} begin a new series on {day}: {what}" for (day, what), count in cells.items()]
    return ["\n".join(line.replace("1 cell begin ", "1 cell begins ") for line in lines)] if lines else []


def _newest(look: Look) -> str:
    shown = [change for change in look.changes if change.verdict not in QUIET]
    lines = [unpaired.text(_comparison(look, shown))] if look.changes else []
    if look.first:
        lines.append(f"{_count(len(look.first), 'cell')} of {look.newest} had no earlier run to be compared with")
    return "\n".join(lines)


def _comparison(look: Look, shown: Sequence[Any] | None = None) -> unpaired.Comparison:
    how = "processes of the newest run with those of the runs on the cell's last level"
    changes = look.changes if shown is None else shown
    return unpaired.Comparison(LAST_LEVEL, look.newest, gate.outcome(look.changes), changes, how=how)


def _missing(look: Look) -> str:
    if not look.missing:
        return ""
    count = _count(len(look.missing), "whole run")
    return f"not in the history: {count} of this folder; `python -m bench history rebuild` makes it anew with them"


def _dated_later(look: Look) -> str:
    if not look.dated_later:
        return ""
    which = "it counts" if len(look.dated_later) == 1 else "they count"
    return (
        f"dated later than now: {', '.join(look.dated_later)}; {which} as newer than every run of today: correct "
        "`started` in the journal's first line, or remove the run's folder, then `python -m bench history rebuild`"
    )


def _cell(trend: Trend, since: pd.Timestamp | None) -> dict[str, Any]:
    when = [moment.isoformat() for moment in trend.seconds.index]
    begin = 0 if since is None else int((trend.seconds.index < since).sum())
    return {
        "cell": trend.key,
        "conditions": dict(trend.conditions),
        "new_series": [_difference(difference) for difference in trend.begins],
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
                "versions": [asdict(difference) for difference in explained],
            }
            for shift, explained, before, after in _shown_shifts(trend, since)
        ],
    }


def _difference(difference: Difference) -> dict[str, str]:
    return {"name": difference.name, "before": difference.before, "after": difference.after}


def _drawn(seconds: np.ndarray) -> str:
    """A bar for the median of each of at most WIDTH stretches, on a logarithmic scale about their middle."""
    logs = np.array([np.median(part) for part in np.array_split(np.log(seconds), min(WIDTH, len(seconds)))])
    low, high = logs.min(), logs.max()
    padding = max(0.0, math.log1p(LEAST_RANGE) - (high - low)) / 2
    heights = (logs - low + padding) / (high - low + 2 * padding) * (len(BARS) - 1)
    return "".join(BARS[round(height)] for height in heights)


def _from(look: Look) -> str:
    return f" since {look.since:%Y-%m-%d %H:%M}" if look.since is not None else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _table(rows: Sequence[dict[str, str]], right: Sequence[str]) -> str:
    if not rows:
        return ""
    align = ["right" if name in right else "left" for name in rows[0]]
    return tabulate(rows, "keys", tablefmt="simple", colalign=align, disable_numparse=True)
