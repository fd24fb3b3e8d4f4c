"""How a cell's floor went from run to run: its levels, where they change, and whether the newest run is on the last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.analyse.estimates.changepoints import FACTOR, FINEST, MIN_SIZE, REACH, noise_of, segment
from bench.analyse.estimates.statistics import CONFIDENCE, MIN_EFFECT, Estimate, estimate, kept_of

from . import unpaired
from .changes import Change, judge, pool
from .sides import CellSide, RunSide

WINDOW, BESIDE = 128, 20
"""A longer series is cut into windows of so many values, in which changes are looked for; those that end in a window's
last values are left to the next one, which has as many before them. As whole, ten thousand values would take hours."""
MOST_BASE = WINDOW
"""Runs that a newest one is held against, at most."""
OUTLIERS, WEIGHT = 0.05, 10
"""The share of outliers that a series has until it tells otherwise, and the number of values that this counts for (the
mean of a beta distribution)."""
LOCATED = 2
"""Values within which a change is found (`changepoints.FACTOR`): what explains it may lie as far from it."""


@dataclass(frozen=True)
class Shift:
    """A change of level in a series (n,): between `at` - 1 and `at`."""

    at: int
    ratio: Estimate
    """Of the medians after it over those before it, `passes` being the fewer values."""
    p: float
    """That a series without any change has one as clear anywhere."""


@dataclass(frozen=True)
class Level:
    """A stretch of a series, [begin, end), and its median."""

    begin: int
    end: int
    seconds: float


@dataclass(frozen=True)
class Difference:
    """Of what runs are made with; empty where one of them has no such thing."""

    name: str
    before: str
    after: str
    runs_later: int = 0
    """Than the change it may explain; negative where it was before it."""


@dataclass(frozen=True)
class Trend:
    """A cell's series of runs under conditions that did not change."""

    key: str
    conditions: Mapping[str, Any]
    seconds: pd.Series
    """Floors, by when the run was started (UTC)."""
    runs: Sequence[str]
    """Their names."""
    shifts: Sequence[Shift]
    levels: Sequence[Level]
    explained: Sequence[Sequence[Difference]]
    """What each shift may come from."""
    begins: Sequence[Difference] = ()
    """What tells its conditions from those of the same cell's series before it."""


@dataclass(frozen=True)
class Look:
    """At a history: its trends, and how the newest run fares against each cell's last level."""

    runs: int
    """In the whole history."""
    newest: str
    trends: Sequence[Trend]
    changes: Sequence[Change]
    first: Sequence[str] = ()
    """Cells of the newest run that no run before it has under these conditions."""
    missing: Sequence[str] = ()
    """Whole runs that are not in the history."""
    since: pd.Timestamp | None = None
    """Nothing before it is of interest."""
    dated_later: Sequence[str] = ()
    """Runs whose start is later than now, by a clock that was wrong."""


@dataclass(frozen=True)
class Newest:
    """A run's floors and typical times of a cell, by process, and those of the runs it is held against."""

    side: CellSide
    floors: Sequence[np.ndarray]
    """One array a run, as the series has them."""
    typicals: Sequence[np.ndarray]
    min_effect: float = MIN_EFFECT


def shifts(seconds: pd.Series | np.ndarray, min_effect: float = MIN_EFFECT) -> list[Shift]:
    """Where a series (n,) of positive values changes its level, each with what speaks against chance.

    Chance is noise: the medians' difference over its standard error, √(π/2) that of means (Laplace 1818) with signs
    correlated as the noise's are, is held against Student's t. Or it is outliers: most values of the shorter side are
    some. Both times the number of places that a change could have been found at (Bonferroni). Raises ValueError for
    values that are not positive and finite.
    """
    values = np.asarray(seconds, float)
    begins = _begins(values, min_effect)
    logs = np.log(values)
    middles = _medians(logs, begins)
    places = max(1, len(values) - 2 * MIN_SIZE + 1)
    found = []
    for place, at in enumerate(begins, 1):
        around = begins[place - 2] if place > 1 else 0, begins[place] if place < len(begins) else len(values)
        near = logs[max(0, at - WINDOW // 2) : at + WINDOW // 2]
        noise = noise_of(near)
        noise = replace(noise, scale=max(noise.scale, FINEST * math.log1p(min_effect)))
        sizes = at - around[0], around[1] - at
        error = math.sqrt(math.pi / 2 * noise.scale * noise.long_run * sum(1 / size for size in sizes))
        degrees = max(1, len(near) - 2)
        change = float(middles[at] - middles[at - 1])
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees)) * error
        low, high = math.exp(change - reach), math.exp(change + reach)
        by_noise = 2 * float(stats.t.sf(abs(change) / error, degrees))
        short = slice(around[0], at) if sizes[0] < sizes[1] else slice(at, around[1])
        upward = change if sizes[0] >= sizes[1] else -change
        others = np.delete(logs - middles, short)
        by_outliers = _most_are_outliers(min(sizes), upward, others, REACH * noise.scale)
        ratio = Estimate(math.exp(change), low, high, min(sizes), degrees=degrees)
        found.append(Shift(at, ratio, min(1.0, places * (by_noise + by_outliers))))
    return found


def real(found: Sequence[Sequence[Shift]], error_rate: float = 1 - CONFIDENCE) -> list[list[Shift]]:
    """Of each series' shifts those that survive false-discovery control over all series (Benjamini & Hochberg 1995);
    a series without any counts as one test that found nothing."""
    tested = [shift.p for series in found for shift in series] + [1.0 for series in found if not series]
    adjusted = iter(stats.false_discovery_control(tested).tolist() if tested else [])
    return [[shift for shift in series if next(adjusted) <= error_rate] for series in found]


def levels(seconds: pd.Series | np.ndarray, kept: Sequence[Shift]) -> list[Level]:
    """The stretches of a series (n,) between its shifts."""
    values = np.asarray(seconds, float)
    edges = [0, *(shift.at for shift in kept), len(values)]
    return [Level(begin, end, float(np.median(values[begin:end]))) for begin, end in pairwise(edges)]


def last_level(seconds: pd.Series | np.ndarray, min_effect: float = MIN_EFFECT) -> slice:
    """The runs of a series (n,) that are on its last level."""
    values = np.asarray(seconds, float)
    start = max(0, len(values) - MOST_BASE)
    begins = segment(values[start:], min_effect=min_effect)
    return slice(start + (begins[-1] if begins else 0), len(values))


def differences(
    versions: Sequence[int], told: Mapping[int, Mapping[str, str]], at: int, reach: int = LOCATED
) -> list[Difference]:
    """What changed between a series' runs `at` - 1 and `at`; if nothing did, between the nearest two at most `reach`
    from there."""
    for away in range(reach + 1):
        found = [
            Difference(name, before.get(name, ""), after.get(name, ""), where - at)
            for where in dict.fromkeys((at - away, at + away))
            if 0 < where < len(versions)
            for before, after in [(told[versions[where - 1]], told[versions[where]])]
            for name in dict.fromkeys([*before, *after])
            if before.get(name, "") != after.get(name, "")
        ]
        if found:
            return found
    return []


def begun(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What differs between the conditions of two series."""
    names = dict.fromkeys([*before, *after])
    told = [Difference(name, str(before.get(name, "")), str(after.get(name, ""))) for name in names]
    return [one for one in told if one.before != one.after]


def newest(cells: Sequence[Newest], adaptive: bool) -> list[Change]:
    """What became of each cell in the newest run against its last level, judged together.

    Processes are compared with processes, as those of two runs are. Where there are three runs or more to hold it
    against, an interval is no narrower than that in which one more run like them would lie: two runs of the same code
    differ by more than their processes tell.
    """
    head = RunSide("newest", [one.side for one in cells], adaptive=adaptive)
    base = RunSide("last level", [_pooled(one) for one in cells if one.floors])
    known = {one.side.cell: one for one in cells}
    widened = []
    for change in pool(unpaired.changes(base, head)):
        one = known[change.cell]
        confidence = head.confidence(len(one.side.floors))
        ratio = _widened(change.ratio, one.floors, confidence)
        typical = _widened(change.typical, one.typicals, confidence)
        widened.append(replace(change, ratio=ratio, typical=typical))
    return judge(widened, lambda cell: known[cell].min_effect)


def _medians(logs: np.ndarray, begins: Sequence[int]) -> np.ndarray:
    """Of each value's segment."""
    parts = np.split(logs, begins)
    return np.concatenate([np.full(len(part), np.median(part)) if len(part) else part for part in parts])


def _most_are_outliers(count: int, change: float, others: np.ndarray, reach: float) -> float:
    """How likely more than half of `count` values are, where the logs of all others about their levels tell how often
    one lies at least `reach`, and half as far as the change, to its side."""
    far = np.sign(change) * others >= max(reach, abs(change) / 2)
    rate = (far.sum() + OUTLIERS * WEIGHT) / (len(others) + WEIGHT)
    return float(stats.binom.sf(count // 2, count, rate))


def _begins(values: np.ndarray, min_effect: float) -> list[int]:
    """Where segments begin; the same penalty in every window, that of the whole series."""
    if len(values) <= WINDOW:
        return segment(values, min_effect=min_effect)
    factor = FACTOR * math.log(len(values)) / math.log(WINDOW)
    found: list[int] = []
    start = settled = 0
    while True:
        stop = min(start + WINDOW, len(values))
        until = stop if stop == len(values) else stop - BESIDE
        here = [start + begin for begin in segment(values[start:stop], factor=factor, min_effect=min_effect)]
        found += [begin for begin in here if settled < begin <= until]
        if stop == len(values):
            return found
        start, settled = max(found[-1] if found else 0, stop - 2 * BESIDE), until


def _pooled(one: Newest) -> CellSide:
    """The processes of the runs that a cell is held against."""
    floors, typicals = (dict(enumerate(np.concatenate(runs).tolist(), 1)) for runs in (one.floors, one.typicals))
    return CellSide(one.side.cell, "ok", floors=floors, typicals=typicals)


def _widened(ratio: Estimate, runs: Sequence[np.ndarray], confidence: float) -> Estimate:
    """With an interval no narrower than a prediction interval of one more run's log: t·s·√(1 + 1/n)."""
    if len(runs) < MIN_SIZE or not math.isfinite(ratio.low):
        return ratio
    spread = estimate([estimate(run).value for run in runs], confidence=confidence)
    reach = math.log(spread.high / spread.low) / 2 * math.sqrt(len(runs) + 1)
    if reach <= math.log(ratio.high / ratio.low) / 2:
        return ratio
    low, high = ratio.value * math.exp(-reach), ratio.value * math.exp(reach)
    return Estimate(ratio.value, low, high, ratio.passes, confidence, float(kept_of(len(runs)) - 1))
