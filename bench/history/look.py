"""Reads what the index has of some cells, and analyses it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from bench.analyse.change import history
from bench.analyse.change.history import Look, Newest, Shift, Trend
from bench.analyse.change.sides import CellSide

from .entries import cell_of
from .store import Failed, Reader, Series

ALL = "*"
AGO = re.compile(r"([0-9]{1,9})\s*([hdw])")
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def look(reader: Reader, pattern: str = ALL, since: pd.Timestamp | None = None, now: datetime | None = None) -> Look:
    """Look at all runs of the cells whose key or id is like `pattern`; cells without a run from `since` on are left
    out. Raises ValueError where there are no such cells."""
    runs = reader.runs()
    if runs.empty:
        raise ValueError("the history has no runs yet")
    last = runs.iloc[-1]
    numbers = _like(reader.cells(), pattern)
    with_shifts: list[tuple[Series, list[Shift]]] = []
    newest: list[Newest] = []
    first: list[str] = []
    latest: dict[str, list[tuple[Series, pd.Timestamp]]] = {}
    for number in numbers:
        series = reader.series(number)
        if series.timings.empty:
            continue
        latest.setdefault(series.key, []).append((_last_runs(series), series.timings["started"].iloc[-1]))
        if series.timings["run"].iloc[-1] == last["name"]:
            cell = _newest(series)
            newest += [cell] if cell.floors else []
            first += [] if cell.floors else [series.key]
        light = series.timings[["run", "started", "seconds", "versions"]]
        with_shifts.append((Series(series.key, series.cell, series.conditions, light), _shifts(series)))
    newest += [cell for failed in reader.failed(last["name"]) for cell in _failed(failed, latest.get(failed.key, []))]
    real_shifts = history.real([shifts for _, shifts in with_shifts])
    versions = reader.versions()
    trends = [_trend(series, shifts, versions) for (series, _), shifts in zip(with_shifts, real_shifts, strict=True)]
    changes = history.newest(newest, bool(last["adaptive"])) if newest else []
    shown = [trend for trend in _begins(trends) if since is None or trend.seconds.index[-1] >= since]
    later = runs["name"][runs["started"] > pd.Timestamp(now or datetime.now(UTC))].tolist()
    return Look(len(runs), last["name"], shown, changes, first, reader.missing(), since, later)


def since(text: str, now: datetime | None = None) -> pd.Timestamp:
    """Parse a date like `2026-01-01` or `2026-01-01T12:00` (UTC where it does not say), or a time before now like
    `12h`, `30d` or `4w`. Raises ValueError for anything else."""
    ago = AGO.fullmatch(text.strip())
    try:
        if ago:
            return pd.Timestamp((now or datetime.now(UTC)) - timedelta(**{UNITS[ago[2]]: int(ago[1])}))
        date = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is neither a date like 2026-01-01 nor a time like 30d, 12h or 4w") from error
    return pd.Timestamp(date if date.tzinfo else date.replace(tzinfo=UTC))


def _like(keys: dict[int, str], pattern: str) -> list[int]:
    """The numbers of the keys that are like a pattern. `*` and `?` stand for other characters, brackets for themselves,
    since every key has them; the last bracket may be left out."""
    literal = pattern.replace("[", "[[]")
    numbers = [number for number, key in keys.items() if any(fnmatchcase(name, literal) for name in _names(key))]
    if not numbers:
        near = difflib.get_close_matches(pattern, keys.values(), n=1, cutoff=0.0)
        hint = f"; there is {near[0]}" if near else ""
        raise ValueError(f"--cell: no cell of the history is like {pattern!r}{hint}")
    return numbers


def _names(key: str) -> tuple[str, str, str]:
    """The names of a cell that a pattern may be like: `step[x]`, `step[x` and `x`."""
    return key, key.removesuffix("]"), key.partition("[")[2].removesuffix("]")


def _shifts(series: Series) -> list[Shift]:
    return history.shifts(series.timings["seconds"])


def _newest(series: Series) -> Newest:
    """A series' last run, and the runs before it that are on their last level."""
    last = series.timings.iloc[-1]
    floors, typicals = _processes([last["floors"]])[0], _processes([last["typicals"]])[0]
    side = CellSide(
        cell_of(series.cell),
        "ok",
        floors=dict(enumerate(floors.tolist(), 1)),
        typicals=dict(enumerate(typicals.tolist(), 1)),
    )
    return _against(side, series.timings.iloc[:-1], float(last["min_effect"]))


def _failed(failed: Failed, latest: Sequence[tuple[Series, pd.Timestamp]]) -> list[Newest]:
    """A cell without a time, with the runs of its newest series under the same conditions. Where there is no such
    series no time is missing, so the list is empty unless the cell is wrong."""
    alike = [(series, at) for series, at in latest if failed.conditions.items() <= series.conditions.items()]
    side = CellSide(cell_of(failed.cell), failed.status, failed.reason)
    if alike:
        return [_against(side, max(alike, key=lambda dated: dated[1])[0].timings, failed.min_effect)]
    return [Newest(side, [], [], failed.min_effect)] if failed.status == "wrong" else []


def _against(side: CellSide, before: pd.DataFrame, min_effect: float) -> Newest:
    base = before.iloc[history.last_level(before["seconds"])]
    return Newest(side, _processes(base["floors"]), _processes(base["typicals"]), min_effect)


def _last_runs(series: Series) -> Series:
    """The last runs of a series: as many as a run is compared with."""
    return Series(series.key, series.cell, series.conditions, series.timings.iloc[-history.MOST_BASE :])


def _processes(packed: Sequence[bytes] | pd.Series) -> list[np.ndarray]:
    return [np.frombuffer(times, "<f8") for times in packed]


def _trend(series: Series, shifts: list[Shift], versions: dict[int, dict[str, str]]) -> Trend:
    timings = series.timings
    version_numbers = timings["versions"].tolist()
    return Trend(
        series.key,
        series.conditions,
        pd.Series(timings["seconds"].to_numpy(), pd.DatetimeIndex(timings["started"])),
        timings["run"].tolist(),
        shifts,
        history.levels(timings["seconds"], shifts),
        [history.differences(version_numbers, versions, shift.at) for shift in shifts],
    )


def _begins(trends: Sequence[Trend]) -> list[Trend]:
    """Group the trends by cell, in the order they began, each with what makes it another series."""
    by_key: dict[str, list[Trend]] = {}
    for trend in sorted(trends, key=lambda trend: trend.seconds.index[0]):
        by_key.setdefault(trend.key, []).append(trend)
    order = dict.fromkeys(trend.key for trend in trends)
    return [
        replace(trend, begins=history.begun(of_cell[index - 1].conditions, trend.conditions)) if index else trend
        for key in order
        for of_cell in [by_key[key]]
        for index, trend in enumerate(of_cell)
    ]
