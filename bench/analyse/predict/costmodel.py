"""What a cell would take at sizes that were never measured, from the cells of a run that were. Pure.

A contender's time in a phase is fixed + flops / rate + bytes / bandwidth (`fit`). What is left over, because
caches and kernels change with size, varies smoothly with the work, and is carried over from the measured
cells of nearly the same work (`Curve.predict`). How far such predictions miss is learnt by leaving whole shapes
out (`_held_out`), which makes the intervals (`model`) and, with more left out, checks them (`validate`).

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
"""Of a prediction's interval."""
MIN_SHAPES = 3
"""Of a contender in a phase, from which it is predicted."""
FOLDS = 8
"""At most so many sets of shapes are left out in turn."""
REACH_FACTOR = 4
"""How far beyond what was measured a prediction may lie."""
SHRINKAGE = np.array([0.3, 0.1, 0.1])
"""Weights of the three terms' shares in the fit: of cells that could be explained by large terms or by small
and even ones, the latter. The default grid has four shapes, and left to themselves three terms fit any three."""
SPREAD, RANGE, NOISE = 0.4, 2.0, 0.05
"""Of the left-over: its standard deviation in logs, the distance in logs of work over which it is alike, and
what differs between two cells of the same work. Only their proportions matter: intervals are scaled by how
far held-out cells are missed."""
KEY = ["implementation", "device", "dtype", "threads"]
AXES = ["N", "D_in", "H", "D_out"]

Who = tuple[str, str, str, int]
"""Implementation, device, dtype and threads in force."""


@dataclass(frozen=True)
class Measured:
    """The cells of a contender in a phase."""

    who: Who
    phase: str
    shapes: tuple[Shape, ...]
    steps: int
    """In one `train`."""
    logs: np.ndarray
    """Of seconds, (cells,)."""
    errors: np.ndarray
    """Standard errors of `logs`, (cells,)."""

    @cached_property
    def terms(self) -> np.ndarray:
        """1, flops and bytes of each cell, (cells, 3)."""
        return terms(self.shapes, self.phase, self.who[2], self.steps)

    def of(self, shapes: Iterable[Shape]) -> Measured | None:
        """Restricted to some shapes; None where none of them is here."""
        wanted = set(shapes)
        places = [place for place, shape in enumerate(self.shapes) if shape in wanted]
        if not places:
            return None
        kept = tuple(self.shapes[place] for place in places)
        return replace(self, shapes=kept, logs=self.logs[places], errors=self.errors[places])


@dataclass(frozen=True)
class Curve:
    """A fitted contender in a phase: seconds = fixed + flops · per_flop + bytes · per_byte, and what is left over."""

    measured: Measured
    fixed_seconds: float
    seconds_per_flop: float
    seconds_per_byte: float

    @cached_property
    def coefficients(self) -> np.ndarray:
        return np.array([self.fixed_seconds, self.seconds_per_flop, self.seconds_per_byte])

    def predict(self, shapes: Sequence[Shape]) -> tuple[np.ndarray, np.ndarray]:
        """Logs of seconds and their standard deviations, (shapes,), up to the scale that cross-validation finds.

        Kriging with the cost model as its trend (Matheron 1963): the left-over logs y are a Gaussian process with the
        covariance K between cells (`_covariances`), known with the noise S. At other shapes, whose covariances with
        the cells are k, its mean is k·(K + S)⁻¹·y and its variance K₀ + S₀ - k·(K + S)⁻¹·kᵀ, K₀ and S₀ being those of
        a cell alone (Rasmussen & Williams 2006, equations 2.25 and 2.26): the further from the measured, the wider.
        """
        known = self.measured
        asked = terms(shapes, known.phase, known.who[2], known.steps)
        covariances = _covariances(known.terms, known.terms) + np.diag(known.errors**2 + NOISE**2)
        with_known = _covariances(asked, known.terms)
        weights = np.linalg.solve(covariances, with_known.T).T
        left_over = known.logs - np.log(known.terms @ self.coefficients)
        variances = SPREAD**2 + NOISE**2 - (weights * with_known).sum(axis=1)
        return np.log(asked @ self.coefficients) + weights @ left_over, np.sqrt(variances)


@dataclass(frozen=True)
class Prediction:
    """Seconds with their 90 % interval."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """How many standard deviations of its log make the interval of a prediction, and of two contenders' ratio."""

    single: float
    ratio: float


@dataclass(frozen=True)
class Validation:
    """How predictions of cells whose shape was left out came off."""

    cells: int
    inside: float
    """The share of them that lay within their interval, itself made without their shape."""
    typical_error: float
    """The median of the relative errors."""
    typical_half_width: float
    """The median of the intervals' relative half-widths."""


@dataclass(frozen=True)
class CostModel:
    """A run's contenders, fitted, and the scale of their intervals."""

    curves: dict[tuple[Who, str], Curve]
    scale: Scale

    def predict(self, who: Who, phase: str, shape: Shape) -> Prediction:
        """Of a cell of a fitted contender."""
        means, spreads = self.curves[who, phase].predict([shape])
        mean, spread = float(means[0]), float(spreads[0])
        reach = self.scale.single * spread
        return Prediction(exp(mean), exp(mean - reach), exp(mean + reach))


def measured(timings: pd.DataFrame) -> list[Measured]:
    """The cells of a run that have a time, by contender and phase, in the order they first stand."""
    timed = timings[trusted(timings)].drop_duplicates([*KEY, *AXES, "phase"])
    return [_measured(rows) for _, rows in timed.groupby([*KEY, "phase"], sort=False, observed=True)]


def terms(shapes: Sequence[Shape], phase: str, dtype: str, steps: int) -> np.ndarray:
    """1, flops and unavoidable bytes of a phase at each shape, (shapes, 3)."""
    itemsize = np.dtype(dtype).itemsize
    rows = [(1, flops(shape, phase, steps), unavoidable_bytes(shape, phase, itemsize, steps)) for shape in shapes]
    return np.array(rows, float)


def fit(cells: Measured) -> Curve:
    """By least squares of relative errors, no coefficient below 0, each drawn to 0 by its term's share of the times.

    A cell of the time t and the terms x (`terms`) is missed by x·β/t - 1 of its time, and the j-th term's mean share of
    the times is bⱼ = βⱼ · mean of xⱼ/t. The β >= 0 with the least Σ (x·β/t - 1)² + Σ (SHRINKAGEⱼ·bⱼ)² is found in b, by
    non-negative least squares (Lawson & Hanson 1974) with a row more for each share (ridge regression, Hoerl & Kennard
    1970).

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
    """Every contender and phase with shapes enough, fitted to all of its cells.

    Intervals reach so many spreads as cover 90 % of the cells when their shape is left out, all contenders
    and phases pooled (split and jackknife conformal prediction with locally scaled residuals: Lei et al. 2018,
    Barber et al. 2021). Raises ValueError where no contender has shapes enough.
    """
    predictable = _predictable(cells)
    if not predictable:
        raise ValueError(f"predicting needs a contender that was timed at {MIN_SHAPES} shapes or more")
    curves = {(each.who, each.phase): fit(each) for each in predictable}
    return CostModel(curves, _scale(_held_out(predictable)))


def validate(cells: Sequence[Measured]) -> Validation:
    """Leave each set of shapes out of everything, predict its cells from the rest, and count.

    With so few shapes that two sets cannot be left out at once, nothing can be counted: NaN.
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
    """Raises ValueError where none of the cells reaches a size, or the work, with the `command` that measures it."""
    if complaint := beyond(cells, shape, phase):
        raise ValueError(f"{complaint}; measure it: {command}")


def beyond(cells: Sequence[Measured], shape: Shape, phase: str) -> str:
    """Which size, or the work, lies further than `REACH_FACTOR` times beyond what the cells measured; empty where
    none does: `N=2,049 lies over 4 times beyond the measured 64 to 512`."""
    shapes = list(dict.fromkeys(known for each in cells for known in each.shapes))
    sizes = [(axis, getattr(shape, axis), [getattr(known, axis) for known in shapes]) for axis in AXES]
    work = (f"flops of a {phase}", flops(shape, phase), [flops(known, phase) for known in shapes])
    for name, asked, known in [*sizes, work]:
        low, high = min(known), max(known)
        if not low / REACH_FACTOR <= asked <= high * REACH_FACTOR:
            extent = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            return f"{name}={asked:,} lies over {REACH_FACTOR} times beyond the measured {extent}"
    return ""


def _measured(rows: pd.DataFrame) -> Measured:
    """Of the rows of one contender in one phase. An interval of a log is taken as a normal one to have its standard
    error, and one that is unknown, of a single pass, as none."""
    first = rows.iloc[0]
    who: Who = (str(first["implementation"]), str(first["device"]), str(first["dtype"]), int(first["threads"]))
    shapes = tuple(Shape(*map(int, sizes)) for sizes in rows[AXES].to_numpy())
    widths = np.log(rows["seconds_high"].to_numpy()) - np.log(rows["seconds_low"].to_numpy())
    errors = np.nan_to_num(widths / 2 / stats.norm.ppf((1 + CONFIDENCE) / 2), nan=0.0, posinf=0.0)
    return Measured(who, str(first["phase"]), shapes, _steps(rows), np.log(rows["seconds"].to_numpy()), errors)


def _steps(rows: pd.DataFrame) -> int:
    """In one `train`, from the rate that its row states."""
    first = rows.iloc[0]
    shape = Shape(*(int(first[axis]) for axis in AXES))
    return max(1, round(first["gflops"] * 1e9 * first["seconds"] / flops(shape, str(first["phase"]))))


def _covariances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of the left-over of cells, from their terms (n, 3) and (m, 3), (n, m): the exponential kernel of the distance in
    logs of flops and bytes (Rasmussen & Williams 2006, 4.2.1)."""
    distances = spatial.distance.cdist(np.log(first[:, 1:]), np.log(second[:, 1:]))
    return SPREAD**2 * np.exp(-distances / RANGE)


def _predictable(cells: Sequence[Measured]) -> list[Measured]:
    return [each for each in cells if len(each.shapes) >= MIN_SHAPES]


def _folds(cells: Sequence[Measured]) -> Iterator[tuple[list[Measured], list[Measured]]]:
    """What stays and what is left out: every shape once, the same of all contenders; one at a time where that is
    few enough."""
    shapes = sorted({shape for each in cells for shape in each.shapes})
    count = min(FOLDS, len(shapes))
    for fold in range(count):
        out = set(shapes[fold::count])
        stays = [each.of(set(shapes) - out) for each in cells]
        left = [each.of(out) for each in cells]
        # Contenders that have nothing at these shapes still say how far the others' predictions miss.
        yield (
            [inside for inside in stays if inside],
            [outside for inside, outside in zip(stays, left, strict=True) if inside and outside],
        )


def _held_out(cells: Sequence[Measured]) -> pd.DataFrame:
    """How far each cell is missed (`_missed`) that is predicted without any cell of its set of shapes."""
    missed = [_missed(inside, outside) for inside, outside in _folds(cells)]
    return pd.concat(missed) if missed else pd.DataFrame()


def _missed(inside: Sequence[Measured], outside: Sequence[Measured]) -> pd.DataFrame:
    """`who`, `phase`, `shape`, `error` (in logs) and `spread` of cells that are predicted from others."""
    known = {(each.who, each.phase): each for each in inside}
    rows = []
    for each in outside:
        means, spreads = fit(known[each.who, each.phase]).predict(each.shapes)
        errors = each.logs - means
        rows += [(each.who, each.phase, *row) for row in zip(each.shapes, errors, spreads, strict=True)]
    return pd.DataFrame(rows, columns=["who", "phase", "shape", "error", "spread"])


def _missed_with_reach(inside: Sequence[Measured], outside: Sequence[Measured]) -> pd.DataFrame:
    """`_missed`, and how far the interval would `reach` that is scaled by what stays inside alone; empty where nothing
    of that can be left out once more."""
    try:
        scale = _scale(_held_out(inside))
    except ValueError:
        return pd.DataFrame()
    missed = _missed(inside, outside)
    return missed.assign(reach=scale.single * missed["spread"])


def _scale(missed: pd.DataFrame) -> Scale:
    """Of one prediction from its error over its spread, of a ratio from every two contenders at a shape in a phase: the
    errors' difference over both spreads. Raises ValueError where nothing could be left out."""
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
    """The ⌈0.9·(n + 1)⌉th smallest, which covers one more score in 90 % (Lei et al. 2018, section 2.2); of fewer than
    nine, that have none, Student's t quantile of their root mean square."""
    count = len(scores)
    if count == 0:
        return inf
    rank = ceil((count + 1) * LEVEL)
    if rank <= count:
        return float(np.sort(scores)[rank - 1])
    return float(stats.t.ppf((1 + LEVEL) / 2, count) * np.sqrt(np.mean(np.square(scores))))


def _relative(in_logs: float) -> float:
    return expm1(in_logs)
