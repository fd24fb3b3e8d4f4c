"""Find where a series of timings changes level, by exact penalised L1 segmentation of its logs.

The cost is the sum of distances from each segment's median, which a few slow values hardly move. Its minimum is
found by optimal partitioning (Jackson et al. 2005).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from .statistics import MIN_EFFECT

MIN_SIZE = 3
"""The fewest values in a segment: two slow ones in a row are no segment."""
FACTOR = 1.75
"""The penalty's factor, simulated: in 2000 series of 100 values with 2 % noise and 5 % outliers, a step of 5 % is found
within 2 values in 93 %, and there are 0.07 other changes; without a step 0.01, at an autocorrelation of 0.6 0.02."""
REACH = 4.0
"""The noise scales from the running median at which values are clipped."""
MOST_CORRELATED = 0.9
LAGS = (2, 3)
"""The lags whose differences are compared with those at lag 1."""
Q_N = 2.2191
"""The factor that makes Q_n the standard deviation of Gaussian values (Rousseeuw & Croux 1993)."""
NO_SERIES = "series: a change point needs one row of positive, finite values"
LONGEST = 80
"""The values of the longest series that is looked at together with others, before it is partitioned by itself."""
ROUNDING = 1e-9
"""The relative error of a sum of distances that rounding may make, and much more."""
FINEST = 0.1
"""The smallest noise that is assumed, as a share of the minimum effect."""


@dataclass(frozen=True)
class Noise:
    """The noise of logs about their level: its standard deviation and its autocorrelation at lag 1, of one series, or
    of many in arrays."""

    scale: float | np.ndarray
    correlation: float | np.ndarray = 0.0
    inflation: float | np.ndarray = 1.0
    """The factor by which what else neighbours share raises the signs' long-run variance."""

    @property
    def long_run(self) -> float | np.ndarray:
        """The scale times the long-run variance of the signs, on which L1's gain from a needless split depends.

        That variance is of a Gaussian AR(1), whose signs have the autocorrelations 2/π·asin(ρ^k) (Sheppard 1899)."""
        powers = np.asarray(self.correlation)[..., None] ** np.arange(1, 200)
        return self.inflation * self.scale * (1 + 2 * (2 / math.pi * np.arcsin(powers)).sum(axis=-1))

    def of(self, rows: np.ndarray) -> Noise:
        """Return the noise of some of many series, which `rows` (series,) is True for."""
        return Noise(
            *(np.broadcast_to(each, rows.shape)[rows] for each in (self.scale, self.correlation, self.inflation))
        )


def segment(
    series: Sequence[float] | np.ndarray,
    *,
    noise: Noise | None = None,
    factor: float = FACTOR,
    min_size: int = MIN_SIZE,
    min_effect: float = MIN_EFFECT,
) -> list[int]:
    """Return where new segments begin in a series (n,) of positive values; none where it keeps its level.

    A change costs `factor` × the noise's long-run scale × log n. Segments have at least `min_size` values, and
    neighbours whose medians differ by less than `min_effect` (relative) are one. `noise` is estimated from the
    series unless it is known. Raises ValueError for values that are not positive and finite.
    """
    values = np.asarray(series, float)
    if values.ndim != 1:
        raise ValueError(NO_SERIES)
    return segments(values[None], noise=noise, factor=factor, min_size=min_size, min_effect=min_effect)[0]


def segments(
    series: np.ndarray,
    *,
    noise: Noise | None = None,
    factor: float = FACTOR,
    min_size: int = MIN_SIZE,
    min_effect: float = MIN_EFFECT,
) -> list[list[int]]:
    """Return where new segments begin in each of many series (series, n), as `segment` does for one."""
    if not (np.isfinite(series) & (series > 0)).all():
        raise ValueError(NO_SERIES)
    rows, count = series.shape
    if count < 2 * min_size:
        return [[] for _ in range(rows)]
    logs, least = np.log(series), math.log1p(min_effect)
    known = noise or noise_of(logs)
    known = replace(known, scale=np.maximum(known.scale, FINEST * least))
    penalties = np.broadcast_to(factor * known.long_run * math.log(count), rows)
    reaches = np.broadcast_to(REACH * np.asarray(known.scale), rows)
    calm = _without_outliers(logs, reaches[:, None], min_size)
    may_change = _may_change(calm, penalties, min_size)
    return [
        _merged(logs[row], partition(calm[row], penalties[row], min_size), least) if may_change[row] else []
        for row in range(rows)
    ]


def partition(values: Sequence[float] | np.ndarray, penalty: float, min_size: int = MIN_SIZE) -> list[int]:
    """Return where segments begin, except the first, so that the sum of L1 costs and penalties is smallest."""
    values = np.asarray(values, float)
    count = len(values)
    costs = _costs(values - np.median(values)) if count else np.zeros((0, 1))
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    begins = np.zeros(count + 1, int)
    for end in range(min_size, count + 1):
        totals = best[: end - min_size + 1] + costs[: end - min_size + 1, end]
        begins[end] = int(totals.argmin())
        best[end] = totals[begins[end]] + penalty
    begins_found = []
    end = count
    while begins[end] > 0:
        end = int(begins[end])
        begins_found.append(end)
    return begins_found[::-1]


def noise_of(*parts: np.ndarray) -> Noise:
    """Estimate the noise of a series of logs (n,), or of parts with levels of their own, from the differences within
    them, whose scale a few steps or outliers hardly change. Parts (series, n) are of many series.

    In an AR(1) the variance of differences over k values is 2σ²(1 - ρ^k), so that those over 2 and 3 have
    1 + ρ and 1 + ρ + ρ² times the variance of those over 1.
    """
    nearest, *wider = (
        _scale(np.concatenate([part[..., lag:] - part[..., :-lag] for part in parts], axis=-1)) for lag in (1, *LAGS)
    )
    if max(part.shape[-1] for part in parts) <= max(LAGS) + 1:
        return Noise(nearest / math.sqrt(2))
    with np.errstate(divide="ignore", invalid="ignore"):
        twice, thrice = ((scale / nearest) ** 2 for scale in wider)
    by_two, by_three = twice - 1, (np.sqrt(np.maximum(4 * thrice - 3, 0)) - 1) / 2
    correlation = np.where(nearest == 0, 0.0, np.clip((by_two + by_three) / 2, 0.0, MOST_CORRELATED))[()]
    return Noise(nearest / np.sqrt(2 * (1 - correlation)), correlation)


def _scale(differences: np.ndarray) -> float | np.ndarray:
    """Return the standard deviation of (n,) or of each row (rows, n) by Q_n: the lower quartile of all pairwise
    distances (Rousseeuw & Croux 1993)."""
    count = differences.shape[-1]
    if count < 2:
        return np.zeros(differences.shape[:-1])[()]
    half = count // 2 + 1
    nearest = half * (half - 1) // 2 - 1
    first, second = np.triu_indices(count, 1)
    distances = np.abs(differences[..., first] - differences[..., second])
    return Q_N * np.partition(distances, nearest, axis=-1)[..., nearest]


def _without_outliers(logs: np.ndarray, reaches: np.ndarray, min_size: int) -> np.ndarray:
    """Clip series of logs (series, n) about the running median, whose window is such that segments of `min_size` keep
    their level, to at most `reaches` (series, 1) from it."""
    middle = ndimage.median_filter(logs, size=(1, 2 * min_size - 1), mode="reflect")
    return np.clip(logs, middle - reaches, middle + reaches)


def _may_change(series: np.ndarray, penalties: np.ndarray, min_size: int) -> np.ndarray:
    """Tell for each of many series (series, n) whether `partition` may find a change: False only where one segment
    costs less than any other partition, by more than rounding explains.

    It is the same optimal partitioning, for all series at once, which has no need to know the begins. A segment's
    distances from its median add up to the gaps between neighbours in the order of all values, each as often as there
    are values of the segment below or above it, whichever are fewer.
    """
    rows, count = series.shape
    if count > LONGEST:
        return np.ones(rows, bool)
    ordered = np.sort(series, axis=1)
    gaps = np.diff(ordered, axis=1)
    below = np.zeros((rows, count - 1, count + 1), np.int16)
    np.cumsum(series[:, None] <= ordered[:, :-1, None], axis=2, out=below[:, :, 1:])
    best = np.empty((rows, count + 1))
    best[:, 0] = -penalties
    for end in range(min_size, count + 1):
        starts = np.array([0, *range(min_size, end - min_size + 1)])
        of_segment = below[:, :, end, None] - below[:, :, starts]
        fewer = np.minimum(of_segment, (end - starts).astype(np.int16) - of_segment)
        totals = best[:, starts] + np.einsum("rg,rgs->rs", gaps, fewer)
        best[:, end] = totals.min(axis=1) + penalties
    rounding = ROUNDING * (penalties + count * gaps.sum(axis=1))
    return totals[:, 1:].min(axis=1) <= totals[:, 0] + rounding


def _costs(values: np.ndarray) -> np.ndarray:
    """Return costs (n, n + 1): at [s, e] the sum of the distances of values[s:e] from their median."""
    count = len(values)
    numbers = values.tolist()
    costs = np.full((count, count + 1), np.inf)
    for start in range(count):
        ordered: list[float] = []
        total = lower = 0.0
        row = []
        for count_before, number in enumerate(numbers[start:]):
            half = count_before // 2
            index = bisect_right(ordered, number)
            ordered.insert(index, number)
            total += number
            if index < half:
                lower += number - ordered[half]
            if count_before % 2:
                lower += ordered[half]
                row.append(total - 2 * lower)
            else:
                row.append(total - 2 * lower - ordered[half])
        costs[start, start + 1 :] = row
    return costs


def _merged(logs: np.ndarray, begins: list[int], least: float) -> list[int]:
    """Remove the smallest change between medians until every one is at least `least`."""
    begins = list(begins)
    while begins:
        levels = [np.median(part) for part in np.split(logs, begins)]
        changes = np.abs(np.diff(levels))
        smallest = int(changes.argmin())
        if changes[smallest] >= least:
            break
        del begins[smallest]
    return begins
