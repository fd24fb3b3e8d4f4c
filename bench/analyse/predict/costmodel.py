"""Predict the times of cells at sizes that a run did not measure, from the cells that it measured.

A contender's time in a phase is modelled as a sum of positive terms: a fixed time, one in proportion to the flops, and
one for each kind of array that is moved (`fit`). The residuals, which come from caches and kernels that change with
size, vary smoothly with the terms, and are interpolated between measured cells (`Curve.posterior`). Cross-validation by
whole shapes (`_cross_validated`) shows the errors of predictions, from which the intervals are made (`model`); leaving
out more shapes checks these intervals (`validate`).

    cells = measured(timings)
    model(cells).predict(("numpy", "cpu", "float32", 2), "step", Shape(128, 2000, 200)).seconds
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, exp, expm1, inf, nan

import numpy as np
import pandas as pd
from scipy import optimize, spatial, stats

from bench.analyse.estimates.statistics import CONFIDENCE
from bench.analyse.run.suspicion import trusted
from bench.plan.cells import Shape, flops
from bench.plan.work import elements

LEVEL = 0.90
"""The confidence of a prediction's interval."""
MIN_SHAPES = 3
"""The fewest shapes of a contender in a phase from which it is predicted."""
FOLDS = 8
"""The most sets of shapes that cross-validation leaves out in turn."""
REACH_FACTOR = 4
"""The factor by which a prediction's size may lie beyond the measured sizes."""
PRIOR_SHARES = np.array([0.1, 0.5, 0.15, 0.15, 0.15])
"""The share of its time that each term of a cell has before anything is known of it."""
PRIOR_SPREADS = np.array([2.0, 0.3, 0.7, 0.7, 0.7])
"""The standard deviations of the logs of `PRIOR_SHARES`. The default grid has no more shapes than there are terms, and
without such a prior they would fit anything."""
SPREAD, RANGE, NOISE = 0.3, 6.0, 0.08
"""The residuals' standard deviation in logs, the distance in logs of the terms over which they are alike, and the
standard deviation between cells of the same terms. Only their proportions to each other and to `PRIOR_SPREADS` matter:
cross-validation scales the intervals."""
KEY = ["implementation", "device", "dtype", "threads"]
AXES = ["N", "D_in", "H", "D_out"]

Who = tuple[str, str, str, int]
"""A contender: implementation, device, dtype and threads in force."""


@dataclass(frozen=True)
class Measured:
    """The measured cells of a contender in a phase."""

    who: Who
    phase: str
    shapes: tuple[Shape, ...]
    steps: int
    """The steps in one `train`."""
    logs: np.ndarray
    """The logs of seconds, (cells,)."""
    errors: np.ndarray
    """The standard errors of `logs`, (cells,)."""

    @cached_property
    def terms(self) -> np.ndarray:
        """The terms of each cell, (cells, terms)."""
        return terms(self.shapes, self.phase, self.steps)

    def of(self, shapes: Iterable[Shape]) -> Measured | None:
        """Return the cells at some shapes; None where there are none."""
        wanted = set(shapes)
        indices = [index for index, shape in enumerate(self.shapes) if shape in wanted]
        if not indices:
            return None
        kept = tuple(self.shapes[index] for index in indices)
        return replace(self, shapes=kept, logs=self.logs[indices], errors=self.errors[indices])


@dataclass(frozen=True)
class Curve:
    """A contender fitted in a phase: seconds = terms · coefficients, times a residual."""

    measured: Measured
    coefficients: np.ndarray
    """The seconds for one unit of each term, (terms,)."""

    def predict(self, shapes: Sequence[Shape]) -> tuple[np.ndarray, np.ndarray]:
        """Return logs of seconds and their standard deviations, (shapes,), up to the scale that `model` finds."""
        means, covariances = self.posterior(shapes)
        return means, np.sqrt(np.diag(covariances) + NOISE**2)

    def posterior(self, shapes: Sequence[Shape]) -> tuple[np.ndarray, np.ndarray]:
        """Return the logs of seconds, (shapes,), and their covariances, (shapes, shapes), up to that scale.

        This is kriging with the cost model as its trend (Matheron 1963). The residual logs y are a Gaussian process
        with the covariances K between cells (`_covariances`), known with the noise S; k are those of other shapes with
        the cells, and W = k·(K + S)⁻¹. The trend is linear in the logs of its coefficients near the fit: its gradients
        are the terms' shares of the time, A at the cells and B at the shapes, and P is the prior's diagonal covariance.
        Then the means are trend + W·y, and the covariances K₀ - W·kᵀ + (B - W·A)·(Aᵀ·(K + S)⁻¹·A + P⁻¹)⁻¹·(B - W·A)ᵀ,
        where K₀ are those between the shapes (Rasmussen & Williams 2006, equation 2.42). They grow with the distance
        from the measured cells, and where a term counts that these do not show.
        """
        measured = self.measured
        terms_at_shapes = terms(shapes, measured.phase, measured.steps)
        known, cross = _known(measured), _covariances(terms_at_shapes, measured.terms)
        weights = np.linalg.solve(known, cross.T).T
        trend, trend_at_shapes = measured.terms @ self.coefficients, terms_at_shapes @ self.coefficients
        shares = measured.terms * self.coefficients / trend[:, None]
        unexplained = terms_at_shapes * self.coefficients / trend_at_shapes[:, None] - weights @ shares
        uncertain = np.linalg.inv(shares.T @ np.linalg.solve(known, shares) + np.diag(PRIOR_SPREADS**-2))
        covariances = _covariances(terms_at_shapes, terms_at_shapes) - weights @ cross.T
        return (
            np.log(trend_at_shapes) + weights @ (measured.logs - np.log(trend)),
            covariances + unexplained @ uncertain @ unexplained.T,
        )


@dataclass(frozen=True)
class Prediction:
    """Predicted seconds with their 90 % interval."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """The standard deviations, in logs, that make the interval of a prediction, and of two contenders' ratio."""

    single: float
    ratio: float


@dataclass(frozen=True)
class Validation:
    """The errors of predictions of cells whose shape was left out."""

    cells: int
    inside: float
    """The share of cells that lay within their interval, which was made without their shape."""
    typical_error: float
    """The median of the relative errors."""
    typical_half_width: float
    """The median of the intervals' relative half-widths."""


@dataclass(frozen=True)
class CostModel:
    """The fitted contenders of a run, and the scale of their intervals."""

    curves: dict[tuple[Who, str], Curve]
    scale: Scale

    def predict(self, who: Who, phase: str, shape: Shape) -> Prediction:
        """Return the prediction of a cell of a fitted contender."""
        means, spreads = self.curves[who, phase].predict([shape])
        mean, spread = float(means[0]), float(spreads[0])
        reach = self.scale.single * spread
        return Prediction(exp(mean), exp(mean - reach), exp(mean + reach))


def measured(timings: pd.DataFrame) -> list[Measured]:
    """Return the timed cells of a run, by contender and phase, in the order of their first rows."""
    timed = timings[trusted(timings)].drop_duplicates([*KEY, *AXES, "phase"])
    return [_measured(rows) for _, rows in timed.groupby([*KEY, "phase"], sort=False, observed=True)]


def terms(shapes: Sequence[Shape], phase: str, steps: int) -> np.ndarray:
    """Return the terms of a phase at each shape, (shapes, 5): 1, the flops, and the elements of x, of both weights, and
    of h and y. An update has only weights.

    A matrix product that is slower where one of its sizes is small (Hockney's half-performance length) takes time in
    proportion to the product of the other two sizes as well, as moving an array does.
    """
    rows = []
    for shape in shapes:
        x, y, w1, w2, h = elements(shape)
        arrays = (0, w1 + w2, 0) if phase == "update" else (x, w1 + w2, h + y)
        rows.append((1, flops(shape, phase, steps), *(steps * size for size in arrays)))
    return np.array(rows, float)


def fit(cells: Measured) -> Curve:
    """Fit the cost model: its coefficients' most likely values, all positive, given the cells and the prior.

    The log of the j-th coefficient is normal, with the standard deviation PRIOR_SPREADSⱼ, about that of the coefficient
    with which the term has the share PRIOR_SHARESⱼ of the cells' times, on average. The logs of seconds are normal
    about the trend's, with the covariances K + S of `Curve.posterior`. That is least squares (Levenberg–Marquardt).

    >>> shapes = (Shape(64, 1000, 100), Shape(512, 1000, 100), Shape(64, 8000, 100))
    >>> steps = Measured(("numpy", "cpu", "float32", 2), "step", shapes, 1, np.log([1e-3, 7e-3, 7e-3]), np.zeros(3))
    >>> fixed, per_flop, *_ = fit(steps).coefficients
    >>> print(f"{fixed * 1e6:.0f} µs, {1e-9 / per_flop:.0f} Gflop/s")
    115 µs, 55 Gflop/s
    """
    used = cells.terms.any(axis=0)
    used_terms, prior_spreads = cells.terms[:, used], PRIOR_SPREADS[used]
    prior = np.log(PRIOR_SHARES[used] / (used_terms / np.exp(cells.logs)[:, None]).mean(axis=0))
    whitening = np.linalg.inv(np.linalg.cholesky(_known(cells)))

    def misfits(logs: np.ndarray) -> np.ndarray:
        errors = whitening @ (np.log(used_terms @ np.exp(logs)) - cells.logs)
        return np.concatenate([errors, (logs - prior) / prior_spreads])

    def gradients(logs: np.ndarray) -> np.ndarray:
        seconds = used_terms * np.exp(logs)
        return np.vstack([whitening @ (seconds / seconds.sum(axis=1, keepdims=True)), np.diag(1 / prior_spreads)])

    coefficients = np.zeros(len(PRIOR_SHARES))
    coefficients[used] = np.exp(optimize.least_squares(misfits, prior, gradients, method="lm").x)
    return Curve(cells, coefficients)


def model(cells: Sequence[Measured]) -> CostModel:
    """Fit every contender in every phase with enough shapes to all of its cells.

    Intervals have as many standard deviations as cover 90 % of the cells when their shape is left out, over all
    contenders and phases (split and jackknife conformal prediction with locally scaled residuals: Lei et al. 2018,
    Barber et al. 2021). Raises ValueError where no contender has enough shapes.
    """
    predictable = _predictable(cells)
    if not predictable:
        raise ValueError(f"predicting needs a contender that was timed at {MIN_SHAPES} shapes or more")
    curves = {(each.who, each.phase): fit(each) for each in predictable}
    return CostModel(curves, _scale(_cross_validated(predictable)))


def validate(cells: Sequence[Measured]) -> Validation:
    """Predict the cells of each set of shapes from the other cells, and return how good the predictions are.

    The result is NaN where there are so few shapes that two sets cannot be left out at once.
    """
    missed = [_missed_with_reach(inside, outside) for inside, outside in _folds(_predictable(cells))]
    counted = [rows for rows in missed if not rows.empty]
    if not counted:
        return Validation(0, nan, nan, nan)
    rows = pd.concat(counted)
    errors, reaches = rows["error"].abs(), rows["reach"]
    within = float((errors <= reaches).mean())
    return Validation(len(rows), within, _relative(errors.median()), _relative(reaches.median()))


def refuse_beyond(cells: Sequence[Measured], shape: Shape, phase: str, command: str) -> None:
    """Raise ValueError, with the `command` that measures it, where a size or the work is `beyond` the cells."""
    if complaint := beyond(cells, shape, phase):
        raise ValueError(f"{complaint}; measure it: {command}")


def beyond(cells: Sequence[Measured], shape: Shape, phase: str) -> str:
    """Return which size, or the work, lies over `REACH_FACTOR` times beyond the measured cells, like `N=2,049 lies over
    4 times beyond the measured 64 to 512`; empty where none does."""
    measured_shapes = list(dict.fromkeys(shape for each in cells for shape in each.shapes))
    sizes = [(axis, getattr(shape, axis), [getattr(each, axis) for each in measured_shapes]) for axis in AXES]
    work = (f"flops of a {phase}", flops(shape, phase), [flops(each, phase) for each in measured_shapes])
    for name, asked, measured_values in [*sizes, work]:
        low, high = min(measured_values), max(measured_values)
        if not low / REACH_FACTOR <= asked <= high * REACH_FACTOR:
            extent = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            return f"{name}={asked:,} lies over {REACH_FACTOR} times beyond the measured {extent}"
    return ""


def _measured(rows: pd.DataFrame) -> Measured:
    """Return the measured cells in the rows of one contender in one phase.

    The standard error of a log is that of a normal distribution with its interval, and 0 where a single pass has no
    interval.
    """
    first = rows.iloc[0]
    who: Who = (str(first["implementation"]), str(first["device"]), str(first["dtype"]), int(first["threads"]))
    shapes = tuple(Shape(*map(int, sizes)) for sizes in rows[AXES].to_numpy())
    widths = np.log(rows["seconds_high"].to_numpy()) - np.log(rows["seconds_low"].to_numpy())
    errors = np.nan_to_num(widths / 2 / stats.norm.ppf((1 + CONFIDENCE) / 2), nan=0.0, posinf=0.0)
    return Measured(who, str(first["phase"]), shapes, _steps(rows), np.log(rows["seconds"].to_numpy()), errors)


def _steps(rows: pd.DataFrame) -> int:
    """Return the steps in one `train`, from the rate in its row; 1 for other phases."""
    first = rows.iloc[0]
    shape = Shape(*(int(first[axis]) for axis in AXES))
    return max(1, round(first["gflops"] * 1e9 * first["seconds"] / flops(shape, str(first["phase"]))))


def _known(cells: Measured) -> np.ndarray:
    """Return the covariances (cells, cells) of measured logs about the trend: the residuals' and the noise."""
    return _covariances(cells.terms, cells.terms) + np.diag(cells.errors**2 + NOISE**2)


def _covariances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the covariances (n, m) of cells' residuals, from their terms (n, terms) and (m, terms): the exponential
    kernel of the distance in logs of the terms that they have (Rasmussen & Williams 2006, 4.2.1)."""
    used = first.any(axis=0)
    distances = spatial.distance.cdist(np.log(first[:, used]), np.log(second[:, used]))
    return SPREAD**2 * np.exp(-distances / RANGE)


def _predictable(cells: Sequence[Measured]) -> list[Measured]:
    return [each for each in cells if len(each.shapes) >= MIN_SHAPES]


def _folds(cells: Sequence[Measured]) -> Iterator[tuple[list[Measured], list[Measured]]]:
    """Yield the cells that stay and those that are left out. Each shape is left out once, of all contenders; one at a
    time where there are at most FOLDS."""
    shapes = sorted({shape for each in cells for shape in each.shapes})
    count = min(FOLDS, len(shapes))
    for fold in range(count):
        left_out = set(shapes[fold::count])
        stays = [each.of(set(shapes) - left_out) for each in cells]
        leaves = [each.of(left_out) for each in cells]
        # Contenders that have nothing at these shapes still show the errors of others' predictions.
        yield (
            [inside for inside in stays if inside],
            [outside for inside, outside in zip(stays, leaves, strict=True) if inside and outside],
        )


def _cross_validated(cells: Sequence[Measured]) -> pd.DataFrame:
    """Return the error of each cell (`_missed`), predicted without the cells of its set of shapes."""
    missed = [_missed(inside, outside) for inside, outside in _folds(cells)]
    return pd.concat(missed) if missed else pd.DataFrame()


def _missed(inside: Sequence[Measured], outside: Sequence[Measured]) -> pd.DataFrame:
    """Return `who`, `phase`, `shape`, `error` (in logs) and `spread` of cells that are predicted from others."""
    by_contender = {(each.who, each.phase): each for each in inside}
    rows = []
    for each in outside:
        means, spreads = fit(by_contender[each.who, each.phase]).predict(each.shapes)
        errors = each.logs - means
        rows += [(each.who, each.phase, *row) for row in zip(each.shapes, errors, spreads, strict=True)]
    return pd.DataFrame(rows, columns=["who", "phase", "shape", "error", "spread"])


def _missed_with_reach(inside: Sequence[Measured], outside: Sequence[Measured]) -> pd.DataFrame:
    """Return `_missed` and the interval's `reach`, scaled by cross-validation of the cells `inside` alone; empty where
    these have no shape that can be left out."""
    try:
        scale = _scale(_cross_validated(inside))
    except ValueError:
        return pd.DataFrame()
    missed = _missed(inside, outside)
    return missed.assign(reach=scale.single * missed["spread"])


def _scale(missed: pd.DataFrame) -> Scale:
    """Return the scale of intervals: of one prediction from the errors over their spreads, of a ratio from every two
    contenders at a shape in a phase, the errors' difference over both spreads. Raises ValueError without errors."""
    if missed.empty:
        raise ValueError("no shape can be left out to learn how far predictions miss")
    ratios = []
    for _, rows in missed.groupby(["shape", "phase"], sort=False):
        errors, spreads = rows["error"].to_numpy(), rows["spread"].to_numpy()
        first, second = np.triu_indices(len(rows), 1)
        ratios.append(np.abs(errors[first] - errors[second]) / np.hypot(spreads[first], spreads[second]))
    singles = (missed["error"].abs() / missed["spread"]).to_numpy()
    return Scale(_quantile(singles), _quantile(np.concatenate(ratios)))


def _quantile(scores: np.ndarray) -> float:
    """Return the ⌈0.9·(n + 1)⌉th smallest score, which covers a further score in 90 % (Lei et al. 2018, section 2.2);
    from fewer than nine, which have none, Student's t quantile times their root mean square."""
    count = len(scores)
    if count == 0:
        return inf
    rank = ceil((count + 1) * LEVEL)
    if rank <= count:
        return float(np.sort(scores)[rank - 1])
    return float(stats.t.ppf((1 + LEVEL) / 2, count) * np.sqrt(np.mean(np.square(scores))))


def _relative(log_ratio: float) -> float:
    return expm1(log_ratio)
