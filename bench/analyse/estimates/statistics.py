"""Estimates with their uncertainty. The unit of replication is the process, of which each pass has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log, pi, sqrt
from statistics import median

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
        width = np.log(self.high) - np.log(self.low)
        return float(np.expm1(width / 2)) if np.isfinite(width) else np.inf

    @property
    def freedom(self) -> float:
        """The degrees of freedom; by default one less than the passes that are not set aside."""
        return kept_of(self.passes) - 1 if self.degrees is None else self.degrees

    def known_by(self, error: float, degrees: float) -> Estimate:
        """Return the same value with the interval of another standard error of its log and its degrees of freedom."""
        reach = max(_t((1 + self.confidence) / 2, degrees) * error, self.least)
        centre = np.log(self.value)
        low, high = float(np.exp(centre - reach)), float(np.exp(centre + reach))
        return replace(self, low=low, high=high, error=error, degrees=degrees)


Blocks = Mapping[int, Mapping[int, float]]
"""The typical seconds of each block, or its floor, by pass and round."""
UNKNOWN = Estimate(np.nan, np.nan, np.nan, 0)


def estimate(
    per_pass: Sequence[float] | np.ndarray, within: Sequence[float] = (), confidence: float = CONFIDENCE
) -> Estimate:
    """Estimate a quantity from one positive value a pass.

    The estimate is the mean of logs with Student's t interval, and from five passes on their trimmed mean, with its
    winsorised standard error (Tukey & McLaughlin 1963; Yuen 1974). `within` has each log's standard error as its own
    blocks tell it. The interval is no narrower than these alone would make it: a few passes may agree by chance.
    """
    logs = np.log(np.asarray(per_pass, float))
    count = len(logs)
    if count == 0:
        return UNKNOWN
    centre, error = _trimmed(logs)
    without_interval = Estimate(float(np.exp(centre)), np.nan, np.nan, count, confidence)
    if count < 2:
        return without_interval
    known = np.sqrt(np.mean(np.square(within)) / kept_of(count)) if len(within) else 0.0
    least = float(special.ndtri((1 + confidence) / 2) * known)
    deviations = tuple((logs - logs.mean()).tolist())
    known_estimate = replace(without_interval, least=least, deviations=deviations).known_by(error, kept_of(count) - 1)
    return replace(known_estimate, degrees=None)


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
    (base, base_error), (other, other_error) = map(_trimmed, logs)
    without_interval = Estimate(float(np.exp(base - other)), np.nan, np.nan, min(counts), confidence)
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


def paired(bases: Blocks, others: Blocks, spending: Spending = Spending.WHOLE) -> Estimate:
    """Estimate how many times longer `bases` take than `others`, from the passes and rounds that both have.

    Both have typical seconds, or both have floors. A pass counts as the median over its rounds of the blocks' log
    ratio. What slows the machine for a few rounds slows both, and cancels."""
    ratios, within = [], []
    for pass_number in others:
        base = bases.get(pass_number, {})
        # In plain floats: arrays of so few values take ten times as long to make as to compute with.
        logs = [log(base[number] / seconds) for number, seconds in others[pass_number].items() if number in base]
        if logs:
            ratios.append(exp(median(logs)))
            within.append(median_error(logs))
    return estimate(ratios, within, confidence_after(len(ratios), spending))


def median_error(values: Sequence[float] | np.ndarray) -> float:
    """Return the standard error of a median: √(π/2) times that of a mean (Laplace 1818), from the values' median
    absolute deviation; 0 where there are too few values."""
    if len(values) < 2:
        return 0.0
    middle = median(values)
    deviation = median([abs(value - middle) for value in values])
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
    logs = np.log(np.asarray(block_values, float))
    return float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else 0.0


def typical(samples: Sequence[float] | np.ndarray) -> float:
    """Return the median, which is reported as the time."""
    return float(median(samples))


def floor(block: Sequence[float] | np.ndarray) -> float:
    """Return the least of a block's samples, which noise moves least."""
    return float(min(block))


def high(samples: np.ndarray) -> float:
    """Return the 95th percentile."""
    return float(np.quantile(samples, HIGH_QUANTILE))


def trimmed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the trimmed means (rows,) of values (rows, n), of which `kept_of(n)` count, and their covariance
    (rows, rows) by winsorised values (Tukey & McLaughlin 1963; Yuen 1974), NaN from a single value.

    Where a fraction of a value is set aside, the rest of it counts, and values are winsorised to between two of them.
    """
    count = values.shape[1]
    kept = kept_of(count)
    cut = (count - kept) / 2
    ordered = np.sort(values, axis=1)
    indices = np.arange(count)
    weights = np.clip(np.minimum(indices + 1, count - indices) - cut, 0, 1)
    means = ordered @ weights / kept
    if count < 2:
        return means, np.full((len(values), len(values)), np.nan)
    ends = np.array([np.interp([cut, count - 1 - cut], indices, row) for row in ordered])
    winsorised = np.clip(values, ends[:, :1], ends[:, 1:])
    deviations = winsorised - winsorised.mean(axis=1, keepdims=True)
    return means, deviations @ deviations.T / (kept * (kept - 1))


def _trimmed(logs: np.ndarray) -> tuple[float, float]:
    """Return the trimmed mean of logs (n,) and its standard error."""
    means, covariance = trimmed(np.sort(logs)[None])
    return float(means[0]), float(np.sqrt(covariance[0, 0]))


def _t(probability: float, degrees: float) -> float:
    """Return Student's t quantile."""
    return float(special.stdtrit(degrees, probability))


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
