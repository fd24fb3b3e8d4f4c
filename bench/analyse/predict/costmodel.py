"""What a cell would take at sizes that were never measured, from the cells of a run that were. Pure.

A contender's time in a phase is fixed + flops / rate + bytes / bandwidth. What is left over, because
caches and kernels change with size, varies smoothly with the work, and is carried over from the measured
cells of nearly the same work. How far such predictions miss is learnt by leaving whole shapes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
        kept = [index for index, shape in enumerate(self.shapes) if shape in wanted]
        if not kept:
            return None
        rest = tuple(self.shapes[index] for index in kept)
        return Measured(self.who, self.phase, rest, self.steps, self.logs[kept], self.errors[kept])


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
        """Logs of seconds and their standard deviations, up to the scale that cross-validation finds.

        Kriging with the cost model as its trend (Matheron 1963; Rasmussen & Williams 2006, 2.7): the exponential
        kernel of the distance in logs of flops and bytes. It grows with the distance from what was measured.
        """
        known, asked = self.measured, terms(shapes, self.measured.phase, self.measured.who[2], self.measured.steps)
        here, there = np.log(known.terms[:, 1:]), np.log(asked[:, 1:])
        noise = np.diag(known.errors**2 + NOISE**2)
        among = SPREAD**2 * np.exp(-spatial.distance.cdist(here, here) / RANGE) + noise
        across = SPREAD**2 * np.exp(-spatial.distance.cdist(there, here) / RANGE)
        weights = np.linalg.solve(among, across.T).T
        left_over = known.logs - np.log(known.terms @ self.coefficients)
        variance = SPREAD**2 + NOISE**2 - (weights * across).sum(axis=1)
        return np.log(asked @ self.coefficients) + weights @ left_over, np.sqrt(variance)


@dataclass(frozen=True)
class Prediction:
    """Seconds with their 90 % interval."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class Scale:
    """How many standard deviations of its log make the interval of a prediction, and of two contenders' ratio."""

    one: float
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
        reach = self.scale.one * spread
        return Prediction(exp(mean), exp(mean - reach), exp(mean + reach))


def measured(timings: pd.DataFrame) -> list[Measured]:
    """The cells of a run that have a time, by contender and phase, in the order they first stand."""
    found = []
    timed = timings[trusted(timings)].drop_duplicates([*KEY, *AXES, "phase"])
    for _, rows in timed.groupby([*KEY, "phase"], sort=False, observed=True):
        first = rows.iloc[0]
        shapes = tuple(Shape(*map(int, sizes)) for sizes in rows[AXES].to_numpy())
        widths = np.log(rows["seconds_high"].to_numpy()) - np.log(rows["seconds_low"].to_numpy())
        errors = np.nan_to_num(widths / 2 / stats.norm.ppf((1 + CONFIDENCE) / 2), nan=0.0, posinf=0.0)
        logs = np.log(rows["seconds"].to_numpy())
        who: Who = (str(first["implementation"]), str(first["device"]), str(first["dtype"]), int(first["threads"]))
        found.append(Measured(who, str(first["phase"]), shapes, _steps(rows), logs, errors))
    return found


def terms(shapes: Sequence[Shape], phase: str, dtype: str, steps: int) -> np.ndarray:
    """1, flops and unavoidable bytes of a phase at each shape, (shapes, 3)."""
    itemsize = np.dtype(dtype).itemsize
    rows = [(1, flops(shape, phase, steps), unavoidable_bytes(shape, phase, itemsize, steps)) for shape in shapes]
    return np.array(rows, float)


def fit(cells: Measured) -> Curve:
    """By least squares of relative errors, no coefficient below 0 (Lawson & Hanson 1974), each drawn to 0 by as
    much as its term's mean share of the cells' times (ridge regression, Hoerl & Kennard 1970)."""
    rows = cells.terms / np.exp(cells.logs)[:, None]
    shares = rows.mean(axis=0)
    penalised = np.vstack([rows / shares, np.diag(SHRINKAGE)])
    found, _ = optimize.nnls(penalised, np.concatenate([np.ones(len(rows)), np.zeros(3)]))
    return Curve(cells, *(float(value) for value in found / shares))


def model(cells: Sequence[Measured]) -> CostModel:
    """Every contender and phase with shapes enough, fitted to all of its cells.

    Intervals reach so many spreads as cover 90 % of the cells when their shape is left out, all contenders
    and phases pooled (split and jackknife conformal prediction with locally scaled residuals: Lei et al. 2018,
    Barber et al. 2021). Raises ValueError where no contender has shapes enough.
    """
    enough = _predictable(cells)
    if not enough:
        raise ValueError(f"predicting needs a contender that was timed at {MIN_SHAPES} shapes or more")
    curves = {(one.who, one.phase): fit(one) for one in enough}
    return CostModel(curves, _scale(_held_out(enough)))


def validate(cells: Sequence[Measured]) -> Validation:
    """Leave each set of shapes out of everything, predict its cells from the rest, and count.

    With so few shapes that two sets cannot be left out at once, nothing can be counted: NaN.
    """
    told = []
    for inside, outside in _folds(_predictable(cells)):
        try:
            scale = _scale(_held_out(inside))
        except ValueError:
            continue
        missed = _missed(inside, outside)
        told.append(missed.assign(reach=scale.one * missed["spread"]))
    if not told:
        return Validation(0, nan, nan, nan)
    every = pd.concat(told)
    within = every["error"].abs() <= every["reach"]
    return Validation(
        len(every), float(within.mean()), _relative(every["error"].abs().median()), _relative(every["reach"].median())
    )


def refuse_beyond(cells: Sequence[Measured], shape: Shape, phase: str, command: str) -> None:
    """Raises ValueError where none of the cells reaches a size, or the work, with the `command` that measures it."""
    if told := beyond(cells, shape, phase):
        raise ValueError(f"{told}; measure it: {command}")


def beyond(cells: Sequence[Measured], shape: Shape, phase: str) -> str:
    """Which size, or the work, lies further than `REACH_FACTOR` times beyond what the cells measured; empty where
    none does."""
    shapes = list(dict.fromkeys(known for one in cells for known in one.shapes))
    sizes = [(axis, getattr(shape, axis), [getattr(known, axis) for known in shapes]) for axis in AXES]
    sizes.append((f"flops of a {phase}", flops(shape, phase), [flops(known, phase) for known in shapes]))
    for name, asked, known in sizes:
        if not min(known) / REACH_FACTOR <= asked <= max(known) * REACH_FACTOR:
            extent = f"{min(known):,}" if min(known) == max(known) else f"{min(known):,} to {max(known):,}"
            return f"{name}={asked:,} lies over {REACH_FACTOR} times beyond the measured {extent}"
    return ""


def _predictable(cells: Sequence[Measured]) -> list[Measured]:
    return [one for one in cells if len(one.shapes) >= MIN_SHAPES]


def _folds(cells: Sequence[Measured]) -> Iterator[tuple[list[Measured], list[Measured]]]:
    """What stays and what is left out: every shape once, the same of all contenders; one at a time where that is
    few enough."""
    shapes = sorted({shape for one in cells for shape in one.shapes})
    count = min(FOLDS, len(shapes))
    for fold in range(count):
        out = set(shapes[fold::count])
        kept = [one.of(set(shapes) - out) for one in cells]
        left = [one.of(out) for one in cells]
        pairs = [(inside, outside) for inside, outside in zip(kept, left, strict=True) if inside and outside]
        # Contenders that have nothing at these shapes still say how far the others' predictions miss.
        yield [one for one in kept if one], [outside for _, outside in pairs]


def _held_out(cells: Sequence[Measured]) -> pd.DataFrame:
    told = [_missed(inside, outside) for inside, outside in _folds(cells)]
    return pd.concat(told) if told else pd.DataFrame()


def _missed(inside: Sequence[Measured], outside: Sequence[Measured]) -> pd.DataFrame:
    """`who`, `phase`, `shape`, `error` (in logs) and `spread` of cells that are predicted from others."""
    known = {(one.who, one.phase): one for one in inside}
    rows = []
    for one in outside:
        means, spreads = fit(known[one.who, one.phase]).predict(one.shapes)
        rows += [
            (one.who, one.phase, shape, error, spread)
            for shape, error, spread in zip(one.shapes, one.logs - means, spreads, strict=True)
        ]
    return pd.DataFrame(rows, columns=["who", "phase", "shape", "error", "spread"])


def _scale(missed: pd.DataFrame) -> Scale:
    """Raises ValueError where nothing could be left out."""
    if missed.empty:
        raise ValueError("no shape can be left out to learn how far predictions miss")
    ratios = []
    for _, here in missed.groupby(["shape", "phase"], sort=False):
        one, other = np.triu_indices(len(here), 1)
        errors, spreads = here["error"].to_numpy(), here["spread"].to_numpy()
        ratios.append(np.abs(errors[one] - errors[other]) / np.hypot(spreads[one], spreads[other]))
    scores = (missed["error"].abs() / missed["spread"]).to_numpy()
    return Scale(_quantile(scores), _quantile(np.concatenate(ratios)))


def _quantile(scores: np.ndarray) -> float:
    """The ⌈0.9·(n + 1)⌉th smallest; of fewer than nine, Student's t quantile of their root mean square."""
    count = len(scores)
    if count == 0:
        return inf
    rank = ceil((count + 1) * LEVEL)
    if rank <= count:
        return float(np.sort(scores)[rank - 1])
    return float(stats.t.ppf((1 + LEVEL) / 2, count) * np.sqrt(np.mean(np.square(scores))))


def _steps(rows: pd.DataFrame) -> int:
    """In one `train`, from the rate that its row states."""
    first = rows.iloc[0]
    shape = Shape(*(int(first[axis]) for axis in AXES))
    return max(1, round(first["gflops"] * 1e9 * first["seconds"] / flops(shape, str(first["phase"]))))


def _relative(in_logs: float) -> float:
    return expm1(in_logs)
