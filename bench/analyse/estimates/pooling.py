"""What the cells of a run tell of each other's noise.

Five passes know a cell's own variance so badly that Student's t takes 2.8 standard errors for one cell, and nine for
one of a hundred under false-discovery control. The cells of a run are timed in the same way in the same minutes, so
that each one's variance is drawn towards what is usual among them (moderated t: Smyth, Linear models and empirical
Bayes methods for assessing differential expression, 2004).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from .statistics import Estimate

FEWEST_CELLS = 5
"""Cells from which their spread tells what is usual."""
FEWEST_DEGREES = 2.0
"""Of freedom that a cell has of its own: less cannot tell how much the cells resemble each other."""
PRIOR_DEGREES = np.geomspace(0.5, 1000, 200)
"""That are tried; where the cells differ by less than the most of them explains, they share one variance."""
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Prior:
    """What is usual: a variance, and by how many degrees of freedom it is known for a cell."""

    variance: float
    degrees: float


def pooled(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Each estimate with its standard error drawn towards what is usual among them, and its interval with it.

    As they are where there are too few that have an error of their own. An error that is larger than chance among so
    many explains is drawn less, so that the others cannot hide a disturbed cell.
    """
    able = [
        place
        for place, one in enumerate(estimates)
        if one.freedom >= FEWEST_DEGREES and np.isfinite(one.error) and np.isfinite(one.value)
    ]
    if len(able) < FEWEST_CELLS:
        return [*estimates]
    errors = np.array([estimates[place].error for place in able])
    passes = np.array([estimates[place].passes for place in able])
    own = np.array([estimates[place].freedom for place in able])
    variances = np.square(errors) * passes  # of one pass, so that cells of more passes are like the others
    prior = usual(variances, own)
    if prior is None:
        return [*estimates]
    expected = len(able) * special.fdtrc(own, prior.degrees, variances / prior.variance)
    borrowed = prior.degrees * np.minimum(1.0, expected)
    drawn = (borrowed * prior.variance + own * variances) / (borrowed + own)
    most = own * max(1.0, independent([estimates[place].deviations for place in able]))
    degrees = np.minimum(borrowed + own, most)
    result = [*estimates]
    for place, variance, freedom, count in zip(able, drawn, degrees, passes, strict=True):
        result[place] = estimates[place].known_by(float(np.sqrt(variance / count)), float(freedom))
    return result


def usual(variances: np.ndarray, degrees: np.ndarray) -> Prior | None:
    """The prior of variances (cells,) with so many degrees of freedom (cells,): scaled F, whose median and distance of
    quartiles on the log scale are theirs, so that up to a quarter of the cells may be disturbed. None where more than
    half of them have no variance at all."""
    middle = float(np.median(variances))
    if middle <= 0:
        return None
    logs = np.log(np.maximum(variances, 1e-5 * middle))
    own = float(np.median(degrees))
    low, centre, high = _quartiles(own)
    apart = float(np.subtract(*np.quantile(logs, [QUARTILES[2], QUARTILES[0]])))
    best = int(np.argmin(np.abs(high - low - apart)))
    return Prior(float(np.exp(np.median(logs) - centre[best])), float(PRIOR_DEGREES[best]))


@lru_cache
def _quartiles(degrees: float) -> np.ndarray:
    """Of the logs of F with so many degrees of freedom over each of PRIOR_DEGREES: (quartile, prior)."""
    return np.log(special.fdtri(degrees, PRIOR_DEGREES, np.array(QUARTILES)[:, None]))


def independent(deviations: Sequence[Sequence[float]]) -> float:
    """How many independent cells these tell as much as: what slows a pass slows all of its cells.

    From the mean of their squared correlations ρ², less what chance gives, 1 / (n - 1) of n values: the variances of
    m cells of which every two correlate by ρ vary together like those of m / (1 + (m - 1)·ρ²).
    """
    counts = Counter(map(len, deviations))
    length = max(counts, key=lambda size: (counts[size], size))
    alike = np.array([one for one in deviations if len(one) == length])
    scales = np.linalg.norm(alike, axis=1)
    alike = alike[scales > 0] / scales[scales > 0, None]
    if len(alike) < 2 or length < 3:
        return 1.0
    squares = np.square(alike @ alike.T)
    mean = (squares.sum() - len(alike)) / (len(alike) * (len(alike) - 1))
    chance = 1 / (length - 1)
    shared = max(0.0, (mean - chance) / (1 - chance))
    return len(deviations) / (1 + (len(deviations) - 1) * shared)
