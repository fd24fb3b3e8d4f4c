"""Estimates with their uncertainty. The process, one a pass, is the unit of replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, log, pi, sqrt
from statistics import median

import numpy as np
from scipy import special, stats

from bench.plan import looks

CONFIDENCE = 0.95
FLOOR_QUANTILE = 0.05
HIGH_QUANTILE = 0.95
MIN_EFFECT = 0.02
"""A relative difference too small to matter, as a fraction."""
NORMAL_QUARTILE = float(stats.norm.ppf(0.75))
TRIM_FROM = 6
"""Passes from which the smallest and the largest one are set aside, so that one bad pass cannot decide."""
TRIM_SHARE = 5
"""Of further passes, one in so many is set aside at each end."""
TRIM_OF_FIVE = 0.4
"""Of one of five passes, at each end: the least with which a sixth pass does not widen the interval."""


@dataclass(frozen=True)
class Estimate:
    """A positive quantity, its interval (NaN from a single pass), and the passes behind it."""

    value: float
    low: float
    high: float
    passes: int
    confidence: float = CONFIDENCE
    """Of the interval; more than 95 % where the run was looked at more than once."""
    degrees: float | None = None
    """Of freedom of the interval's Student's t, where the number of passes does not tell them."""
    error: float = field(default=np.nan, compare=False)
    """Standard error of the value's log; NaN where it is not known."""
    least: float = field(default=0.0, compare=False)
    """Half of the least width that the interval's log may have, whatever the error."""
    deviations: tuple[float, ...] = field(default=(), compare=False, repr=False)
    """Of the passes' logs from their mean, in the order of the passes."""

    @property
    def with_bounds(self) -> tuple[float, float, float]:
        """The value, and the lower and the upper bound of its interval."""
        return self.value, self.low, self.high

    @property
    def inverse(self) -> Estimate:
        """Of a ratio the other way round."""
        return replace(self, value=1 / self.value, low=1 / self.high, high=1 / self.low)

    @property
    def half_width(self) -> float:
        """Of the interval, as a fraction of the value; infinite from a single pass."""
        width = np.log(self.high) - np.log(self.low)
        return float(np.expm1(width / 2)) if np.isfinite(width) else np.inf

    @property
    def freedom(self) -> float:
        """Degrees of freedom, told by the passes that are not set aside where nothing else tells them."""
        return kept_of(self.passes) - 1 if self.degrees is None else self.degrees

    def known_by(self, error: float, degrees: float) -> Estimate:
        """The same value, with the interval of another standard error of its log and its degrees of freedom."""
        reach = max(_t((1 + self.confidence) / 2, degrees) * error, self.least)
        centre = np.log(self.value)
        low, high = float(np.exp(centre - reach)), float(np.exp(centre + reach))
        return replace(self, low=low, high=high, error=error, degrees=degrees)


Blocks = Mapping[int, Mapping[int, float]]
"""Typical seconds of each block, by pass and round."""
UNKNOWN = Estimate(np.nan, np.nan, np.nan, 0)


def estimate(
    per_pass: Sequence[float] | np.ndarray, within: Sequence[float] = (), confidence: float = CONFIDENCE
) -> Estimate:
    """Of one positive value a pass: the mean of logs with Student's t interval, and from five passes
    on their trimmed mean, with its winsorised standard error (Tukey & McLaughlin 1963; Yuen 1974).

    `within` has each log's standard error as its own blocks tell it. The interval is no narrower than
    these alone would make it: a few passes may agree by chance, better than any of them is known.
    """
    logs = np.log(np.asarray(per_pass, float))
    count = len(logs)
    if count == 0:
        return UNKNOWN
    centre, error = _trimmed(logs)
    told = Estimate(float(np.exp(centre)), np.nan, np.nan, count, confidence)
    if count < 2:
        return told
    known = np.sqrt(np.mean(np.square(within)) / kept_of(count)) if len(within) else 0.0
    least = float(special.ndtri((1 + confidence) / 2) * known)
    deviations = tuple((logs - logs.mean()).tolist())
    shown = replace(told, least=least, deviations=deviations).known_by(error, kept_of(count) - 1)
    return replace(shown, degrees=None)


def unpaired(
    bases: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE
) -> Estimate:
    """How many times longer the first takes than the second, of one positive value a process each, from
    processes that have nothing to do with each other: the difference of their means of logs, each
    trimmed as in `estimate`, with winsorised errors and Welch's degrees of freedom (Yuen 1974)."""
    counts = len(bases), len(others)
    if min(counts) == 0:
        return UNKNOWN
    logs = [np.log(np.asarray(side, float)) for side in (bases, others)]
    (base, base_error), (other, other_error) = map(_trimmed, logs)
    told = Estimate(float(np.exp(base - other)), np.nan, np.nan, min(counts), confidence)
    free = np.array([kept_of(count) - 1 for count in counts])
    if free.min() < 1:
        return told
    squares = np.square([base_error, other_error])
    degrees = float(squares.sum() ** 2 / (squares**2 / free).sum()) if squares.any() else float(free.sum())
    deviations = tuple(np.concatenate([side - side.mean() for side in logs]).tolist())
    return replace(told, deviations=deviations).known_by(float(np.sqrt(squares.sum())), degrees)


def confidence_after(passes: int, adaptive: bool) -> float:
    """Of the intervals after so many passes: less is left for each where a run stops once it has seen enough."""
    return 1 - (1 - CONFIDENCE) * (looks.share(passes) if adaptive else 1.0)


def paired(bases: Blocks, others: Blocks, adaptive: bool = False) -> Estimate:
    """How many times longer the first takes than the second, of passes that both have: of each, the
    median over the rounds that both have of their blocks' log ratio. What slows the machine for a
    few rounds slows both, and cancels."""
    ratios, within = [], []
    for pass_number in others:
        base = bases.get(pass_number, {})
        # In plain floats: arrays of so few values take ten times as long to make as to compute with.
        logs = [log(base[number] / seconds) for number, seconds in others[pass_number].items() if number in base]
        if logs:
            ratios.append(exp(median(logs)))
            within.append(median_error(logs))
    return estimate(ratios, within, confidence_after(len(ratios), adaptive))


def median_error(values: Sequence[float] | np.ndarray) -> float:
    """Standard error of a median, from the values' spread as outliers leave it: √(π/2) that of a mean
    (Laplace 1818); 0 where there are too few values to tell."""
    if len(values) < 2:
        return 0.0
    middle = median(values)
    deviation = median([abs(value - middle) for value in values])
    return float(sqrt(pi / 2 / len(values)) * deviation / NORMAL_QUARTILE)


def verdicts(ratios: Sequence[Estimate], min_effect: float | Sequence[float] = MIN_EFFECT) -> list[str]:
    """Of each speed-up over its baseline: `faster` or `slower` only where its interval lies wholly
    beyond the minimum effect (one for all, or one each) and it survives false-discovery control over
    all of them (Benjamini & Hochberg 1995); `same` only where the interval lies wholly within; else
    `unclear`."""
    above = 1 + np.broadcast_to(np.asarray(min_effect, float), len(ratios))
    tested = np.minimum(p_beyond(ratios, above), p_beyond(ratios, 1 / above))
    adjusted = stats.false_discovery_control(tested) if len(tested) else tested
    return [_verdict(r, p, bound, 1 / bound) for r, p, bound in zip(ratios, adjusted, above, strict=True)]


def p_beyond(ratios: Sequence[Estimate], bounds: np.ndarray) -> np.ndarray:
    """One-sided p-value of each ratio for lying beyond its bound (> 1: above it, < 1: below it, 1: on the side of the
    value), (ratios,); 1 where untestable.

    Comparable with other estimates' however often each was looked at: it is the p-value at 95 % over the estimate's
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
    """Of a pass's log value, from one positive value a block; 0 where there are too few to tell."""
    logs = np.log(np.asarray(block_values, float))
    return float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else 0.0


def typical(samples: Sequence[float] | np.ndarray) -> float:
    """The median, which is reported as the time."""
    return float(median(samples))


def floor(samples: np.ndarray) -> float:
    """The 5th percentile, which noise moves least."""
    return float(np.quantile(samples, FLOOR_QUANTILE))


def high(samples: np.ndarray) -> float:
    """The 95th percentile."""
    return float(np.quantile(samples, HIGH_QUANTILE))


def trimmed(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The trimmed means (rows,) of values (rows, n), of which `kept_of(n)` count, and their covariance (rows, rows),
    NaN from a single value, by winsorised values (Tukey & McLaughlin 1963; Yuen 1974).

    Where a fraction of a value is set aside, the rest of it counts, and values are winsorised to between two of them.
    """
    count = values.shape[1]
    kept = kept_of(count)
    cut = (count - kept) / 2
    ordered = np.sort(values, axis=1)
    places = np.arange(count)
    weights = np.clip(np.minimum(places + 1, count - places) - cut, 0, 1)
    means = ordered @ weights / kept
    if count < 2:
        return means, np.full((len(values), len(values)), np.nan)
    ends = np.array([np.interp([cut, count - 1 - cut], places, row) for row in ordered])
    winsorised = np.clip(values, ends[:, :1], ends[:, 1:])
    apart = winsorised - winsorised.mean(axis=1, keepdims=True)
    return means, apart @ apart.T / (kept * (kept - 1))


def _trimmed(logs: np.ndarray) -> tuple[float, float]:
    """The trimmed mean of logs (n,) and its standard error."""
    means, covariance = trimmed(np.sort(logs)[None])
    return float(means[0]), float(np.sqrt(covariance[0, 0]))


def _t(probability: float, degrees: float) -> float:
    """Student's t quantile."""
    return float(special.stdtrit(degrees, probability))


def kept_of(count: int) -> float:
    """How many of so many passes are not set aside; not a whole number where a part of one is."""
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
