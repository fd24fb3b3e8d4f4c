"""Verify a net before it is timed: compare it with a float64 reference, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .course import STEPS, Course, own
from .nets import copies
from .reference import (
    STAGES_OF_GRADIENTS,
    STAGES_OF_LOSS,
    Check,
    Expected,
    compare,
    pair,
    positive,
    rounding_of,
    slack_of_update,
)


def verify(make: Callable[[], Any], course_of: Callable[[Any], Course] = own) -> list[Check]:
    """Compare nets from `make()` with the reference: prediction, gradients, one update by the phases, and the weights
    and losses of a few whole steps, by `step` and by `train`. `course_of(net)` returns the reference, which this
    process computes unless another one is given. Raises Unusable where that cannot be used."""
    net = make()
    start = copies(net.problem.arrays(net.dtype)[2:])
    course = course_of(net)
    checks = _phases(net, start, course)
    if net.dtype in dtypes.NARROW:
        checks += _single_steps(make, start, course)
    return checks + _trajectories(make, start, course)


def worst(checks: list[Check]) -> Check:
    """Return the check that used most of its tolerance."""
    return max(checks, key=lambda check: check.error / check.tolerance if check.passed else math.inf)


def _phases(net: Any, start: tuple[np.ndarray, ...], course: Course) -> list[Check]:
    expected = Expected(net, course.first(), start[0], start[1])
    net.forward()
    net.synchronize()
    checks = [expected.prediction(net.prediction())]
    net.backward()
    net.synchronize()
    checks += expected.gradients(net.gradients())
    net.update()
    net.synchronize()
    return checks + expected.weights(net.weights())


def _single_steps(make: Callable[[], Any], start: tuple[np.ndarray, ...], course: Course) -> list[Check]:
    """Check one step by `step` and by `train`: in a narrow dtype, rounding hides much of what several steps change."""
    stepped, trained = make(), make()
    expected = Expected(stepped, course.first(), start[0], start[1])
    stepped.step()
    trained.train(1)
    checks = []
    for how, net in (("step", stepped), ("train", trained)):
        net.synchronize()
        checks += expected.weights(net.weights(), f"1 × {how}")
    return checks


def _trajectories(make: Callable[[], Any], start: tuple[np.ndarray, ...], course: Course) -> list[Check]:
    stepped, trained = make(), make()
    dtype, length = trained.dtype, sum(trained.problem.shape)
    rounding, rate = rounding_of(trained), trained.problem.learning_rate
    # Rounding grows: after k steps that of k weights, each of which moved by k changes that were off.
    growing = rounding.allowed(STAGES_OF_GRADIENTS, length) * STEPS**2
    due, forgiven = course.end("losses")
    losses, allowed = trained.train(STEPS), rounding.allowed(STAGES_OF_LOSS, length)
    largest = positive(float(due.max()))
    if dtype in dtypes.NARROW:
        forgiven = forgiven + allowed * largest * (np.arange(1, STEPS + 1) ** 2 - 1)
    else:
        allowed *= STEPS**2
    checks = [compare("losses of train", losses, due, dtype, largest, allowed, forgiven)]
    for _ in range(STEPS):
        stepped.step()
    actual: dict[str, list[Any]] = {}
    for how, net in (("step", stepped), ("train", trained)):
        net.synchronize()
        actual[how] = pair(net.weights())
    compared: dict[str, list[Check]] = {how: [] for how in actual}
    for i, name in enumerate(("w1", "w2")):
        expected, forgiven = course.end(name)
        scale = positive(float(np.abs(expected - start[i]).max()))
        if dtype in dtypes.NARROW:
            tolerance = growing + float(slack_of_update(expected, scale, rate, dtype)) / scale
            # Each weight is rounded by itself: by the largest of them, changes could not be seen.
            largest_values = np.maximum(np.abs(expected), np.abs(start[i])) + forgiven + tolerance * scale
            forgiven = forgiven + STEPS * dtypes.half_units(largest_values, dtype)
        else:
            tolerance = growing + STEPS * 2 * float(dtypes.eps(dtype) * np.abs(expected).max()) / scale
        for how, weights in actual.items():
            compared[how].append(
                compare(f"{name} after {STEPS} × {how}", weights[i], expected, dtype, scale, tolerance, forgiven)
            )
    return checks + compared["step"] + compared["train"]
