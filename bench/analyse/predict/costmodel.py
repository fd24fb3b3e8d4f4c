"""Predict the times of cells at sizes that a run did not measure, from the cells that it measured.

A contender's time in a phase is modelled as fixed + flops / rate + bytes / bandwidth (`fit`). The residuals, which come
from caches and kernels that change with size, vary smoothly with the work, and are interpolated between measured cells
(`Curve.predict`). Cross-validation by whole shapes (`_cross_validated`) shows the errors of predictions, from which the
intervals are made (`model`); leaving out more shapes checks these intervals (`validate`).

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
from bench.plan.work import unavoidable_bytes

LEVEL = 0.90
"""The confidence of a prediction's interval."""
MIN_SHAPES = 3
"""The fewest shapes of a contender in a phase from which it is predicted."""
FOLDS = 8
"""The most sets of shapes that cross-validation leaves out in turn."""
REACH_FACTOR = 4
"""The factor by which a prediction's size may lie beyond the measured sizes."""
SHRINKAGE = np.array([0.3, 0.1, 0.1])
"""The weights of the three terms' shares in the fit, which prefer small and even terms to large ones where both explain
the cells. The default grid has four shapes, and three terms without weights fit any three."""
SPREAD, RANGE, NOISE = 0.4, 2.0, 0.05
"""The residuals' standard deviation in logs, the distance in logs of work over which they are alike, and the standard
deviation between cells of the same work. Only their proportions matter: cross-validation scales the intervals."""
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
        """The terms of each cell: 1, flops and bytes, (cells, 3)."""
        return terms(self.shapes, self.phase, self.who[2], self.steps)

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
    """A contender fitted in a phase: seconds = fixed + flops · per_flop + bytes · per_byte, times a residual."""

    measured: Measured
    fixed_seconds: float
    seconds_per_flop: float
    seconds_per_byte: float

    @cached_property
    def coefficients(self) -> np.ndarray:
        return np.array([self.fixed_seconds, self.seconds_per_flop, self.seconds_per_byte])

    def predict(self, shapes: Sequence[Shape]) -> tuple[np.ndarray, np.ndarray]:
        """Return logs of seconds and their standard deviations, (shapes,), up to the scale that cross-validation finds.

        This is kriging with the cost model as its trend (Matheron 1963). The residual logs y are a Gaussian process
        with the covariance K between cells (`_covariances`), known with the noise S. At other shapes, whose covariances
        with the cells are k, its mean is k·(K + S)⁻¹·y and its variance K₀ + S₀ - k·(K + S)⁻¹·kᵀ, where K₀ and S₀ are
        those of a single cell (Rasmussen & Williams 2006, equations 2.25 and 2.26). The variance grows with the
        distance from measured cells.
        """
        measured = self.measured
        terms_at_shapes = terms(shapes, measured.phase, measured.who[2], measured.steps)
        covariances = _covariances(measured.terms, measured.terms) + np.diag(measured.errors**2 + NOISE**2)
        cross_covariances = _covariances(terms_at_shapes, measured.terms)
        weights = np.linalg.solve(covariances, cross_covariances.T).T
        residuals = measured.logs - np.log(measured.terms @ self.coefficients)
        variances = SPREAD**2 + NOISE**2 - (weights * cross_covariances).sum(axis=1)
        return np.log(terms_at_shapes @ self.coefficients) + weights @ residuals, np.sqrt(variances)


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


def terms(shapes: Sequence[Shape], phase: str, dtype: str, steps: int) -> np.ndarray:
    """Return the terms of a phase at each shape: 1, flops and unavoidable bytes, (shapes, 3)."""
    itemsize = np.dtype(dtype).itemsize
    rows = [(1, flops(shape, phase, steps), unavoidable_bytes(shape, phase, itemsize, steps)) for shape in shapes]
    return np.array(rows, float)


def fit(cells: Measured) -> Curve:
    """Fit the cost model by least squares of relative errors, with coefficients >= 0 that are shrunk towards 0.

    The relative error of a cell with the time t and the terms x (`terms`) is x·β/t - 1, and the j-th term's mean share
    of the times is bⱼ = βⱼ · mean of xⱼ/t. The β >= 0 that minimises Σ (x·β/t - 1)² + Σ (SHRINKAGEⱼ·bⱼ)² is found in b,
    by non-negative least squares (Lawson & Hanson 1974) with one more row for each share (ridge regression, Hoerl &
    Kennard 1970).

    >>> shapes = (Shape(64, 1000, 100), Shape(512, 1000, 100), Shape(64, 8000, 100))
    >>> steps = Measured(("numpy", "cpu", "float32", 2), "step", shapes, 1, np.log([1e-3, 7e-3, 7e-3]), np.zeros(3))
    >>> curve = fit(steps)
    >>> print(f"{curve.fixed_seconds * 1e6:.0f} µs, {1e-9 / curve.seconds_per_flop:.0f} Gflop/s")
    124 µs, 31 Gflop/s
    """
    relative = cells.terms / np.exp(cells.logs)[:, None]
    scales = relative.mean(axis=0)
    rows = np.vstack([relative / scales, np.diag(SHRINKAGE)])
    targets = np.concatenate([np.ones(len(relative)), np.zeros(len(SHRINKAGE))])
    shares, _ = optimize.nnls(rows, targets)
    return Curve(cells, *(float(value) for value in shares / scales))


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


def _covariances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the covariances (n, m) of cells' residuals, from their terms (n, 3) and (m, 3): the exponential kernel of
    the distance in logs of flops and bytes (Rasmussen & Williams 2006, 4.2.1)."""
    distances = spatial.distance.cdist(np.log(first[:, 1:]), np.log(second[:, 1:]))
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
