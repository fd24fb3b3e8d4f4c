"""A short check of a timed cell, in a process that does not verify its contender. It only clears a cell: what it does
not clear is checked in full, so that it may be strict.

Of a step in float64 it needs some samples' predictions and some hidden units' gradients, which take a small part of
the products that all of them do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .aftercheck import subtracted
from .blas import one_thread
from .lazy import KEPT_RATIO, SLACK_SECONDS, kept, recomputed, timed, undone
from .nets import advance, another, results
from .reference import Expected, Reference, reference
from .timing import Timer
from .training import Training, ends_lower

SAMPLES = 8
UNITS = 32


def is_clear(timer: Timer, seconds: float, training: Training | None) -> bool:
    """Whether nothing is left undone or kept by a cell that took `seconds` an iteration, and an iteration from the
    weights as they are now is right. `training` is what a `train` returned last."""
    return not any(_doubts(timer, seconds, training))


def _doubts(timer: Timer, seconds: float, training: Training | None) -> Iterator[str | bool]:
    phase, net = timer.phase, timer.net
    if training:
        yield not ends_lower(training, net, timer.steps)
        yield from _of_step(another(net, training.weights))
        return
    results(net, phase)()  # a first reading has its memory to find
    yield from undone(timer, seconds, timer.make)
    yield from recomputed(timer, seconds, timer.make)
    if phase == "update":
        yield from subtracted(net)
    elif phase == "step":
        yield from _of_step(net)
    else:
        yield from _of_half(timer, seconds)


def _of_half(timer: Timer, seconds: float) -> Iterator[str | bool]:
    """Of a forward or a backward, right after a change of the weights: the timed ones found them unchanged."""
    net, phase = timer.net, timer.phase
    advance(net)
    if phase == "backward":
        net.forward()
        net.synchronize()
    if timed(timer, lambda: (getattr(net, phase)(), net.synchronize())) > KEPT_RATIO * seconds + SLACK_SECONDS:
        yield from kept(timer)
    weights, prediction = net.weights(), net.prediction()
    yield _is_off(net, weights, prediction)
    if phase == "backward":
        expected, units = _some_units(net, weights, prediction)
        w1, w2 = net.gradients()
        yield from (not check.passed for check in expected.gradients((w1[:, units], w2[units])))


def _of_step(net: Any) -> Iterator[bool]:
    weights = net.weights()
    net.forward()
    net.synchronize()
    prediction = net.prediction()
    yield _is_off(net, weights, prediction)
    expected, units = _some_units(net, weights, prediction)
    net.step()
    net.synchronize()
    start, (w1, w2) = expected.reference, net.weights()
    after = start.w1 - start.rate * start.grad_w1, start.w2 - start.rate * start.grad_w2
    yield from (not check.passed for check in expected.weights((w1[:, units], w2[units]), after))


@one_thread()
def _is_off(net: Any, weights: tuple[np.ndarray, np.ndarray], prediction: np.ndarray) -> bool:
    """By some samples, in the net's own dtype: in float64, most of the time would go to casting w1."""
    samples = _some(len(prediction), SAMPLES)
    x, y, *_ = net.problem.arrays(net.dtype)
    part = Reference(x[samples], y[samples], *weights, net.problem.learning_rate, near=0.0, decide=np.zeros)
    part.forward()
    return not Expected(net, part).prediction(prediction[samples]).passed


def _some_units(
    net: Any, weights: tuple[np.ndarray, np.ndarray], prediction: np.ndarray
) -> tuple[Expected, np.ndarray]:
    """The gradients of some hidden units, and which: they need the others for the prediction alone."""
    units = _some(len(weights[1]), UNITS)
    part = reference(net, weights, units=units)
    part.forward()
    part.y_pred = prediction.astype(np.float64)
    part.backward()
    return Expected(net, part), units


def _some(count: int, most: int) -> np.ndarray:
    """So many of 0 … count - 1 at random, others in each process."""
    return np.random.default_rng().permutation(count)[:most]
