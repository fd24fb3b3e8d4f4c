"""Estimates with their uncertainty. The unit of replication is the process, of which each pass has one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import hypot, log, pi, sqrt
from operator import mul

import numpy as np
from scipy import special, stats

from bench.plan import looks
from bench.plan.looks import Spending

CONFIDENCE = 0.95
HIGH_QUANTILE = 0.95
MIN_EFFECT = 0.02
"""A relative difference too small to matter, as a fraction."""
NORMAL_QUARTILE = float(stats.norm.ppf(0.75))
TRIM_FROM = 6
"""The passes from which the smallest and the largest one are set aside, so that one bad pass cannot decide."""
TRIM_SHARE = 5
"""The further passes of which one is set aside at each end."""
TRIM_OF_FIVE = 0.4
"""The fraction of a pass that is set aside at each end of five: the smallest with which a sixth pass does not widen
the interval."""


@dataclass(frozen=True)
class Estimate:
    """A positive quantity, its interval (NaN from a single pass), and the number of passes it is from."""

    value: float
    low: float
    high: float
    passes: int
    confidence: float = CONFIDENCE
    """The confidence of the interval; more than 95 % where the run was looked at more than once."""
    degrees: float | None = None
    """The degrees of freedom of the interval's Student's t; None where they follow from the number of passes."""
    error: float = field(default=np.nan, compare=False)
    """The standard error of the value's log; NaN where it is not known."""
    least: float = field(default=0.0, compare=False)
    """Half of the smallest width that the log's interval may have, whatever the error."""
    deviations: tuple[float, ...] = field(default=(), compare=False, repr=False)
    """The deviations of the passes' logs from their mean, in the order of the passes."""

    @property
    def with_bounds(self) -> tuple[float, float, float]:
        """The value, and the lower and the upper bound of its interval."""
        return self.value, self.low, self.high

    @property
    def inverse(self) -> Estimate:
        """The inverse of a ratio, with its interval."""
        return replace(self, value=1 / self.value, low=1 / self.high, high=1 / self.low)

    @property
    def half_width(self) -> float:
        """Half the width of the interval, as a fraction of the value; infinite from a single pass."""
        width = _log(self.high) - _log(self.low)
        return math.expm1(width / 2) if math.isfinite(width) else math.inf

    @property
    def freedom(self) -> float:
        """The degrees of freedom; by default one less than the passes that are not set aside."""
        return kept_of(self.passes) - 1 if self.degrees is None else self.degrees

    def known_by(self, error: float, degrees: float) -> Estimate:
        """Return the same value with the interval of another standard error of its log and its degrees of freedom."""
        low, high = _interval(_log(self.value), error, degrees, self.confidence, self.least)
        return Estimate(
            self.value, low, high, self.passes, self.confidence, degrees, error, self.least, self.deviations
        )


Blocks = Mapping[int, Mapping[int, float]]
"""The typical seconds of each block, or its floor, by pass and round."""
UNKNOWN = Estimate(np.nan, np.nan, np.nan, 0)


def estimate(
    per_pass: Sequence[float] | np.ndarray,
    within: Sequence[float] = (),
    confidence: float = CONFIDENCE,
    moved: Sequence[float] = (),
) -> Estimate:
    """Estimate a quantity from one positive value a pass.

    The estimate is the mean of logs with Student's t interval, and from five passes on their trimmed mean, with its
    winsorised standard error (Tukey & McLaughlin 1963; Yuen 1974). `within` has each log's standard error as its own
    blocks tell it. The interval is no narrower than their median alone would make it: a few passes may agree by chance.
    Not their mean square, which a few disturbed passes decide: these differ from the others as well, and widen it so.
    `moved` has by how much each log may be off because the machine changed its pace, which blocks do not tell.
    """
    # All in plain floats: arrays of so few values take ten times as long to make as to compute with.
    logs = [log(value) for value in per_pass]
    count = len(logs)
    if count == 0:
        return UNKNOWN
    centre, error = _trimmed(logs)
    if count < 2:
        return Estimate(_exp(centre), math.nan, math.nan, count, confidence)
    by_blocks = _median(sorted(within)) if len(within) else 0.0
    by_pace = sqrt(sum(each * each for each in moved) / len(moved)) if len(moved) else 0.0
    least = _normal((1 + confidence) / 2) * hypot(by_blocks, by_pace) / sqrt(kept_of(count))
    low, high = _interval(centre, error, kept_of(count) - 1, confidence, least)
    mean = sum(logs) / count
    deviations = tuple([each - mean for each in logs])
    return Estimate(_exp(centre), low, high, count, confidence, None, error, least, deviations)


def unpaired(
    bases: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate how many times longer `bases` take than `others`, from one positive value a process, unpaired.

    The log of the ratio is the difference of the means of logs, each trimmed as in `estimate`, with winsorised errors
    and Welch's degrees of freedom (Yuen 1974)."""
    counts = len(bases), len(others)
    if min(counts) == 0:
        return UNKNOWN
    logs = [np.log(np.asarray(side, float)) for side in (bases, others)]
    (base, base_error), (other, other_error) = (_trimmed(side.tolist()) for side in logs)
    without_interval = Estimate(_exp(base - other), math.nan, math.nan, min(counts), confidence)
    free = np.array([kept_of(count) - 1 for count in counts])
    if free.min() < 1:
        return without_interval
    squares = np.square([base_error, other_error])
    degrees = float(squares.sum() ** 2 / (squares**2 / free).sum()) if squares.any() else float(free.sum())
    deviations = tuple(np.concatenate([side - side.mean() for side in logs]).tolist())
    return replace(without_interval, deviations=deviations).known_by(float(np.sqrt(squares.sum())), degrees)


def confidence_after(passes: int, spending: Spending) -> float:
    """Return the confidence of intervals after some passes; it is higher where a run is looked at repeatedly."""
    return 1 - (1 - CONFIDENCE) * looks.share(passes, spending)


def median_error(values: Sequence[float] | np.ndarray) -> float:
    """Return the standard error of a median: √(π/2) times that of a mean (Laplace 1818), from the values' median
    absolute deviation; 0 where there are too few values."""
    if len(values) < 2:
        return 0.0
    middle = _median(sorted(values))
    deviation = _median(sorted([abs(value - middle) for value in values]))
    return float(sqrt(pi / 2 / len(values)) * deviation / NORMAL_QUARTILE)


def verdicts(ratios: Sequence[Estimate], min_effect: float | Sequence[float] = MIN_EFFECT) -> list[str]:
    """Return the verdict of each speed-up over its baseline.

    It is `faster` or `slower` where the interval lies wholly beyond the minimum effect (one for all, or one each) and
    survives false-discovery control over all ratios (Benjamini & Hochberg 1995); `same` where the interval lies wholly
    within the minimum effect; else `unclear`."""
    above = 1 + np.broadcast_to(np.asarray(min_effect, float), len(ratios))
    tested = np.minimum(p_beyond(ratios, above), p_beyond(ratios, 1 / above))
    adjusted = stats.false_discovery_control(tested) if len(tested) else tested
    return [_verdict(r, p, bound, 1 / bound) for r, p, bound in zip(ratios, adjusted, above, strict=True)]


def p_beyond(ratios: Sequence[Estimate], bounds: np.ndarray) -> np.ndarray:
    """Return the one-sided p-value of each ratio for lying beyond its bound (> 1: above it, < 1: below it, 1: on the
    side of the value), (ratios,); 1 where untestable.

    p-values can be compared however often each estimate was looked at: each is the p-value at 95 % over the estimate's
    share of the error rate.
    """
    fields = [(r.value, r.low, r.high, r.confidence, r.freedom) for r in ratios]
    value, low, high, confidence, degrees = np.array(fields, float).reshape(-1, 5).T
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.log(high) - np.log(low)
        upward = (bounds > 1) | ((bounds == 1) & (value > 1))
        away = np.log(value / bounds) * np.where(upward, 1, -1)
        error = width / 2 / special.stdtrit(degrees, (1 + confidence) / 2)
        tail = special.stdtr(degrees, -away / error) / ((1 - confidence) / (1 - CONFIDENCE))
    tail = np.where(width == 0, np.where(away > 0, 0.0, 1.0), np.minimum(1.0, tail))
    return np.where((degrees >= 1) & np.isfinite(width), tail, 1.0)


def standard_error(block_values: Sequence[float] | np.ndarray) -> float:
    """Return the standard error of a pass's log value, from one positive value a block; 0 from fewer than two."""
    logs = [log(value) for value in block_values]
    count = len(logs)
    if count < 2:
        return 0.0
    mean = sum(logs) / count
    return sqrt(sum([(each - mean) ** 2 for each in logs]) / (count - 1) / count)


def typical(samples: Iterable[float]) -> float:
    """Return the median, which is reported as the time."""
    return _median(_ordered(samples))


def floor(block: Iterable[float]) -> float:
    """Return the least of a block's samples, which noise moves least."""
    return float(min(block))


def high(samples: Iterable[float]) -> float:
    """Return the 95th percentile."""
    return _quantile(_ordered(samples), HIGH_QUANTILE)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of the samples of a process."""

    typical: float
    high: float
    count: int


def summary(samples: Iterable[float]) -> Summary:
    """Return what `typical` and `high` do, at once."""
    ordered = _ordered(samples)
    return Summary(_median(ordered), _quantile(ordered, HIGH_QUANTILE), len(ordered))


def trimmed(rows: Sequence[Sequence[float]]) -> tuple[list[float], np.ndarray]:
    """Return the trimmed means of rows of n values, of which `kept_of(n)` count, and their covariance (rows, rows) by
    winsorised values (Tukey & McLaughlin 1963; Yuen 1974), NaN from a single value.

    Where a fraction of a value is set aside, the rest of it counts, and values are winsorised to between two of them.
    """
    count = len(rows[0])
    if count < 2:
        return [float(row[0]) for row in rows], np.full((len(rows), len(rows)), np.nan)
    means, deviations = zip(*map(_winsorised, rows), strict=True)
    kept = kept_of(count)
    return [*means], np.array(deviations) @ np.array(deviations).T / (kept * (kept - 1))


def _trimmed(logs: Sequence[float]) -> tuple[float, float]:
    """Return the trimmed mean of logs and its standard error, NaN from a single one."""
    if len(logs) < 2:
        return logs[0], math.nan
    mean, deviations = _winsorised(sorted(logs))
    kept = kept_of(len(logs))
    return mean, sqrt(sum([each * each for each in deviations]) / (kept * (kept - 1)))


def _winsorised(values: Sequence[float]) -> tuple[float, list[float]]:
    """Return the trimmed mean of values, and the deviations of the winsorised ones from their own mean."""
    count = len(values)
    kept, cut, weights = _trimming(count)
    ordered = sorted(values)
    mean = sum(map(mul, ordered, weights)) / kept
    low, high = _between(ordered, cut), _between(ordered, count - 1 - cut)
    winsorised = [low if value < low else high if value > high else value for value in values]
    middle = sum(winsorised) / count
    return mean, [value - middle for value in winsorised]


@lru_cache
def _trimming(count: int) -> tuple[float, float, tuple[float, ...]]:
    """Return how many of so many ordered values are kept in a trimmed mean, how many are cut at each end, and by how
    much each counts."""
    kept = kept_of(count)
    cut = (count - kept) / 2
    return kept, cut, tuple(min(max(min(index + 1, count - index) - cut, 0.0), 1.0) for index in range(count))


def _between(ordered: Sequence[float], position: float) -> float:
    """Return the value at a position, from 0, that may lie between two of the ordered values."""
    index = min(int(position), len(ordered) - 2)
    value = ordered[index]
    return value + (position - index) * (ordered[index + 1] - value)


def _ordered(samples: Iterable[float]) -> list[float]:
    return sorted(samples.tolist() if isinstance(samples, np.ndarray) else samples)


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of ordered values lies, between two of them as `numpy.quantile` does."""
    position = share * (len(ordered) - 1)
    index = int(position)
    below, above = ordered[index], ordered[min(index + 1, len(ordered) - 1)]
    part = position - index
    return below + (above - below) * part if part < 0.5 else above - (above - below) * (1 - part)


def _interval(centre: float, error: float, degrees: float, confidence: float, least: float) -> tuple[float, float]:
    """Return the interval about a log, whose half is at least `least`, as positive numbers."""
    reach = max(_t((1 + confidence) / 2, degrees) * error, least)
    return _exp(centre - reach), _exp(centre + reach)


def _log(value: float) -> float:
    return log(value) if value > 0 else -math.inf if value == 0 else math.nan


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


@lru_cache(maxsize=1 << 12)
def _t(probability: float, degrees: float) -> float:
    """Return Student's t quantile."""
    return float(special.stdtrit(degrees, probability))


@lru_cache
def _normal(probability: float) -> float:
    """Return the normal distribution's quantile."""
    return float(special.ndtri(probability))


def kept_of(count: int) -> float:
    """Return how many of `count` passes are not set aside; a fraction where a part of one is."""
    if count >= TRIM_FROM:
        return count - 2 * (1 + (count - TRIM_FROM) / TRIM_SHARE)
    return count - 2 * TRIM_OF_FIVE if count == TRIM_FROM - 1 else float(count)


def _verdict(ratio: Estimate, p: float, above: float, below: float) -> str:
    significant = p <= (1 - CONFIDENCE) / 2
    if significant and ratio.low > above:
        return "faster"
    if significant and ratio.high < below:
        return "slower"
    if ratio.low >= below and ratio.high <= above:
        return "same"
    return "unclear"
