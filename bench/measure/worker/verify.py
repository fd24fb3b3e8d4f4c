"""Verify a net before it is timed: compare it with a float64 reference, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import dtypes
from .course import STEPS, Course, own
from .nets import advance, copies
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


def _step(net: Any) -> None:
    for _ in range(STEPS):
        net.step()


def _by_phases(net: Any) -> None:
    for _ in range(STEPS):
        advance(net)


WAYS: Mapping[str, Callable[[Any], Any]] = {
    "step": _step,
    "train": lambda net: net.train(STEPS),
    "forward, backward, update": _by_phases,
}
"""The ways to take STEPS steps."""
VERIFIED = ("step", "train")
"""The ways that runs verify; of the phases they verify the first step."""


def verify(make: Callable[[], Any], course_of: Callable[[Any], Course] = own) -> list[Check]:
    """Compare nets from `make()` with the reference: prediction, gradients, one update by the phases, and the weights
    and losses of a few whole steps, by `step` and by `train`. `course_of(net)` returns the reference, which this
    process computes unless another one is given. Raises Unusable where that cannot be used."""
    net = make()
    start = copies(net.problem.arrays(net.dtype)[2:])
    course = course_of(net)
    checks = [*phases(net, start, course)]
    if net.dtype in dtypes.NARROW:
        checks += single_steps(make, start, course)
    return checks + trajectories(make, start, course)


def worst(checks: list[Check]) -> Check:
    """Return the check that used most of its tolerance."""
    return max(checks, key=lambda check: check.error / check.tolerance if check.passed else math.inf)


def phases(net: Any, start: tuple[np.ndarray, ...], course: Course) -> Iterator[Check]:
    """Take a step by its phases, and yield the comparison of the prediction, of both gradients and of both weights,
    each when its phase is done. `start` has w1 and w2 in the net's dtype."""
    expected = Expected(net, course.first(), start[0], start[1])
    net.forward()
    net.synchronize()
    yield expected.prediction(net.prediction())
    net.backward()
    net.synchronize()
    yield from expected.gradients(net.gradients())
    net.update()
    net.synchronize()
    yield from expected.weights(net.weights())


def single_steps(make: Callable[[], Any], start: tuple[np.ndarray, ...], course: Course) -> list[Check]:
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


def trajectories(
    make: Callable[[], Any], start: tuple[np.ndarray, ...], course: Course, ways: tuple[str, ...] = VERIFIED
) -> list[Check]:
    """Take STEPS steps in each of the `ways`, and compare the losses that a training returns, and the weights."""
    nets = {way: make() for way in ways}
    any_net = nets[ways[0]]
    dtype, length = any_net.dtype, sum(any_net.problem.shape)
    rounding, rate = rounding_of(any_net), any_net.problem.learning_rate
    # Rounding grows: after k steps that of k weights, each of which moved by k changes that were off.
    growing = rounding.allowed(STAGES_OF_GRADIENTS, length) * STEPS**2
    checks = []
    for way, net in nets.items():
        returned = WAYS[way](net)
        if way == "train":
            due, forgiven = course.end("losses")
            allowed, largest = rounding.allowed(STAGES_OF_LOSS, length), positive(float(due.max()))
            if dtype in dtypes.NARROW:
                forgiven = forgiven + allowed * largest * (np.arange(1, STEPS + 1) ** 2 - 1)
            else:
                allowed *= STEPS**2
            checks.append(compare("losses of train", returned, due, dtype, largest, allowed, forgiven))
    actual: dict[str, list[Any]] = {}
    for way, net in nets.items():
        net.synchronize()
        actual[way] = pair(net.weights())
    compared: dict[str, list[Check]] = {way: [] for way in actual}
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
        for way, weights in actual.items():
            tensor = f"{name} after {STEPS} × {way}"
            compared[way].append(compare(tensor, weights[i], expected, dtype, scale, tolerance, forgiven))
    return checks + [check for way in ways for check in compared[way]]
