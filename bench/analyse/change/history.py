"""How a cell's floor went from run to run: its levels, where they change, and whether the newest run is on the last.

`shifts` finds the changes of one series, `real` keeps those that chance does not explain among all series, and
`levels` are the stretches between these. `newest` holds the last run against the runs on the last level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.analyse.estimates.changepoints import FACTOR, FINEST, MIN_SIZE, REACH, Noise, noise_of, segment
from bench.analyse.estimates.statistics import CONFIDENCE, MIN_EFFECT, Estimate, estimate, kept_of

from . import unpaired
from .changes import Change, judge, pool
from .sides import CellSide, RunSide

WINDOW, BESIDE = 128, 20
"""A longer series is cut into windows of `WINDOW` values, in which changes are looked for; a change among a window's
last `BESIDE` values is left to the next window, which begins as many values before these, or at a later change. As a
whole, ten thousand values would take hours."""
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


@dataclass(frozen=True)
class _Change:
    """In a series of logs (n,), from the segment [begin, at) to the segment [at, end)."""

    begin: int
    at: int
    end: int
    size: float
    """The median of the later segment less that of the earlier one."""
    noise: Noise
    """Of the values near `at`."""
    degrees: int
    """Of freedom, with which the noise is known."""

    @property
    def counts(self) -> tuple[int, int]:
        """Values of the two segments."""
        return self.at - self.begin, self.end - self.at

    @property
    def error(self) -> float:
        """Standard error of `size`.

        The variance of the median of m values with the standard deviation s is π/2 · s² / m (Laplace 1818), times the
        long-run variance of the values' signs, where they are correlated; `long_run` is s times the latter. The
        variances of the two medians add.
        """
        per_value = math.pi / 2 * self.noise.scale * self.noise.long_run
        return math.sqrt(per_value * sum(1 / count for count in self.counts))

    @property
    def ratio(self) -> Estimate:
        """The interval is `size` ± t · `error`, in logs."""
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees)) * self.error
        low, high = math.exp(self.size - reach), math.exp(self.size + reach)
        return Estimate(math.exp(self.size), low, high, min(self.counts), degrees=self.degrees)


def shifts(seconds: pd.Series | np.ndarray, min_effect: float = MIN_EFFECT) -> list[Shift]:
    """Where a series (n,) of positive values changes its level, each with what speaks against chance.

    Segmentation proposes the changes, and each is tested twice: noise may have moved the medians apart (`_p_of_noise`),
    or most values of the shorter segment may be outliers (`_p_of_outliers`). The sum of the two bounds the probability
    that either did, and times the number of places at which a change can be found, that it did at any of them
    (Bonferroni). Raises ValueError for values that are not positive and finite.

    >>> [(shift.at, round(shift.ratio.value, 3)) for shift in shifts([1.0] * 5 + [1.1] * 5)]
    [(5, 1.1)]
    """
    values = np.asarray(seconds, float)
    begins = _begins(values, min_effect)
    logs = np.log(values)
    about_medians = logs - _medians(logs, begins)
    places = max(1, len(values) - 2 * MIN_SIZE + 1)
    edges = [0, *begins, len(values)]
    found = []
    for begin, at, end in zip(edges, edges[1:], edges[2:], strict=False):
        change = _change(logs, begin, at, end, min_effect)
        p_here = _p_of_noise(change) + _p_of_outliers(change, about_medians)
        found.append(Shift(at, change.ratio, min(1.0, places * p_here)))
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
    versions: Sequence[int], contents: Mapping[int, Mapping[str, str]], at: int, reach: int = LOCATED
) -> list[Difference]:
    """What changed between a series' runs `at` - 1 and `at`; if nothing did, between the nearest two at most `reach`
    from there. `versions` has a number for each run, `contents` what each number stands for.

    >>> differences([1, 1, 1, 2], {1: {"numpy": "2.1"}, 2: {"numpy": "2.2"}}, at=2)
    [Difference(name='numpy', before='2.1', after='2.2', runs_later=1)]
    """
    for distance in range(reach + 1):
        places = [place for place in dict.fromkeys((at - distance, at + distance)) if 0 < place < len(versions)]
        found = [
            replace(difference, runs_later=place - at)
            for place in places
            for difference in begun(contents[versions[place - 1]], contents[versions[place]])
        ]
        if found:
            return found
    return []


def begun(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What differs between the conditions of two series."""
    names = dict.fromkeys([*before, *after])
    compared = [Difference(name, str(before.get(name, "")), str(after.get(name, ""))) for name in names]
    return [difference for difference in compared if difference.before != difference.after]


def newest(cells: Sequence[Newest], adaptive: bool) -> list[Change]:
    """What became of each cell in the newest run against its last level, judged together.

    Processes are compared with processes, as those of two runs are. Where there are three runs or more to hold it
    against, an interval is no narrower than that in which one more run like them would lie: two runs of the same code
    differ by more than their processes tell.
    """
    head = RunSide("newest", [cell.side for cell in cells], adaptive=adaptive)
    base = RunSide("last level", [_pooled(cell) for cell in cells if cell.floors])
    by_cell = {cell.side.cell: cell for cell in cells}
    widened = []
    for change in pool(unpaired.changes(base, head)):
        cell = by_cell[change.cell]
        confidence = head.confidence(len(cell.side.floors))
        ratio = _widened(change.ratio, cell.floors, confidence)
        typical = _widened(change.typical, cell.typicals, confidence)
        widened.append(replace(change, ratio=ratio, typical=typical))
    return judge(widened, lambda cell: by_cell[cell].min_effect)


def _change(logs: np.ndarray, begin: int, at: int, end: int, min_effect: float) -> _Change:
    """With the noise of at most `WINDOW` values about `at`; two degrees of freedom go to the two medians."""
    size = float(np.median(logs[at:end]) - np.median(logs[begin:at]))
    near = logs[max(0, at - WINDOW // 2) : at + WINDOW // 2]
    noise = noise_of(near)
    noise = replace(noise, scale=max(noise.scale, FINEST * math.log1p(min_effect)))
    return _Change(begin, at, end, size, noise, max(1, len(near) - 2))


def _p_of_noise(change: _Change) -> float:
    """That noise alone moves two medians so far apart: Student's t test, two-sided."""
    return 2 * float(stats.t.sf(abs(change.size) / change.error, change.degrees))


def _p_of_outliers(change: _Change, about_medians: np.ndarray) -> float:
    """That more than half of the shorter segment's values are outliers, which would move its median: a binomial test.

    How often a value is one, all others tell by their distances from their segments' medians (n,): it lies on the side
    to which the shorter segment differs, beyond the noise and at least half as far as that differs.
    """
    before, after = change.counts
    shorter = slice(change.begin, change.at) if before < after else slice(change.at, change.end)
    side = np.sign(change.size) if shorter.start == change.at else -np.sign(change.size)
    others = np.delete(about_medians, shorter)
    beyond = side * others >= max(REACH * change.noise.scale, abs(change.size) / 2)
    rate = (beyond.sum() + OUTLIERS * WEIGHT) / (len(others) + WEIGHT)
    count = min(before, after)
    return float(stats.binom.sf(count // 2, count, rate))


def _medians(logs: np.ndarray, begins: Sequence[int]) -> np.ndarray:
    """Of each value's segment."""
    parts = np.split(logs, begins)
    return np.concatenate([np.full(len(part), np.median(part)) if len(part) else part for part in parts])


def _begins(values: np.ndarray, min_effect: float) -> list[int]:
    """Where segments begin but the first, looked for in windows where the series is long."""
    if len(values) <= WINDOW:
        return segment(values, min_effect=min_effect)
    # A window's penalty grows with the log of its own length: this makes a full one's that of the whole series.
    factor = FACTOR * math.log(len(values)) / math.log(WINDOW)
    begins: list[int] = []
    start = settled = stop = 0
    while stop < len(values):
        stop = min(start + WINDOW, len(values))
        until = stop if stop == len(values) else stop - BESIDE
        in_window = [start + begin for begin in segment(values[start:stop], factor=factor, min_effect=min_effect)]
        begins += [begin for begin in in_window if settled < begin <= until]
        # The next window begins at the last change, unless that is too far back.
        start, settled = max(begins[-1] if begins else 0, stop - 2 * BESIDE), until
    return begins


def _pooled(cell: Newest) -> CellSide:
    """The processes of the runs that a cell is held against."""
    floors, typicals = (dict(enumerate(np.concatenate(runs).tolist(), 1)) for runs in (cell.floors, cell.typicals))
    return CellSide(cell.side.cell, "ok", floors=floors, typicals=typicals)


def _widened(ratio: Estimate, runs: Sequence[np.ndarray], confidence: float) -> Estimate:
    """With an interval no narrower than a prediction interval of one more run's log, which reaches t·s·√(1 + 1/n) from
    the mean of n runs: √(n + 1) times as far as that mean's own interval, t·s/√n."""
    if len(runs) < MIN_SIZE or not math.isfinite(ratio.low):
        return ratio
    mean = estimate([estimate(run).value for run in runs], confidence=confidence)
    reach = math.log(mean.high / mean.low) / 2 * math.sqrt(len(runs) + 1)
    if reach <= math.log(ratio.high / ratio.low) / 2:
        return ratio
    low, high = ratio.value * math.exp(-reach), ratio.value * math.exp(reach)
    return Estimate(ratio.value, low, high, ratio.passes, confidence, float(kept_of(len(runs)) - 1))
