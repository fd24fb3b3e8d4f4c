"""Verify a net before it is timed: compare it with a float64 reference, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .course import STEPS, Course, own
from .nets import advance, copies
from .reference import SAFETY, Check, Expected, compare, pair, positive, rounding_of


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
    return [*phases(net, start, course), *trajectories(make, start, course)]


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


def trajectories(
    make: Callable[[], Any], start: tuple[np.ndarray, ...], course: Course, ways: tuple[str, ...] = VERIFIED
) -> list[Check]:
    """Take STEPS steps in each of the `ways`, and compare the losses that a training returns, and the weights."""
    nets = {way: make() for way in ways}
    any_net = nets[ways[0]]
    growing = SAFETY * rounding_of(any_net) * math.sqrt(sum(any_net.problem.shape)) * STEPS**2
    checks = []
    for way, net in nets.items():
        returned = WAYS[way](net)
        if way == "train":
            due, forgiven = course.end("losses")
            scale = positive(float(due.max()))
            checks.append(compare("losses of train", returned, due, net.dtype, scale, growing, forgiven))
    actual: dict[str, list[Any]] = {}
    for way, net in nets.items():
        net.synchronize()
        actual[way] = pair(net.weights())
    compared: dict[str, list[Check]] = {way: [] for way in actual}
    for i, name in enumerate(("w1", "w2")):
        expected, forgiven = course.end(name)
        scale = positive(float(np.abs(expected - start[i]).max()))
        rounded = STEPS * 2 * float(np.finfo(any_net.dtype).eps * np.abs(expected).max())
        for way, weights in actual.items():
            tensor, tolerance = f"{name} after {STEPS} × {way}", growing + rounded / scale
            compared[way].append(compare(tensor, weights[i], expected, any_net.dtype, scale, tolerance, forgiven))
    return checks + [check for way in ways for check in compared[way]]
