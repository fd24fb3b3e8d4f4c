"""The network in float64, and how far a net's tensors may deviate from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .blas import one_thread

SAFETY = 4.0
"""The factor on the expected rounding error of a sum of K terms, eps·√K (Higham, Accuracy and Stability, §2.8)."""
UNIT = {"high": 2.0**-11, "medium": 2.0**-8}
"""Relative rounding of a product's float32 operands at the lower matmul precisions."""
Decide = Callable[[tuple[int, ...]], np.ndarray]


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


@dataclass
class Reference:
    """The network in float64 NumPy, from the same inputs as the net (cast to its dtype first).

    Pre-activations within `near` of 0 may have either sign in a net; `decide(shape)` says which of
    them count as positive in relu's gradient.
    """

    x: np.ndarray
    y: np.ndarray
    w1: np.ndarray
    w2: np.ndarray
    rate: float
    near: float
    decide: Decide

    @one_thread()
    def forward(self) -> None:
        self.h = self.x @ self.w1
        self.h_relu = np.maximum(self.h, 0)
        self.y_pred = self.h_relu @ self.w2

    @one_thread()
    def backward(self) -> None:
        self.grad_y = 2 * (self.y_pred - self.y)
        self.grad_w2 = self.h_relu.T @ self.grad_y
        grad_h_relu = self.grad_y @ self.w2.T
        undecided = np.abs(self.h) <= self.near
        self.in_doubt = np.abs(grad_h_relu) * undecided
        self.grad_h = grad_h_relu * np.where(undecided, self.decide(self.h.shape), self.h > 0)
        self.grad_w1 = self.x.T @ self.grad_h

    def update(self) -> None:
        self.w1 = self.w1 - self.rate * self.grad_w1
        self.w2 = self.w2 - self.rate * self.grad_w2

    def loss(self) -> float:
        return float(np.square(self.y_pred - self.y).sum())


def reference(net: Any, weights: tuple[np.ndarray, np.ndarray], decide: Decide = np.zeros) -> Reference:
    """Return the network in float64 with a net's inputs and the given weights."""
    x, y, *_ = net.problem.arrays(net.dtype)
    x, y, w1, w2 = (array.astype(np.float64) for array in (x, y, *weights))
    return Reference(x, y, w1, w2, net.problem.learning_rate, nearness(net, x, w1), decide)


def nearness(net: Any, x: np.ndarray, w1: np.ndarray) -> float:
    """Return how close to 0 a pre-activation is whose sign rounding may change."""
    spread = math.sqrt(np.einsum("nd,nd->n", x, x).max() * np.einsum("dh,dh->h", w1, w1).max())
    return SAFETY * rounding_of(net) * spread


def rounding_of(net: Any) -> float:
    """Return the relative rounding of a net's matrix products."""
    rounding = float(np.finfo(net.dtype).eps)
    return max(rounding, UNIT.get(net.precision, 0.0)) if net.dtype == "float32" else rounding


@dataclass
class Expected:
    """The expected results of one step of a net, by a reference that has done its forward and its backward."""

    net: Any
    reference: Reference

    def prediction(self, actual: Any) -> Check:
        reference, (_, D_in, H, _) = self.reference, self.net.problem.shape
        scale = _scale(reference.y_pred, reference.h_relu, reference.w2.T)
        return self._compare("prediction", actual, reference.y_pred, scale, self._allowed(D_in + H))

    def gradients(self, actual: Any) -> list[Check]:
        expected = (self.reference.grad_w1, self.reference.grad_w2)
        return [
            self._compare(
                f"gradient of w{i + 1}", tensor, expected[i], self._scales[i], self._tolerances[i], self._doubt[i]
            )
            for i, tensor in enumerate(pair(actual))
        ]

    def weights(self, actual: Any, after: tuple[np.ndarray, np.ndarray], how: str = "update") -> list[Check]:
        """Check the weights after an update; `after` are the reference's."""
        checks, rate = [], self.reference.rate
        for i, tensor in enumerate(pair(actual)):
            before = (self.reference.w1, self.reference.w2)[i]
            # The change is checked, not the weights that it leads to.
            scale = positive(np.abs(after[i] - before).max())
            rounded = 2 * np.finfo(self.net.dtype).eps * np.abs(after[i]).max()
            tolerance = float(rounded + rate * self._tolerances[i] * self._scales[i]) / scale
            name = f"w{i + 1} after {how}"
            checks.append(self._compare(name, tensor, after[i], scale, tolerance, rate * self._doubt[i]))
        return checks

    def _compare(self, *arguments: Any) -> Check:
        tensor, actual, expected, *rest = arguments
        return compare(tensor, actual, expected, self.net.dtype, *rest)

    def _allowed(self, length: int) -> float:
        return SAFETY * rounding_of(self.net) * math.sqrt(length)

    @cached_property
    def _tolerances(self) -> tuple[float, float]:
        N, D_in, H, D_out = self.net.problem.shape
        return self._allowed(D_in + H + N + D_out), self._allowed(D_in + H + N)

    @cached_property
    def _scales(self) -> tuple[float, float]:
        reference = self.reference
        magnitude = 2 * (np.abs(reference.y_pred) + np.abs(reference.y))  # of grad_y's terms, which may cancel
        back = np.full((1, len(reference.x)), magnitude.max() * np.linalg.norm(reference.w2, axis=1).max())
        return (
            _scale(reference.grad_w1, reference.x.T, back),
            _scale(reference.grad_w2, reference.h_relu.T, magnitude.T),
        )

    @cached_property
    def _doubt(self) -> tuple[np.ndarray | float, float]:
        """How much the signs in doubt may change each gradient, element by element."""
        units = self.reference.in_doubt.any(axis=0)
        if not units.any():
            return 0.0, 0.0
        doubt = np.zeros((self.reference.x.shape[1], len(units)))
        doubt[:, units] = np.abs(self.reference.x).T @ self.reference.in_doubt[:, units]
        return doubt, 0.0


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
    if actual.dtype != dtype:
        return Check(tensor, math.inf, tolerance, f"has dtype {actual.dtype}, not {dtype}")
    if not np.isfinite(actual).all():
        return Check(tensor, math.inf, tolerance, "holds NaN or infinity")
    beyond = np.maximum(np.abs(actual - expected) - forgiven, 0)
    return Check(tensor, float(beyond.max()) / scale, tolerance)


def pair(tensors: Any) -> list[Any]:
    """Return exactly two tensors, so that a missing one fails its comparison."""
    return [*tensors, None, None][:2]


def _scale(product: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """Return how large the entries of left @ right.T are, or would be if their terms did not cancel: a sum of K
    independent terms is about 1/√K of Cauchy and Schwarz's bound."""
    bound = np.linalg.norm(left, axis=1).max() * np.linalg.norm(right, axis=1).max()
    return positive(max(float(np.abs(product).max()), float(bound) / math.sqrt(left.shape[1])))


def positive(scale: float) -> float:
    return float(scale) if scale > 0 else 1.0
