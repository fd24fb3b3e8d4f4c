"""Check that a timed training did all of its steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import dtypes, problems
from .blas import one_thread
from .duration import in_words
from .reference import SAFETY, STAGES_OF_LOSS, pair, rounding_of

LOOSE = 0.1
"""How far a training may stray from the same steps one by one, as a share of how far the weights have moved:
rounding grows over many steps."""

TRIES, LEAST_TRIES = 6, 2
"""Trainings of other numbers are tried at most and at least so many times, since one may be interrupted."""
KEPT_RATIO = 4.0
"""A training that is this many times quicker than its steps, or than one of other numbers, may keep results."""


@dataclass(frozen=True)
class Training:
    """Copies of what a training returned, made before anything else could change it."""

    losses: Any
    weights: tuple[Any, ...]

    @classmethod
    def of(cls, losses: Any, weights: Any) -> Training:
        return cls(np.array(losses), tuple(np.array(tensor) for tensor in pair(weights)))


def reasons(training: Training, net: Any, steps: int, seconds: float, now: Callable[[], float]) -> Iterator[str]:
    """Yield why a training that took `seconds` is wrong, in words, by the steps of a net that has done none yet."""
    losses = training.losses
    if losses.shape != (steps,):
        yield f"train({steps}) returned losses of shape {losses.shape}, not ({steps},)"
        return
    start = net.problem.arrays(net.dtype)[2:]
    allowed = _allowed(net)
    first = last = _loss(net, start)
    started = now()
    for step in range(steps):
        if step and step == steps - 1:
            started -= now()
            last = _loss(net, net.weights())
            started += now()
        net.step()
    net.synchronize()
    stepped = now() - started
    # NaN fails these comparisons.
    if not abs(losses[0] - first) <= (LOOSE + allowed) * first:
        yield f"train({steps}) returned {losses[0]:.4g} as its first loss, which is {first:.4g}"
    elif not abs(losses[-1] - last) <= LOOSE * last + allowed * first:
        yield f"train({steps}) returned {losses[-1]:.4g} as its last loss; {steps} × step come to {last:.4g}"
    else:
        yield from _strayed(training, net, steps, start)
        if stepped > KEPT_RATIO * seconds:
            yield from _kept(net, steps, now)


def ends_lower(training: Training, net: Any, steps: int) -> bool:
    """Tell whether a training's first loss is that of the problem's weights, and its weights have no greater loss than
    its last: more cannot be said without its steps."""
    losses = training.losses
    if losses.shape != (steps,):
        return False
    first, last = _loss(net, net.problem.arrays(net.dtype)[2:]), _loss(net, training.weights)
    allowed = _allowed(net) * first
    return bool(abs(losses[0] - first) <= LOOSE * first + allowed and last <= (1 + LOOSE) * losses[-1] + allowed)


def _strayed(training: Training, net: Any, steps: int, start: tuple[np.ndarray, ...]) -> Iterator[str]:
    for i, (trained, stepped) in enumerate(zip(training.weights, net.weights(), strict=True)):
        if np.shape(trained) != np.shape(stepped):
            yield f"train({steps}) left w{i + 1} with shape {np.shape(trained)}, not {np.shape(stepped)}"
            return
        distance, apart = dtypes.norm(stepped - start[i]), dtypes.norm(trained - stepped)
        rounded = _rounded(net.dtype, steps, stepped, distance)
        if not apart <= LOOSE * distance + rounded:
            yield (
                f"w{i + 1} after train({steps}) is {apart:.2g} away from where {steps} × step bring it, "
                f"of a way of {distance:.2g}: the training did not do what its steps do"
            )
            return


def _kept(net: Any, steps: int, now: Callable[[], float]) -> Iterator[str]:
    """Check whether a training keeps what it had computed: if so, one of new numbers returns a loss that is not theirs,
    or takes so much longer than one of the timed numbers right before it that the latter cannot have computed
    anything."""
    quickest = {False: math.inf, True: math.inf}
    for attempt in range(1, TRIES + 1):
        problem = problems.random(net.problem.shape, net.dtype, seed=attempt)
        start = problem.arrays(net.dtype)[2:]
        for is_new, numbers in ((False, net.problem), (True, problem)):
            started = now()
            fresh = type(net)(numbers, net.device, net.dtype)
            losses = fresh.train(steps)
            fresh.weights()
            quickest[is_new] = min(now() - started, quickest[is_new])
        first = _loss(fresh, start)
        if not abs(losses[0] - first) <= (LOOSE + _allowed(net)) * first:
            yield (
                f"train({steps}) of other numbers returned {losses[0]:.4g} as its first loss, which is {first:.4g}: "
                "it keeps what it had computed"
            )
            return
        if attempt >= LEAST_TRIES and quickest[True] <= KEPT_RATIO * quickest[False]:
            return
    yield (
        f"train({steps}) takes {in_words(quickest[False])} for the timed numbers, but {in_words(quickest[True])} for "
        "others: it keeps what it had computed"
    )


def _rounded(dtype: str, steps: int, weights: np.ndarray, distance: float) -> float:
    """Return how far rounding may bring two trainings apart whose weights moved by a distance.

    In a narrow dtype, changes that differ by their rounding, eps·change, let as large a share of the weights become
    another number, eps·weights away, than in the other training: eps²·change·weights is the mean square of each.
    """
    length = dtypes.norm(weights)
    if dtype not in dtypes.NARROW:
        return steps * dtypes.eps(dtype) * length
    return dtypes.eps(dtype) * (SAFETY * math.sqrt(distance * length) + float(np.abs(weights).max()))


def _allowed(net: Any) -> float:
    """Return how far rounding may move a loss from its float64 value, relative to it."""
    return rounding_of(net).allowed(STAGES_OF_LOSS, sum(net.problem.shape))


@one_thread()
def _loss(net: Any, weights: Any) -> float:
    """Return the loss in the net's own dtype, or in float32: in float64, casting would take most of the time."""
    x, y, *_ = (dtypes.for_products(array) for array in net.problem.arrays(net.dtype))
    w1, w2 = (dtypes.for_products(tensor) for tensor in weights)
    return float(np.square(np.maximum(x @ w1, 0) @ w2 - y).sum())
