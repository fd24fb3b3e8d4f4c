"""A short check of a timed cell, in a process that does not verify its contender. It only clears a cell: a cell that
it does not clear is checked in full, so that it may be strict.

It compares some samples' predictions and some hidden units' gradients with a step in float64, which takes a small part
of the products of the whole step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import dtypes
from .aftercheck import MOST_ROWS, subtracted
from .blas import one_thread
from .lazy import kept, recomputed, undone
from .nets import another, results
from .reference import Expected, Sums, check_prediction, nearness, predict, rounding_of
from .timing import Timer
from .training import Training, ends_lower

SAMPLES = 8
UNITS = 32


def is_clear(timer: Timer, seconds: float, training: Training | None, steps_apart: bool = False) -> bool:
    """Tell whether a cell that took `seconds` per iteration leaves nothing undone and keeps nothing, and an iteration
    from its current weights is right. `training` is what a `train` returned last; if `steps_apart`, the step has a
    cell of its own, and a training's steps are not checked."""
    return not any(_doubts(timer, seconds, training, steps_apart))


def _doubts(timer: Timer, seconds: float, training: Training | None, steps_apart: bool) -> Iterator[str | bool]:
    phase, net = timer.phase, timer.net
    if training:
        yield not ends_lower(training, net, timer.steps)
        yield from () if steps_apart else _of_step(another(net, training.weights))
        return
    results(net, phase)()  # the first reading allocates its memory
    yield from undone(timer, seconds, timer.make, singly=False)
    yield from recomputed(timer, seconds, timer.make)
    if phase == "update":
        yield from subtracted(net)
    elif phase == "step":
        yield from _of_step(net)
    else:
        yield from _of_half(timer, seconds)


def _of_half(timer: Timer, seconds: float) -> Iterator[str | bool]:
    """Check a forward or a backward right after a change of the weights, which the timed ones did not have."""
    net, phase = timer.net, timer.phase
    yield from kept(timer, seconds)
    weights, prediction = net.weights(), net.prediction()
    yield _is_off(net, weights, prediction)
    if phase == "backward":
        part = Part.of(net, weights, prediction)
        yield from (not check.passed for check in part.expected.gradients(part.at(net.gradients())))


def _of_step(net: Any) -> Iterator[bool]:
    weights = net.weights()
    net.forward()
    net.synchronize()
    prediction = net.prediction()
    yield _is_off(net, weights, prediction)
    part = Part.of(net, weights, prediction)
    net.step()
    net.synchronize()
    yield from (not check.passed for check in part.expected.weights(part.at(net.weights())))


@one_thread()
def _is_off(net: Any, weights: tuple[np.ndarray, np.ndarray], prediction: np.ndarray) -> bool:
    """Compare some samples in the net's own dtype, or in float32: in float64, casting w1 would take most of the
    time."""
    samples = _some(len(prediction), SAMPLES)
    x, *_ = net.problem.arrays(net.dtype)
    w1, w2 = (dtypes.for_products(tensor) for tensor in weights)
    return not check_prediction(net, prediction[samples], *predict(x[samples], w1, w2)).passed


@dataclass(frozen=True)
class Part:
    """The gradients of some hidden units in a step, and in w1 of some rows. They need the other units only for the
    prediction."""

    expected: Expected
    rows: np.ndarray
    units: np.ndarray

    @classmethod
    def of(cls, net: Any, weights: tuple[np.ndarray, np.ndarray], prediction: np.ndarray) -> Part:
        """Compute the part from given weights: the hidden layer in the net's own dtype or in float32, the rest in
        float64."""
        _, D_in, H, _ = net.problem.shape
        rows, units = _some(D_in, MOST_ROWS), _some(H, UNITS)
        x, y, *_ = net.problem.arrays(net.dtype)
        w1, w2 = weights[0][:, units], weights[1][units]
        with one_thread():
            h = dtypes.for_products(x) @ dtypes.for_products(w1)
            parts = (x[:, rows], y, h, prediction)  # the prediction is of all units
            rounding = rounding_of(net)
            sums = Sums(w2.astype(np.float64), nearness(x, w1, rounding), is_narrow=rounding.stored > 0)
            sums.add(*(part.astype(np.float64) for part in parts))
        return cls(Expected(net, sums.step(), w1[rows], w2), rows, units)

    def at(self, tensors: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return this part of tensors shaped like w1 and w2."""
        return tensors[0][np.ix_(self.rows, self.units)], tensors[1][self.units]


def _some(count: int, most: int) -> np.ndarray:
    """Return at most `most` of 0 … count - 1 at random, different ones in each process."""
    return np.random.default_rng().permutation(count)[:most]
