"""Estimates with their uncertainty. The process, one a pass, is the unit of replication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FLOOR_QUANTILE = 0.05
HIGH_QUANTILE = 0.95
MIN_EFFECT = 0.02
"""A relative difference too small to matter, as a fraction."""
TRIM_FROM = 5
"""Passes from which the smallest and the largest are set aside, so that one bad pass cannot decide."""


@dataclass(frozen=True)
class Estimate:
    """A positive quantity, its 95 % interval (NaN from a single pass), and the passes behind it."""

    value: float
    low: float
    high: float
    passes: int

    def p_beyond(self, bound: float) -> float:
        """One-sided p-value for lying beyond `bound` (> 1: above it, < 1: below it); 1 where untestable."""
        degrees = _kept(self.passes) - 1
        width = np.log(self.high) - np.log(self.low)
        if degrees < 1 or not np.isfinite(width):
            return 1.0
        away = (np.log(self.value) - np.log(bound)) * (1 if bound > 1 else -1)
        if width == 0:
            return 0.0 if away > 0 else 1.0
        error = width / 2 / stats.t.ppf((1 + CONFIDENCE) / 2, degrees)
        return float(stats.t.sf(away / error, degrees))


UNKNOWN = Estimate(np.nan, np.nan, np.nan, 0)


def estimate(per_pass: Sequence[float] | np.ndarray, within: Sequence[float] = ()) -> Estimate:
    """Of one positive value a pass: the mean of logs with Student's t interval, and from five passes
    on the trimmed mean with its winsorised standard error (Tukey & McLaughlin 1963; Yuen 1974).

    `within` has each log's standard error as its own blocks tell it. The interval is no narrower than
    these alone would make it: a few passes may agree by chance, better than any of them is known.
    """
    logs = np.sort(np.log(np.asarray(per_pass, float)))
    count = len(logs)
    if count == 0:
        return UNKNOWN
    kept = _kept(count)
    cut = (count - kept) // 2
    centre = logs[cut : count - cut].mean()
    if kept < 2:
        return Estimate(float(np.exp(centre)), np.nan, np.nan, count)
    winsorised = np.clip(logs, logs[cut], logs[count - cut - 1])
    error = np.sqrt(((winsorised - winsorised.mean()) ** 2).sum() / (kept * (kept - 1)))
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, kept - 1) * error
    if len(within):
        known = np.sqrt(np.mean(np.square(within)) / kept)
        reach = max(reach, stats.norm.ppf((1 + CONFIDENCE) / 2) * known)
    return Estimate(float(np.exp(centre)), float(np.exp(centre - reach)), float(np.exp(centre + reach)), count)


def verdicts(ratios: Sequence[Estimate], min_effect: float = MIN_EFFECT) -> list[str]:
    """Of each speed-up over its baseline: `faster` or `slower` only where its interval lies wholly
    beyond the minimum effect and it survives false-discovery control over all of them (Benjamini &
    Hochberg 1995); `same` only where the interval lies wholly within; else `unclear`."""
    above, below = 1 + min_effect, 1 / (1 + min_effect)
    tested = [min(r.p_beyond(above), r.p_beyond(below)) for r in ratios]
    adjusted = stats.false_discovery_control(tested) if tested else np.array([])
    return [_verdict(r, p, above, below) for r, p in zip(ratios, adjusted, strict=True)]


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


def _kept(count: int) -> int:
    return count - 2 if count >= TRIM_FROM else count


def _verdict(ratio: Estimate, p: float, above: float, below: float) -> str:
    significant = p <= (1 - CONFIDENCE) / 2
    if significant and ratio.low > above:
        return "faster"
    if significant and ratio.high < below:
        return "slower"
    if ratio.low >= below and ratio.high <= above:
        return "same"
    return "unclear"
