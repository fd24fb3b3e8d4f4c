"""Standard errors pooled over the cells of a run.

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
from math import isfinite

import numpy as np
from scipy import special

from .statistics import Estimate

FEWEST_CELLS = 5
"""The smallest number of cells whose spread tells the usual variance."""
FEWEST_DEGREES = 2.0
"""The smallest number of degrees of freedom with which a cell takes part: fewer cannot tell how alike cells are."""
PRIOR_DEGREES = np.geomspace(0.5, 1000, 200)
"""The degrees of freedom that are tried. Cells that differ by less than the last explains share one variance."""
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Prior:
    """The usual variance, and the degrees of freedom with which it is known for a cell."""

    variance: float
    degrees: float


def pooled(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return each estimate with its standard error drawn towards the usual one among them, and with its new interval.

    The estimates are returned unchanged where too few have an error of their own. An error that is larger than chance
    among so many explains is drawn less, so that the others cannot hide a disturbed cell.
    """
    indices = [
        index
        for index, estimated in enumerate(estimates)
        if estimated.freedom >= FEWEST_DEGREES and isfinite(estimated.error) and isfinite(estimated.value)
    ]
    if len(indices) < FEWEST_CELLS:
        return [*estimates]
    errors = np.array([estimates[index].error for index in indices])
    passes = np.array([estimates[index].passes for index in indices])
    own = np.array([estimates[index].freedom for index in indices])
    variances = np.square(errors) * passes  # of one pass, so that cells of more passes are like the others
    prior = usual(variances, own)
    if prior is None:
        return [*estimates]
    expected = len(indices) * special.fdtrc(own, prior.degrees, variances / prior.variance)
    borrowed = prior.degrees * np.minimum(1.0, expected)
    drawn_variances = (borrowed * prior.variance + own * variances) / (borrowed + own)
    most_degrees = own * max(1.0, independent([estimates[index].deviations for index in indices]))
    degrees = np.minimum(borrowed + own, most_degrees)
    result = [*estimates]
    drawn = np.sqrt(drawn_variances / passes).tolist()
    for index, error, freedom in zip(indices, drawn, degrees.tolist(), strict=True):
        result[index] = estimates[index].known_by(error, freedom)
    return result


def usual(variances: np.ndarray, degrees: np.ndarray) -> Prior | None:
    """Return the prior of variances (cells,) with their degrees of freedom (cells,); None where most are 0.

    It is a scaled F distribution with the variances' median and distance of quartiles on the log scale, so that up to a
    quarter of the cells may be disturbed.
    """
    middle = float(np.median(variances))
    if middle <= 0:
        return None
    logs = np.log(np.maximum(variances, 1e-5 * middle))
    own = float(np.median(degrees))
    low, centre, high = _quartiles(own)
    quartile_distance = float(np.subtract(*np.quantile(logs, [QUARTILES[2], QUARTILES[0]])))
    best = int(np.argmin(np.abs(high - low - quartile_distance)))
    return Prior(float(np.exp(np.median(logs) - centre[best])), float(PRIOR_DEGREES[best]))


@lru_cache
def _quartiles(degrees: float) -> np.ndarray:
    """Return the quartiles of the logs of F with `degrees` over each of PRIOR_DEGREES: (quartile, prior)."""
    return np.log(special.fdtri(degrees, PRIOR_DEGREES, np.array(QUARTILES)[:, None]))


def independent(deviations: Sequence[Sequence[float]]) -> float:
    """Return the number of independent cells that carry as much information: what slows a pass slows all its cells.

    It follows from the mean of the cells' squared correlations ρ², less what chance gives, 1 / (n - 1) of n values: the
    variances of m cells of which every two correlate by ρ vary together like those of m / (1 + (m - 1)·ρ²) cells.
    """
    counts = Counter(map(len, deviations))
    length = max(counts, key=lambda size: (counts[size], size))
    rows = np.array([row for row in deviations if len(row) == length])
    scales = np.linalg.norm(rows, axis=1)
    rows = rows[scales > 0] / scales[scales > 0, None]
    if len(rows) < 2 or length < 3:
        return 1.0
    # The squares of the correlations of all pairs of cells have the sum of those of the few pairs of passes.
    squares = np.square(rows.T @ rows)
    mean = (squares.sum() - len(rows)) / (len(rows) * (len(rows) - 1))
    chance = 1 / (length - 1)
    shared = max(0.0, (mean - chance) / (1 - chance))
    return len(deviations) / (1 + (len(deviations) - 1) * shared)
