"""Verify a net before it is timed: compare it with a float64 reference, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .course import STEPS, Course, own
from .nets import copies
from .reference import SAFETY, Check, Expected, compare, pair, positive, rounding_of


def verify(make: Callable[[], Any], course_of: Callable[[Any], Course] = own) -> list[Check]:
    """Compare nets from `make()` with the reference: prediction, gradients, one update by the phases, and the weights
    and losses of a few whole steps, by `step` and by `train`. `course_of(net)` returns the reference, which this
    process computes unless another one is given. Raises Unusable where that cannot be used."""
    net = make()
    start = copies(net.problem.arrays(net.dtype)[2:])
    course = course_of(net)
    return _phases(net, start, course) + _trajectories(make, start, course)


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


def _trajectories(make: Callable[[], Any], start: tuple[np.ndarray, ...], course: Course) -> list[Check]:
    stepped, trained = make(), make()
    growing = SAFETY * rounding_of(trained) * math.sqrt(sum(trained.problem.shape)) * STEPS**2
    due, forgiven = course.end("losses")
    losses = trained.train(STEPS)
    checks = [compare("losses of train", losses, due, trained.dtype, positive(float(due.max())), growing, forgiven)]
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
        rounded = STEPS * 2 * float(np.finfo(trained.dtype).eps * np.abs(expected).max())
        for how, weights in actual.items():
            tensor, tolerance = f"{name} after {STEPS} × {how}", growing + rounded / scale
            compared[how].append(compare(tensor, weights[i], expected, trained.dtype, scale, tolerance, forgiven))
    return checks + compared["step"] + compared["train"]
