"""The checks of results: right by float64, by differences of the loss, and in the precision that is declared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np

from implementations import Problem

from .. import aftercheck, dtypes, problems, verify
from ..course import STEPS
from ..nets import advance
from ..reference import (
    STAGES_OF_GRADIENTS,
    UNIT,
    Check,
    check_prediction,
    compare,
    pair,
    positive,
    rounding_at,
    rounding_of,
)
from .subject import Fault, Seen, Subject, all_pass, at_two_rates

ANY_VALUE = 1e300
"""The tolerance where only shapes and dtypes are compared: finite, since a shape that differs is an infinite error."""
CLEAR = 0.1
"""The least distance of the tiny problem's pre-activations from relu's kink."""
NUDGE = 1e-3
"""So far from a kink the loss is quadratic in each weight, and its central difference exact but for rounding."""
ROUNDINGS = 32
"""Gradients at the tiny shape may deviate by so many roundings of the largest entry."""
LESS_PRECISE = {"float32": float(np.finfo(np.float32).eps), **{f"{name} precision": UNIT[name] for name in UNIT}}
"""The relative rounding of products that a net may compute by mistake."""
FEWER_ERRORS = 16.0
"""A prediction whose error is so many times less than the declared precision's rounding is more precise."""


def types(subject: Subject) -> Seen:
    """The getters return arrays of the host, in the net's dtype, of the documented shapes."""
    N, D_in, H, D_out = subject.shape
    net = subject.make()
    net.synchronize()
    weights = pair(net.weights())
    net.forward()
    net.backward()
    net.synchronize()
    gradients, prediction = pair(net.gradients()), net.prediction()
    trained = subject.make()
    losses = trained.train(STEPS)
    expected: list[tuple[str, Any, tuple[int, ...]]] = [
        ("w1", weights[0], (D_in, H)),
        ("w2", weights[1], (H, D_out)),
        ("gradient of w1", gradients[0], (D_in, H)),
        ("gradient of w2", gradients[1], (H, D_out)),
        ("prediction", prediction, (N, D_out)),
        ("losses of train", losses, (STEPS,)),
    ]
    all_pass([compare(name, actual, np.zeros(shape), net.dtype, 1.0, ANY_VALUE) for name, actual, shape in expected])
    for name, actual, due in zip(("w1", "w2"), weights, subject.start, strict=True):
        if not np.array_equal(actual, due):
            raise Fault(f"{name} of a new net is not the problem's")
    return Seen("shapes and dtypes of weights, gradients, prediction and losses")


def prediction(subject: Subject) -> Seen:
    """The prediction is that of float64."""
    return all_pass([next(_first_step(subject))])


def gradients(subject: Subject) -> Seen:
    """The gradients are those of float64."""
    return all_pass([*islice(_first_step(subject), 1, 3)])


def differences(subject: Subject) -> Seen:
    """The gradients are central differences of the loss, which is written out here in float64."""
    problem = _clear_of_kinks(subject)
    net = subject.make(problem)
    advance(net, update=False)
    x, y, *weights = (array.astype(np.float64) for array in problem.arrays(subject.dtype))
    checks = []
    for i, gradient in enumerate(pair(net.gradients())):
        numeric = np.empty_like(weights[i])
        for index in np.ndindex(numeric.shape):
            losses = []
            for sign in (1, -1):
                nudged = [tensor.copy() for tensor in weights]
                nudged[i][index] += sign * NUDGE
                losses.append(np.square(np.maximum(x @ nudged[0], 0) @ nudged[1] - y).sum())
            numeric[index] = (losses[0] - losses[1]) / (2 * NUDGE)
        scale = positive(float(np.abs(numeric).max()))
        rounding = rounding_of(net)
        tolerance = (
            ROUNDINGS * max(rounding.products, dtypes.eps("float64") / NUDGE) + rounding.stored * STAGES_OF_GRADIENTS
        )
        checks.append(compare(f"gradient of w{i + 1}", gradient, numeric, subject.dtype, scale, tolerance))
        if not checks[-1].passed and not checks[-1].problem:
            at = np.unravel_index(np.abs(gradient - numeric).argmax(), numeric.shape)
            where = ", ".join(map(str, at))
            raise Fault(
                f"the gradient of w{i + 1}[{where}] is {gradient[at]:.6g}, but the loss changes by {numeric[at]:.6g} "
                "for each unit of it"
            )
    return all_pass(checks)


def update(subject: Subject) -> Seen:
    """An update subtracts rate × gradient, at either learning rate."""
    for problem in at_two_rates(subject):
        net = subject.make(problem)
        advance(net, update=False)
        for reason in aftercheck.subtracted(net, "after one backward"):
            raise Fault(f"{reason}, at a learning rate of {problem.learning_rate:.3g}")
    return Seen("rate × gradient is subtracted, at two learning rates")


def trajectories(subject: Subject) -> Seen:
    """Steps by `step`, by the phases and by `train` lead to float64's weights, and `train` returns its losses."""
    checks = []
    for problem in at_two_rates(subject):

        def make(problem: Problem = problem) -> Any:
            return subject.make(problem)

        checks += verify.trajectories(make, subject.start, subject.course(make()), tuple(verify.WAYS))
    return all_pass(checks)


def precision(subject: Subject) -> Seen:
    """Products are neither more nor less precise than the class declares, as far as a prediction shows it."""
    net = subject.make()
    known = ("highest", *UNIT)
    if net.precision not in known:
        raise Fault(f"precision is {net.precision!r}, which is none of {', '.join(known)}")
    net.forward()
    net.synchronize()
    actual, first = net.prediction(), subject.course(net).first()
    check = check_prediction(net, actual, first.y_pred, float(first.scales[0]))
    if net.dtype in dtypes.NARROW:  # each result is rounded to it, which hides how precise the products are
        all_pass([check])
        return Seen(net.dtype)
    for less, rounding in LESS_PRECISE.items():
        if check.tolerance < check.error <= check.tolerance * rounding / rounding_of(net).products:
            raise Fault(
                f"a prediction is off by {check.error:.2g}, tolerance {check.tolerance:.2g}, as one in {less} is"
            )
    if rounding_at(net.dtype, "medium") == rounding_at(net.dtype, "highest"):  # `precision` says nothing of this dtype
        return Seen(net.dtype)
    if net.precision in UNIT and check.error <= UNIT[net.precision] / FEWER_ERRORS:
        raise Fault(
            f"declares precision {net.precision!r}, of a rounding of {UNIT[net.precision]:.2g}, but its prediction "
            f"is off by {check.error:.2g} only, as in a higher one: declare that"
        )
    if np.array_equal(actual, first.y_pred.astype(net.dtype)):
        raise Fault(
            f"all of its prediction is float64's, rounded to {net.dtype} at the end: it computes in a wider dtype "
            "than its cells are labelled with"
        )
    return Seen(f"{net.precision}, as declared")


def _first_step(subject: Subject) -> Iterator[Check]:
    net = subject.make()
    return verify.phases(net, subject.start, subject.course(net))


def _clear_of_kinks(subject: Subject) -> Problem:
    """Return a problem whose pre-activations keep away from relu's kink, and whose hidden units all work."""
    for seed in count():
        problem = problems.random(subject.shape, subject.dtype, seed=seed)
        x, _, w1, _ = (array.astype(np.float64) for array in problem.arrays(subject.dtype))
        h = x @ w1
        if np.abs(h).min() > CLEAR and (h > 0).any(axis=0).all():
            return problem
    raise AssertionError
