"""Verify a net before it is timed: compare it with a float64 reference, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reference import SAFETY, Check, Decide, Expected, Reference, compare, pair, positive, reference, rounding_of

TRAJECTORY_STEPS = 3


def verify(make: Callable[[], Any]) -> list[Check]:
    """Compare nets from `make()` with the reference: prediction, gradients, one update by the phases, and the weights
    and losses of a few whole steps, by `step` and by `train`."""
    net = make()
    start = net.problem.arrays(net.dtype)[2:]
    course = _course(reference(net, start))
    alternatives = [_course(reference(net, start, decide)) for decide in _DECISIONS] if course.in_doubt else []
    return _phases(net, course) + _trajectories(make, course, alternatives)


def worst(checks: list[Check]) -> Check:
    """Return the check that used most of its tolerance."""
    return max(checks, key=lambda check: check.error / check.tolerance if check.passed else math.inf)


def _random_half(seed: int) -> Decide:
    return lambda shape: np.random.default_rng(seed).random(shape) < 0.5


_DECISIONS: list[Decide] = [np.ones, *map(_random_half, range(4))]
"""Other choices of the undecided that count as positive: all, and random halves, whose effects differ."""


@dataclass(frozen=True)
class _Course:
    """A reference's first step, its weights after that, its losses, and its weights after the last step."""

    first: Reference
    after: tuple[np.ndarray, np.ndarray]
    losses: np.ndarray
    final: tuple[np.ndarray, np.ndarray]
    in_doubt: bool
    """Whether any step had pre-activations too close to 0 for their sign to be certain."""


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


def _phases(net: Any, course: _Course) -> list[Check]:
    expected = Expected(net, course.first)
    net.forward()
    net.synchronize()
    checks = [expected.prediction(net.prediction())]
    net.backward()
    net.synchronize()
    checks += expected.gradients(net.gradients())
    net.update()
    net.synchronize()
    return checks + expected.weights(net.weights(), course.after)


def _trajectories(make: Callable[[], Any], course: _Course, alternatives: list[_Course]) -> list[Check]:
    stepped, trained = make(), make()
    start = trained.problem.arrays(trained.dtype)[2:]
    growing = SAFETY * rounding_of(trained) * math.sqrt(sum(trained.problem.shape)) * TRAJECTORY_STEPS**2
    scale = positive(float(course.losses.max()))
    forgiven = _doubt(course.losses, [alternative.losses for alternative in alternatives])
    losses = trained.train(TRAJECTORY_STEPS)
    checks = [compare("losses of train", losses, course.losses, trained.dtype, scale, growing, forgiven)]
    for _ in range(TRAJECTORY_STEPS):
        stepped.step()
    for how, net in (("step", stepped), ("train", trained)):
        net.synchronize()
        for i, actual in enumerate(pair(net.weights())):
            expected = course.final[i]
            scale = positive(float(np.abs(expected - start[i]).max()))
            rounded = TRAJECTORY_STEPS * 2 * float(np.finfo(net.dtype).eps * np.abs(expected).max())
            forgiven = _doubt(expected, [alternative.final[i] for alternative in alternatives])
            name = f"w{i + 1} after {TRAJECTORY_STEPS} × {how}"
            checks.append(compare(name, actual, expected, net.dtype, scale, growing + rounded / scale, forgiven))
    return checks


def _doubt(expected: np.ndarray, alternatives: list[np.ndarray]) -> np.ndarray | float:
    """Return how much the undecided may change each element, with a margin for untried choices."""
    return 4 * np.max([np.abs(alternative - expected) for alternative in alternatives], axis=0) if alternatives else 0.0
