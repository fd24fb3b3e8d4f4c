"""Correct before fast: a net against a float64 reference, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

TRAJECTORY_STEPS = 3
SAFETY = 4.0
"""Times the rounding error expected of a sum of K terms, eps·√K (Higham, Accuracy and Stability, §2.8)."""
UNIT = {"high": 2.0**-11, "medium": 2.0**-8}
"""Relative rounding of a product's float32 operands at the lower matmul precisions."""


@dataclass(frozen=True)
class Check:
    """One tensor compared. `error` is relative to the tensor's scale; NaN, or a shape or dtype that
    cannot be compared, is an infinite error, with the reason in `problem`."""

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
    decide: Callable[[tuple[int, ...]], np.ndarray]

    def forward(self) -> None:
        self.h = self.x @ self.w1
        self.h_relu = np.maximum(self.h, 0)
        self.y_pred = self.h_relu @ self.w2

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


def verify(make: Callable[[], Any]) -> list[Check]:
    """Every comparison of nets from `make()` with the reference: prediction, gradients, one update
    by the phases, and the weights and losses of a few whole steps, by `step` and by `train`."""
    net = make()
    rounding = float(np.finfo(net.dtype).eps)
    if net.dtype == "float32":
        rounding = max(rounding, UNIT.get(net.precision, 0.0))
    course = _course(_reference(net, rounding, np.zeros))
    others = [_course(_reference(net, rounding, decide)) for decide in _DECISIONS] if course.in_doubt else []
    return _phases(net, rounding, course) + _trajectories(make, rounding, course, others)


def worst(checks: list[Check]) -> Check:
    """The check that used most of its tolerance."""
    return max(checks, key=lambda check: check.error / check.tolerance if check.passed else math.inf)


def compare(
    tensor: str,
    actual: Any,
    expected: np.ndarray,
    dtype: str,
    scale: float,
    tolerance: float,
    forgiven: np.ndarray | float = 0.0,
) -> Check:
    """Largest absolute difference, beyond what is `forgiven` element by element, over `scale`,
    against `tolerance`."""
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


def _random_half(seed: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    return lambda shape: np.random.default_rng(seed).random(shape) < 0.5


_DECISIONS: list[Callable[[tuple[int, ...]], np.ndarray]] = [np.ones, *map(_random_half, range(4))]
"""Other ways to count the undecided: all, and random halves, whose effects do not cancel alike."""


def _reference(net: Any, rounding: float, decide: Callable[[tuple[int, ...]], np.ndarray]) -> Reference:
    x, y, w1, w2 = (array.astype(np.float64) for array in net.problem.arrays(net.dtype))
    spread = float(np.linalg.norm(x, axis=1).max() * np.linalg.norm(w1, axis=0).max())
    return Reference(x, y, w1, w2, net.problem.learning_rate, SAFETY * rounding * spread, decide)


@dataclass(frozen=True)
class _Course:
    """A reference's first step in full, and where it stood after all of them."""

    first: Reference
    after: tuple[np.ndarray, np.ndarray]
    losses: np.ndarray
    final: tuple[np.ndarray, np.ndarray]
    in_doubt: bool
    """Whether any step met pre-activations too close to 0 to tell their sign."""


def _course(reference: Reference) -> _Course:
    losses: list[float] = []
    first, after, in_doubt = reference, (reference.w1, reference.w2), False
    for step in range(TRAJECTORY_STEPS):
        reference.forward()
        reference.backward()
        losses.append(reference.loss())
        in_doubt = in_doubt or bool(reference.in_doubt.any())
        if step == 0:
            first = copy(reference)
        reference.update()
        if step == 0:
            after = (reference.w1, reference.w2)
    return _Course(first, after, np.array(losses), (reference.w1, reference.w2), in_doubt)


def _phases(net: Any, rounding: float, course: _Course) -> list[Check]:
    N, D_in, H, D_out = net.problem.shape
    reference, rate = course.first, net.problem.learning_rate
    magnitude = 2 * (np.abs(reference.y_pred) + np.abs(reference.y))  # of grad_y's terms, which may cancel

    def allowed(length: int) -> float:
        return SAFETY * rounding * math.sqrt(length)

    net.forward()
    net.synchronize()
    scale = _scale(reference.y_pred, reference.h_relu, reference.w2.T)
    checks = [compare("prediction", net.prediction(), reference.y_pred, net.dtype, scale, allowed(D_in + H))]
    net.backward()
    net.synchronize()
    back = np.full((1, N), magnitude.max() * np.linalg.norm(reference.w2, axis=1).max())
    expected = (reference.grad_w1, reference.grad_w2)
    scales = (_scale(expected[0], reference.x.T, back), _scale(expected[1], reference.h_relu.T, magnitude.T))
    tolerances = (allowed(D_in + H + N + D_out), allowed(D_in + H + N))
    either = (np.abs(reference.x).T @ reference.in_doubt, 0.0)
    for i, actual in enumerate(_pair(net.gradients())):
        name = f"gradient of w{i + 1}"
        checks.append(compare(name, actual, expected[i], net.dtype, scales[i], tolerances[i], either[i]))
    net.update()
    net.synchronize()
    for i, actual in enumerate(_pair(net.weights())):
        after, before = course.after[i], (reference.w1, reference.w2)[i]
        scale = _positive(np.abs(after - before).max())  # the change is what is checked, not what it was made to
        rounded = 2 * np.finfo(net.dtype).eps * np.abs(after).max()
        tolerance = float(rounded + rate * tolerances[i] * scales[i]) / scale
        forgiven = rate * either[i]
        checks.append(compare(f"w{i + 1} after update", actual, after, net.dtype, scale, tolerance, forgiven))
    return checks


def _trajectories(make: Callable[[], Any], rounding: float, course: _Course, others: list[_Course]) -> list[Check]:
    stepped, trained = make(), make()
    start = trained.problem.arrays(trained.dtype)[2:]
    growing = SAFETY * rounding * math.sqrt(sum(trained.problem.shape)) * TRAJECTORY_STEPS**2
    scale = _positive(float(course.losses.max()))
    either = _either(course.losses, [other.losses for other in others])
    losses = trained.train(TRAJECTORY_STEPS)
    checks = [compare("losses of train", losses, course.losses, trained.dtype, scale, growing, either)]
    for _ in range(TRAJECTORY_STEPS):
        stepped.step()
    for how, net in (("step", stepped), ("train", trained)):
        net.synchronize()
        for i, actual in enumerate(_pair(net.weights())):
            expected = course.final[i]
            scale = _positive(float(np.abs(expected - start[i]).max()))
            rounded = TRAJECTORY_STEPS * 2 * float(np.finfo(net.dtype).eps * np.abs(expected).max())
            either = _either(expected, [other.final[i] for other in others])
            name = f"w{i + 1} after {TRAJECTORY_STEPS} × {how}"
            checks.append(compare(name, actual, expected, net.dtype, scale, growing + rounded / scale, either))
    return checks


def _pair(tensors: Any) -> list[Any]:
    """Exactly two, so that a missing one is compared and found wrong."""
    return [*tensors, None, None][:2]


def _either(expected: np.ndarray, others: list[np.ndarray]) -> np.ndarray | float:
    """Element by element, how much the undecided may change, with a margin for untried choices."""
    return 4 * np.max([np.abs(other - expected) for other in others], axis=0) if others else 0.0


def _scale(product: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """How large the entries of left @ right.T are, or would be if their terms did not cancel: a sum
    of K independent terms is about 1/√K of Cauchy and Schwarz's bound."""
    bound = np.linalg.norm(left, axis=1).max() * np.linalg.norm(right, axis=1).max()
    return _positive(max(float(np.abs(product).max()), float(bound) / math.sqrt(left.shape[1])))


def _positive(scale: float) -> float:
    return float(scale) if scale > 0 else 1.0
