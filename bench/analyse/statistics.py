"""Estimates with their uncertainty. The process, one a pass, is the unit of replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import stats

from bench.plan import looks

CONFIDENCE = 0.95
FLOOR_QUANTILE = 0.05
HIGH_QUANTILE = 0.95
MIN_EFFECT = 0.02
"""A relative difference too small to matter, as a fraction."""
NORMAL_QUARTILE = float(stats.norm.ppf(0.75))
TRIM_FROM = 6
"""Passes from which the smallest and the largest ones are set aside, so that one bad pass cannot decide."""
TRIM_SHARE = 4
"""Of the passes, one in so many is set aside at each end."""


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

    @property
    def inverse(self) -> Estimate:
        """Of a ratio the other way round."""
        return replace(self, value=1 / self.value, low=1 / self.high, high=1 / self.low)

    @property
    def half_width(self) -> float:
        """Of the interval, as a fraction of the value; infinite from a single pass."""
        width = np.log(self.high) - np.log(self.low)
        return float(np.expm1(width / 2)) if np.isfinite(width) else np.inf

    def p_beyond(self, bound: float) -> float:
        """One-sided p-value for lying beyond `bound` (> 1: above it, < 1: below it, 1: on the side of the
        value); 1 where untestable.

        Comparable with other estimates' however often each was looked at: it is the p-value at 95 %
        over this estimate's share of the error rate.
        """
        degrees = kept_of(self.passes) - 1 if self.degrees is None else self.degrees
        width = np.log(self.high) - np.log(self.low)
        if degrees < 1 or not np.isfinite(width):
            return 1.0
        away = (np.log(self.value) - np.log(bound)) * (1 if bound > 1 or self.value > bound == 1 else -1)
        if width == 0:
            return 0.0 if away > 0 else 1.0
        error = width / 2 / _t((1 + self.confidence) / 2, degrees)
        share = (1 - self.confidence) / (1 - CONFIDENCE)
        return float(min(1.0, stats.t.sf(away / error, degrees) / share))


Blocks = Mapping[int, Mapping[int, float]]
"""Typical seconds of each block, by pass and round."""
UNKNOWN = Estimate(np.nan, np.nan, np.nan, 0)


def estimate(
    per_pass: Sequence[float] | np.ndarray, within: Sequence[float] = (), confidence: float = CONFIDENCE
) -> Estimate:
    """Of one positive value a pass: the mean of logs with Student's t interval, and from six passes
    on the mean of their middle half, a quarter trimmed at each end, with its winsorised standard error
    (Tukey & McLaughlin 1963; Yuen 1974).

    `within` has each log's standard error as its own blocks tell it. The interval is no narrower than
    these alone would make it: a few passes may agree by chance, better than any of them is known.
    """
    logs = np.sort(np.log(np.asarray(per_pass, float)))
    count = len(logs)
    if count == 0:
        return UNKNOWN
    kept = kept_of(count)
    centre, error = _trimmed(logs)
    if kept < 2:
        return Estimate(float(np.exp(centre)), np.nan, np.nan, count, confidence)
    reach = _t((1 + confidence) / 2, kept - 1) * error
    if len(within):
        known = np.sqrt(np.mean(np.square(within)) / kept)
        reach = max(reach, stats.norm.ppf((1 + confidence) / 2) * known)
    low, high = float(np.exp(centre - reach)), float(np.exp(centre + reach))
    return Estimate(float(np.exp(centre)), low, high, count, confidence)


def unpaired(
    bases: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE
) -> Estimate:
    """How many times longer the first takes than the second, of one positive value a process each, from
    processes that have nothing to do with each other: the difference of their means of logs, each
    trimmed as in `estimate`, with winsorised errors and Welch's degrees of freedom (Yuen 1974)."""
    counts = len(bases), len(others)
    if min(counts) == 0:
        return UNKNOWN
    logs = [np.sort(np.log(np.asarray(side, float))) for side in (bases, others)]
    (base, base_error), (other, other_error) = map(_trimmed, logs)
    free = np.array([kept_of(count) - 1 for count in counts])
    value = float(np.exp(base - other))
    if free.min() < 1:
        return Estimate(value, np.nan, np.nan, min(counts), confidence)
    squares = np.square([base_error, other_error])
    degrees = float(squares.sum() ** 2 / (squares**2 / free).sum()) if squares.any() else float(free.sum())
    reach = _t((1 + confidence) / 2, degrees) * np.sqrt(squares.sum())
    low, high = float(np.exp(base - other - reach)), float(np.exp(base - other + reach))
    return Estimate(value, low, high, min(counts), confidence, degrees)


def confidence_after(passes: int, adaptive: bool) -> float:
    """Of the intervals after so many passes: less is left for each where a run stops once it has seen enough."""
    return 1 - (1 - CONFIDENCE) * (looks.share(passes) if adaptive else 1.0)


def paired(bases: Blocks, others: Blocks, adaptive: bool = False) -> Estimate:
    """How many times longer the first takes than the second, of passes that both have: of each, the
    median over the rounds that both have of their blocks' log ratio. What slows the machine for a
    few rounds slows both, and cancels."""
    shared = [passage for passage in others if passage in bases]
    ratios, within = [], []
    for passage in shared:
        rounds = [turn for turn in others[passage] if turn in bases[passage]]
        logs = np.log([bases[passage][turn] / others[passage][turn] for turn in rounds])
        if len(logs):
            ratios.append(float(np.exp(np.median(logs))))
            within.append(median_error(logs))
    return estimate(ratios, within, confidence_after(len(ratios), adaptive))


def median_error(values: np.ndarray) -> float:
    """Standard error of a median, from the values' spread as outliers leave it: √(π/2) that of a mean
    (Laplace 1818); 0 where there are too few values to tell."""
    if len(values) < 2:
        return 0.0
    deviation = np.median(np.abs(values - np.median(values)))
    return float(np.sqrt(np.pi / 2 / len(values)) * deviation / NORMAL_QUARTILE)


def verdicts(ratios: Sequence[Estimate], min_effect: float | Sequence[float] = MIN_EFFECT) -> list[str]:
    """Of each speed-up over its baseline: `faster` or `slower` only where its interval lies wholly
    beyond the minimum effect (one for all, or one each) and it survives false-discovery control over
    all of them (Benjamini & Hochberg 1995); `same` only where the interval lies wholly within; else
    `unclear`."""
    above = 1 + np.broadcast_to(np.asarray(min_effect, float), len(ratios))
    tested = [min(r.p_beyond(bound), r.p_beyond(1 / bound)) for r, bound in zip(ratios, above, strict=True)]
    adjusted = stats.false_discovery_control(tested) if tested else np.array([])
    return [_verdict(r, p, bound, 1 / bound) for r, p, bound in zip(ratios, adjusted, above, strict=True)]


def standard_error(block_values: Sequence[float] | np.ndarray) -> float:
    """Of a pass's log value, from one positive value a block; 0 where there are too few to tell."""
    logs = np.log(np.asarray(block_values, float))
    return float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else 0.0


def typical(samples: np.ndarray) -> float:
    """The median, which is reported as the time."""
    return float(np.median(samples))


def floor(samples: np.ndarray) -> float:
    """The 5th percentile, which noise moves least."""
    return float(np.quantile(samples, FLOOR_QUANTILE))


def high(samples: np.ndarray) -> float:
    """The 95th percentile."""
    return float(np.quantile(samples, HIGH_QUANTILE))


def _trimmed(logs: np.ndarray) -> tuple[float, float]:
    """The mean and its standard error, NaN from a single value, of sorted logs (n,): trimmed by a quarter at
    each end where there are TRIM_FROM, and winsorised likewise (Tukey & McLaughlin 1963)."""
    count, kept = len(logs), kept_of(len(logs))
    cut = (count - kept) // 2
    centre = float(logs[cut : count - cut].mean())
    if kept < 2:
        return centre, np.nan
    winsorised = np.clip(logs, logs[cut], logs[count - cut - 1])
    return centre, float(np.sqrt(((winsorised - winsorised.mean()) ** 2).sum() / (kept * (kept - 1))))


@lru_cache
def _t(probability: float, degrees: float) -> float:
    """Student's t quantile."""
    return float(stats.t.ppf(probability, degrees))


def kept_of(count: int) -> int:
    """How many of so many passes are not set aside."""
    return count - 2 * (count // TRIM_SHARE) if count >= TRIM_FROM else count


def _verdict(ratio: Estimate, p: float, above: float, below: float) -> str:
    significant = p <= (1 - CONFIDENCE) / 2
    if significant and ratio.low > above:
        return "faster"
    if significant and ratio.high < below:
        return "slower"
    if ratio.low >= below and ratio.high <= above:
        return "same"
    return "unclear"
