"""How a cell's floor changes from run to run: its levels, the shifts between them, and whether the newest run is on the
last level.

`shifts` finds the changes of one series, `real` keeps those that chance does not explain among all series, and
`levels` are the parts between these. `newest` compares the newest run with the runs on the last level.
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

WINDOW, OVERLAP = 128, 20
"""Changes in a longer series are looked for in windows of `WINDOW` values: without windows, ten thousand values would
take hours. A change among a window's last `OVERLAP` values is left to the next window, which begins as many values
before these, or at a later change."""
MOST_BASE = WINDOW
"""The most runs with which a newest one is compared."""
OUTLIERS, WEIGHT = 0.05, 10
"""The prior share of outliers in a series, and the number of values that this prior counts for (the mean of a beta
distribution)."""
LOCATED = 2
"""The precision, in values, to which a change is located (`changepoints.FACTOR`): its cause may be as far from it."""


@dataclass(frozen=True)
class Shift:
    """A change of level in a series (n,), between `at` - 1 and `at`."""

    at: int
    ratio: Estimate
    """The median after it over the one before it; `passes` is the number of values on the side with fewer."""
    p: float
    """The probability that a series without any change has one as clear anywhere."""


@dataclass(frozen=True)
class Level:
    """A part of a series, [begin, end), and its median."""

    begin: int
    end: int
    seconds: float


@dataclass(frozen=True)
class Difference:
    """A difference in what runs are made with; a side that lacks the thing is empty."""

    name: str
    before: str
    after: str
    runs_later: int = 0
    """The number of runs by which it follows the change that it may explain; negative where it precedes it."""


@dataclass(frozen=True)
class Trend:
    """A cell's series of runs under the same conditions."""

    key: str
    conditions: Mapping[str, Any]
    seconds: pd.Series
    """The floors, by the start of the run (UTC)."""
    runs: Sequence[str]
    """The names of the runs."""
    shifts: Sequence[Shift]
    levels: Sequence[Level]
    explained: Sequence[Sequence[Difference]]
    """The differences that may explain each shift."""
    begins: Sequence[Difference] = ()
    """The differences of its conditions from those of the same cell's previous series."""


@dataclass(frozen=True)
class Look:
    """A look at a history: its trends, and the changes of the newest run against each cell's last level."""

    runs: int
    """The number of runs in the whole history."""
    newest: str
    trends: Sequence[Trend]
    changes: Sequence[Change]
    first: Sequence[str] = ()
    """The cells of the newest run that no earlier run has under these conditions."""
    missing: Sequence[str] = ()
    """The complete runs in the results folder that are not in the history."""
    since: pd.Timestamp | None = None
    """The time before which nothing is reported."""
    dated_later: Sequence[str] = ()
    """The runs whose start is later than now, because a clock was wrong."""


@dataclass(frozen=True)
class Newest:
    """A cell of the newest run, and the floors and typical times, by process, of the runs it is compared with."""

    side: CellSide
    floors: Sequence[np.ndarray]
    """One array for each run, in the order of the series."""
    typicals: Sequence[np.ndarray]
    min_effect: float = MIN_EFFECT


@dataclass(frozen=True)
class _Change:
    """A change in a series of logs (n,), from the segment [begin, at) to the segment [at, end)."""

    begin: int
    at: int
    end: int
    size: float
    """The median of the later segment less that of the earlier one."""
    noise: Noise
    """The noise of the values near `at`."""
    degrees: int
    """The degrees of freedom with which the noise is known."""

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of values in the two segments."""
        return self.at - self.begin, self.end - self.at

    @property
    def error(self) -> float:
        """The standard error of `size`.

        The variance of the median of m values with the standard deviation s is π/2 · s² / m (Laplace 1818), times the
        long-run variance of the values' signs, where they are correlated; `long_run` is s times the latter. The
        variances of the two medians add.
        """
        per_value = math.pi / 2 * self.noise.scale * self.noise.long_run
        return math.sqrt(per_value * sum(1 / count for count in self.counts))

    @property
    def ratio(self) -> Estimate:
        """The ratio of the medians, whose interval is `size` ± t · `error` in logs."""
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees)) * self.error
        low, high = math.exp(self.size - reach), math.exp(self.size + reach)
        return Estimate(math.exp(self.size), low, high, min(self.counts), degrees=self.degrees)


def shifts(seconds: pd.Series | np.ndarray, min_effect: float = MIN_EFFECT) -> list[Shift]:
    """Return where a series (n,) of positive values changes its level, with the probability of each change by chance.

    Segmentation proposes the changes, and each is tested twice: noise may have moved the medians apart (`_p_of_noise`),
    or most values of the shorter segment may be outliers (`_p_of_outliers`). The sum of the two p-values bounds the
    probability of either; times the number of positions at which a change can be found, it bounds the probability of
    either at any of them (Bonferroni). Raises ValueError for values that are not positive and finite.

    >>> [(shift.at, round(shift.ratio.value, 3)) for shift in shifts([1.0] * 5 + [1.1] * 5)]
    [(5, 1.1)]
    """
    values = np.asarray(seconds, float)
    begins = _begins(values, min_effect)
    logs = np.log(values)
    about_medians = logs - _medians(logs, begins)
    tested_positions = max(1, len(values) - 2 * MIN_SIZE + 1)
    edges = [0, *begins, len(values)]
    found_shifts = []
    for begin, at, end in zip(edges, edges[1:], edges[2:], strict=False):
        change = _change(logs, begin, at, end, min_effect)
        p_of_change = _p_of_noise(change) + _p_of_outliers(change, about_medians)
        found_shifts.append(Shift(at, change.ratio, min(1.0, tested_positions * p_of_change)))
    return found_shifts


def real(found_shifts: Sequence[Sequence[Shift]], error_rate: float = 1 - CONFIDENCE) -> list[list[Shift]]:
    """Return each series' shifts that survive false-discovery control over all series (Benjamini & Hochberg 1995). A
    series without shifts counts as one test that found nothing."""
    tested = [shift.p for series in found_shifts for shift in series] + [1.0 for series in found_shifts if not series]
    adjusted = iter(stats.false_discovery_control(tested).tolist() if tested else [])
    return [[shift for shift in series if next(adjusted) <= error_rate] for series in found_shifts]


def levels(seconds: pd.Series | np.ndarray, kept: Sequence[Shift]) -> list[Level]:
    """Return the levels of a series (n,): the parts between its shifts."""
    values = np.asarray(seconds, float)
    edges = [0, *(shift.at for shift in kept), len(values)]
    return [Level(begin, end, float(np.median(values[begin:end]))) for begin, end in pairwise(edges)]


def last_level(seconds: pd.Series | np.ndarray, min_effect: float = MIN_EFFECT) -> slice:
    """Return the runs of a series (n,) that are on its last level."""
    values = np.asarray(seconds, float)
    start = max(0, len(values) - MOST_BASE)
    begins = segment(values[start:], min_effect=min_effect)
    return slice(start + (begins[-1] if begins else 0), len(values))


def differences(
    versions: Sequence[int], contents: Mapping[int, Mapping[str, str]], at: int, reach: int = LOCATED
) -> list[Difference]:
    """Return what changed between a series' runs `at` - 1 and `at`; if nothing did, between the nearest two at most
    `reach` from there. `versions` has a number for each run, `contents` what each number stands for.

    >>> differences([1, 1, 1, 2], {1: {"numpy": "2.1"}, 2: {"numpy": "2.2"}}, at=2)
    [Difference(name='numpy', before='2.1', after='2.2', runs_later=1)]
    """
    for distance in range(reach + 1):
        indices = [index for index in dict.fromkeys((at - distance, at + distance)) if 0 < index < len(versions)]
        nearest = [
            replace(difference, runs_later=index - at)
            for index in indices
            for difference in begun(contents[versions[index - 1]], contents[versions[index]])
        ]
        if nearest:
            return nearest
    return []


def begun(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return the differences between the conditions of two series."""
    names = dict.fromkeys([*before, *after])
    compared = [Difference(name, str(before.get(name, "")), str(after.get(name, ""))) for name in names]
    return [difference for difference in compared if difference.before != difference.after]


def newest(cells: Sequence[Newest], adaptive: bool) -> list[Change]:
    """Return the change of each cell in the newest run against its last level, judged together.

    Processes are compared as those of two runs are. Where the last level has three runs or more, an interval is no
    narrower than the prediction interval of one more run like them: two runs of the same code differ by more than the
    spread of their processes.
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
    """Return a change with the noise of at most `WINDOW` values about `at`; the medians take two degrees of freedom."""
    size = float(np.median(logs[at:end]) - np.median(logs[begin:at]))
    near = logs[max(0, at - WINDOW // 2) : at + WINDOW // 2]
    noise = noise_of(near)
    noise = replace(noise, scale=max(noise.scale, FINEST * math.log1p(min_effect)))
    return _Change(begin, at, end, size, noise, max(1, len(near) - 2))


def _p_of_noise(change: _Change) -> float:
    """Return the probability that noise alone moves two medians so far apart: Student's t test, two-sided."""
    return 2 * float(stats.t.sf(abs(change.size) / change.error, change.degrees))


def _p_of_outliers(change: _Change, about_medians: np.ndarray) -> float:
    """Return the probability that over half of the shorter segment's values are outliers, which would move its median:
    a binomial test.

    The rate of outliers is that of all other values, by their distances from their segments' medians (n,). An outlier
    lies on the side to which the shorter segment differs, beyond the noise and at least half as far as that differs.
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
    """Return the median of each value's segment."""
    parts = np.split(logs, begins)
    return np.concatenate([np.full(len(part), np.median(part)) if len(part) else part for part in parts])


def _begins(values: np.ndarray, min_effect: float) -> list[int]:
    """Return where segments begin, except the first; a long series is searched in windows."""
    if len(values) <= WINDOW:
        return segment(values, min_effect=min_effect)
    # The penalty grows with the log of the window's length: this gives a full window the penalty of the whole series.
    factor = FACTOR * math.log(len(values)) / math.log(WINDOW)
    begins: list[int] = []
    start = settled = end = 0
    while end < len(values):
        end = min(start + WINDOW, len(values))
        last = end if end == len(values) else end - OVERLAP
        in_window = [start + begin for begin in segment(values[start:end], factor=factor, min_effect=min_effect)]
        begins += [begin for begin in in_window if settled < begin <= last]
        # The next window begins at the last change, unless that is too far back.
        start, settled = max(begins[-1] if begins else 0, end - 2 * OVERLAP), last
    return begins


def _pooled(cell: Newest) -> CellSide:
    """Return the processes of the runs that a cell is compared with, as one side."""
    floors, typicals = (dict(enumerate(np.concatenate(runs).tolist(), 1)) for runs in (cell.floors, cell.typicals))
    return CellSide(cell.side.cell, "ok", floors=floors, typicals=typicals)


def _widened(ratio: Estimate, runs: Sequence[np.ndarray], confidence: float) -> Estimate:
    """Return a ratio whose interval is no narrower than the prediction interval of one more run's log.

    That reaches t·s·√(1 + 1/n) from the mean of n runs: √(n + 1) times as far as the mean's own interval, t·s/√n."""
    if len(runs) < MIN_SIZE or not math.isfinite(ratio.low):
        return ratio
    mean = estimate([estimate(run).value for run in runs], confidence=confidence)
    reach = math.log(mean.high / mean.low) / 2 * math.sqrt(len(runs) + 1)
    if reach <= math.log(ratio.high / ratio.low) / 2:
        return ratio
    low, high = ratio.value * math.exp(-reach), ratio.value * math.exp(reach)
    return Estimate(ratio.value, low, high, ratio.passes, confidence, float(kept_of(len(runs)) - 1))
