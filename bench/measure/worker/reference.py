"""The network in float64, and how far a net's tensors may deviate from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import dtypes

SAFETY = 4.0
"""The factor on the expected rounding error of a sum of K terms, eps·√K (Higham, Accuracy and Stability, §2.8)."""
UNIT = {"high": 2.0**-11, "medium": 2.0**-8}
"""Relative rounding of a product's float32 operands at the lower matmul precisions."""
PART_BYTES, LEAST_PART = 32 << 20, 256
"""The samples of a step go through it in parts of so many bytes of inputs and hidden units, and of so many samples at
least: the memory that a step takes depends on the weights alone, and products of few rows are slow."""
STAGES_OF_PREDICTION, STAGES_OF_GRADIENTS, STAGES_OF_LOSS = 2, 5, 7
"""How many roundings of stored results come together in a result: h and y_pred; then their difference to y, the hidden
gradient and the gradient; in a loss those of the difference, twice since it is squared, and the loss itself."""
Decide = Callable[[tuple[int, ...]], np.ndarray]
"""A function that is called for part after part, and says which of the undecided count as positive."""


@dataclass(frozen=True)
class Check:
    """The comparison of one tensor. `error` is relative to the tensor's scale; NaN, or a shape or dtype that cannot be
    compared, is an infinite error, with the reason in `problem`."""

    tensor: str
    error: float
    tolerance: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance  # False for NaN

    def __str__(self) -> str:
        return f"{self.tensor}: " + (self.problem or f"error {self.error:.2g}, tolerance {self.tolerance:.2g}")


class Rounding(NamedTuple):
    """How a net rounds, relative to its numbers."""

    products: float
    """The rounding within the sum of a matrix product."""
    stored: float = 0.0
    """That of every result that is stored, where its sums are more precise."""

    def allowed(self, stages: int, length: int) -> float:
        """Return how far off a result may be after so many stored ones, and a sum of so many terms."""
        return stages * self.stored + SAFETY * self.products * math.sqrt(length)


@dataclass(frozen=True)
class Step:
    """What one step computes in float64.

    Shapes: y_pred (N, D_out), grad_w1 (D_in, H) or some of its rows, grad_w2 (H, D_out), scales (3,).
    """

    y_pred: np.ndarray
    grad_w1: np.ndarray
    grad_w2: np.ndarray
    doubt: np.ndarray
    """How much signs in doubt may change each element of grad_w1; of shape () where none is in doubt."""
    scales: np.ndarray
    """How large the entries of y_pred, grad_w1 and grad_w2 are."""


class Sums:
    """Adds up a step over parts of its samples.

    Pre-activations within `near` of 0 may have either sign in a net; `decide(shape)` says which of a part's count as
    positive in relu's gradient. `is_narrow` is of nets that store hidden units in a narrow dtype.
    """

    def __init__(
        self,
        w2: np.ndarray,
        near: float = 0.0,
        decide: Decide = np.zeros,
        with_doubt: bool = True,
        is_narrow: bool = False,
    ) -> None:
        self.w2, self.near, self.decide, self.with_doubt, self.is_narrow = w2, near, decide, with_doubt, is_narrow
        self.y_pred: list[np.ndarray] = []
        self.grad_w1: np.ndarray | float = 0.0
        self.grad_w2: np.ndarray | float = 0.0
        self.doubt: np.ndarray = np.zeros(())
        self.squares: list[np.ndarray | float] = [0.0, 0.0, 0.0]
        """The squares of x, of relu's results and of grad_y's terms, summed over the samples."""
        self.largest_row = self.largest_term = 0.0

    def add(self, x: np.ndarray, y: np.ndarray, h: np.ndarray, y_pred: np.ndarray | None = None) -> None:
        """Add a part, given its pre-activations, and its prediction unless that is of these hidden units alone. `x` may
        have only those columns whose rows of grad_w1 are of interest."""
        h_relu = np.maximum(h, 0)
        y_pred = h_relu @ self.w2 if y_pred is None else y_pred
        grad_y = 2 * (y_pred - y)
        grad_h = grad_y @ self.w2.T
        undecided = np.abs(h) <= self.near
        if self.with_doubt and undecided.any():
            self._add_doubt(x, np.abs(grad_h) * undecided)
        grad_h *= np.where(undecided, self.decide(h.shape), h > 0)
        self.y_pred.append(y_pred)
        self.grad_w1 = _added(self.grad_w1, x.T @ grad_h)
        self.grad_w2 = _added(self.grad_w2, h_relu.T @ grad_y)
        terms = 2 * (np.abs(y_pred) + np.abs(y))  # of grad_y, which may cancel
        if self.is_narrow:  # and so may those of y_pred, to which the rounding of hidden units is relative
            terms += 2 * np.sqrt(np.square(h_relu) @ np.square(self.w2))
        self.squares = [old + _squares(new) for old, new in zip(self.squares, (x, h_relu, terms), strict=True)]
        self.largest_row = max(self.largest_row, _longest_row(h_relu))
        self.largest_term = max(self.largest_term, float(terms.max()))

    def step(self) -> Step:
        """Return the step of all the parts."""
        y_pred, (of_x, of_h, of_terms) = np.concatenate(self.y_pred), (math.sqrt(np.max(s)) for s in self.squares)
        scales = [
            _scale(y_pred, self.largest_row * _longest_row(self.w2.T), len(self.w2)),
            _scale(
                self.grad_w1, of_x * self.largest_term * _longest_row(self.w2) * math.sqrt(len(y_pred)), len(y_pred)
            ),
            _scale(self.grad_w2, of_h * of_terms, len(y_pred)),
        ]
        return Step(y_pred, np.asarray(self.grad_w1), np.asarray(self.grad_w2), self.doubt, np.array(scales))

    def _add_doubt(self, x: np.ndarray, in_doubt: np.ndarray) -> None:
        samples, units = in_doubt.any(axis=1), in_doubt.any(axis=0)
        if not units.any():
            return
        if not self.doubt.ndim:
            self.doubt = np.zeros((x.shape[1], in_doubt.shape[1]))
        self.doubt[:, units] += np.abs(x[samples]).T @ in_doubt[np.ix_(samples, units)]


def step(
    x: np.ndarray,
    y: np.ndarray,
    w1: np.ndarray,
    w2: np.ndarray,
    near: float,
    decide: Decide = np.zeros,
    rows: np.ndarray | None = None,
    with_doubt: bool = True,
    is_narrow: bool = False,
) -> Step:
    """Return a step in float64, from inputs of any dtype and weights in float64; of w1's gradient only some `rows` if
    they are given, and without its doubt if that is not wanted."""
    sums = Sums(w2, near, decide, with_doubt, is_narrow)
    for part in _parts(x, w1):
        inputs = x[part].astype(np.float64, copy=False)
        sums.add(inputs if rows is None else inputs[:, rows], y[part].astype(np.float64, copy=False), inputs @ w1)
    return sums.step()


def predict(x: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a prediction, in the weights' dtype, and how large its entries are."""
    parts, largest_row = [], 0.0
    for part in _parts(x, w1):
        h_relu = np.maximum(x[part].astype(w1.dtype, copy=False) @ w1, 0)
        parts.append(h_relu @ w2)
        largest_row = max(largest_row, _longest_row(h_relu))
    y_pred = np.concatenate(parts)
    return y_pred, _scale(y_pred, largest_row * _longest_row(w2.T), len(w2))


def nearness(x: np.ndarray, w1: np.ndarray, rounding: Rounding) -> float:
    """Return how close to 0 a pre-activation is whose sign rounding may change: within its sum, of which some parts may
    be stored."""
    longest_x = max(_longest_row(x[part]) for part in _parts(x, w1))
    relative = SAFETY * rounding.products + rounding.stored / math.sqrt(len(w1))
    return relative * longest_x * math.sqrt(_squares(w1).max())


def rounding_of(net: Any) -> Rounding:
    """Return how a net rounds."""
    return rounding_at(net.dtype, net.precision)


def rounding_at(dtype: str, precision: str) -> Rounding:
    """Return how nets round by dtype and precision, which is of float32 products alone."""
    if dtype in dtypes.NARROW:
        return Rounding(dtypes.sum_eps(dtype), dtypes.eps(dtype))
    rounding = dtypes.eps(dtype)
    return Rounding(max(rounding, UNIT.get(precision, 0.0)) if dtype == "float32" else rounding)


@dataclass
class Expected:
    """The expected results of one step of a net, from the weights `w1` and `w2`; of w1 the rows that the step has."""

    net: Any
    step: Step
    w1: np.ndarray
    w2: np.ndarray

    def prediction(self, actual: Any) -> Check:
        return check_prediction(self.net, actual, self.step.y_pred, float(self.step.scales[0]))

    def gradients(self, actual: Any) -> list[Check]:
        return [
            compare(
                f"gradient of w{i + 1}",
                tensor,
                self._gradients[i],
                self.net.dtype,
                float(self.step.scales[1 + i]),
                self._tolerances[i],
                self._doubt[i],
            )
            for i, tensor in enumerate(pair(actual))
        ]

    def weights(self, actual: Any, how: str = "update") -> list[Check]:
        """Check the weights after an update."""
        checks, rate, dtype = [], self.net.problem.learning_rate, self.net.dtype
        for i, tensor in enumerate(pair(actual)):
            before = (self.w1, self.w2)[i]
            after = before - rate * self._gradients[i]
            # The change is checked, not the weights that it leads to.
            scale = positive(np.abs(after - before).max())
            off, forgiven = rate * self._tolerances[i] * self.step.scales[1 + i], rate * self._doubt[i]
            if dtype in dtypes.NARROW:
                slack = off + slack_of_update(before, scale, rate, dtype)
                tolerance = float(slack) / scale
                # Weights change by whole units of a narrow dtype, which may be larger than the change.
                forgiven = forgiven + dtypes.half_units(np.abs(after) + slack + forgiven, dtype)
            else:
                tolerance = float(2 * dtypes.eps(dtype) * np.abs(after).max() + off) / scale
            checks.append(compare(f"w{i + 1} after {how}", tensor, after, dtype, scale, tolerance, forgiven))
        return checks

    @property
    def _gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return self.step.grad_w1, self.step.grad_w2

    @property
    def _doubt(self) -> tuple[np.ndarray, float]:
        return self.step.doubt, 0.0

    @property
    def _tolerances(self) -> tuple[float, float]:
        N, D_in, H, D_out = self.net.problem.shape
        rounding = rounding_of(self.net)
        lengths = D_in + H + N + D_out, D_in + H + N
        return rounding.allowed(STAGES_OF_GRADIENTS, lengths[0]), rounding.allowed(STAGES_OF_GRADIENTS, lengths[1])


def check_prediction(net: Any, actual: Any, y_pred: np.ndarray, scale: float) -> Check:
    _, D_in, H, _ = net.problem.shape
    tolerance = rounding_of(net).allowed(STAGES_OF_PREDICTION, D_in + H)
    return compare("prediction", actual, y_pred, net.dtype, scale, tolerance)


def slack_of_update(weights: np.ndarray, change: np.ndarray | float, rate: float, dtype: str) -> np.ndarray:
    """Return how far weights may be off before an update stores them in a narrow dtype, by the rounding of the rate, of
    its product and of the sum."""
    return (
        (dtypes.rate_error(rate, dtype) + dtypes.eps(dtype)) * np.abs(change)
        + dtypes.sum_eps(dtype) * np.abs(weights).max()
        + dtypes.least(dtype)
    )


def compare(
    tensor: str,
    actual: Any,
    expected: np.ndarray,
    dtype: str,
    scale: float,
    tolerance: float,
    forgiven: np.ndarray | float = 0.0,
) -> Check:
    """Compare the largest absolute difference, less what is `forgiven` element by element, over `scale`, with
    `tolerance`."""
    if not isinstance(actual, np.ndarray):
        return Check(tensor, math.inf, tolerance, f"is a {type(actual).__name__}, not a NumPy array")
    if actual.shape != expected.shape:
        return Check(tensor, math.inf, tolerance, f"has shape {actual.shape}, not {expected.shape}")
    if actual.dtype != (host_dtype := dtypes.host_dtype(dtype)):
        return Check(tensor, math.inf, tolerance, f"has dtype {actual.dtype}, not {host_dtype}")
    if not np.isfinite(actual).all():
        return Check(tensor, math.inf, tolerance, f"holds NaN or infinity{dtypes.beyond(dtype)}")
    if dtypes.lacks(actual, dtype):
        return Check(tensor, math.inf, tolerance, f"holds numbers that {dtype} does not have")
    beyond = np.asarray(actual - expected)
    np.abs(beyond, out=beyond)
    beyond -= forgiven
    return Check(tensor, float(np.maximum(beyond.max(), 0)) / scale, tolerance)


def pair(tensors: Any) -> list[Any]:
    """Return exactly two tensors, so that a missing one fails its comparison."""
    return [*tensors, None, None][:2]


def positive(scale: float) -> float:
    return float(scale) if scale > 0 else 1.0


def _parts(x: np.ndarray, w1: np.ndarray) -> Iterator[slice]:
    count = max(LEAST_PART, PART_BYTES // (8 * sum(w1.shape)))
    return (slice(first, first + count) for first in range(0, len(x), count))


def _added(total: np.ndarray | float, part: np.ndarray) -> np.ndarray:
    """Return a sum, which takes the memory of its first part."""
    if not isinstance(total, np.ndarray):
        return part
    total += part
    return total


def _squares(array: np.ndarray) -> np.ndarray:
    """Return the sum of squares of each column."""
    return np.einsum("nd,nd->d", array, array, dtype=np.float64)


def _longest_row(array: np.ndarray) -> float:
    """Return the largest Euclidean norm of a row."""
    return math.sqrt(np.einsum("nd,nd->n", array, array, dtype=np.float64).max())


def _scale(product: np.ndarray | float, bound: float, length: int) -> float:
    """Return how large the entries of a product are, or would be if their terms did not cancel: a sum of K independent
    terms is about 1/√K of Cauchy and Schwarz's `bound`. `length` is K."""
    return positive(max(float(np.abs(product).max()), bound / math.sqrt(length)))
