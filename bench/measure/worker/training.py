"""Whether a training that was timed did all of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reference import SAFETY, pair, reference, rounding_of

LOOSE = 0.1
"""How far a training may stray from the same steps one by one, of the way that the weights have gone: rounding
grows over many steps."""


@dataclass(frozen=True)
class Training:
    """Copies of what a training returned, made before anything else could change it."""

    losses: Any
    weights: tuple[Any, ...]

    @classmethod
    def of(cls, losses: Any, weights: Any) -> Training:
        return cls(np.array(losses), tuple(np.array(tensor) for tensor in pair(weights)))


def reasons(training: Training, net: Any, steps: int) -> Iterator[str]:
    """Why a training is wrong, in words, by the steps of a net that has done none yet."""
    losses = training.losses
    if losses.shape != (steps,):
        yield f"train({steps}) returned losses of shape {losses.shape}, not ({steps},)"
        return
    start = net.problem.arrays(net.dtype)[2:]
    allowed = SAFETY * rounding_of(net) * float(sum(net.problem.shape)) ** 0.5
    first = last = _loss(net, start)
    for step in range(steps):
        if step and step == steps - 1:
            last = _loss(net, net.weights())
        net.step()
    net.synchronize()
    # Not a number is never near.
    if not abs(losses[0] - first) <= (LOOSE + allowed) * first:
        yield f"train({steps}) returned {losses[0]:.4g} as its first loss, which is {first:.4g}"
    elif not abs(losses[-1] - last) <= LOOSE * last + allowed * first:
        yield f"train({steps}) returned {losses[-1]:.4g} as its last loss; {steps} × step come to {last:.4g}"
    else:
        yield from _strayed(training, net, steps, start)


def _strayed(training: Training, net: Any, steps: int, start: tuple[np.ndarray, ...]) -> Iterator[str]:
    for i, (trained, stepped) in enumerate(zip(training.weights, net.weights(), strict=True)):
        if np.shape(trained) != np.shape(stepped):
            yield f"train({steps}) left w{i + 1} with shape {np.shape(trained)}, not {np.shape(stepped)}"
            return
        way = float(np.linalg.norm(stepped - start[i]))
        apart = float(np.linalg.norm(trained - stepped))
        rounded = steps * float(np.finfo(net.dtype).eps) * float(np.linalg.norm(stepped))
        if not apart <= LOOSE * way + rounded:
            yield (
                f"w{i + 1} after train({steps}) is {apart:.2g} away from where {steps} × step bring it, "
                f"of a way of {way:.2g}: the training did not do what its steps do"
            )
            return


def _loss(net: Any, weights: Any) -> float:
    at = reference(net, (weights[0], weights[1]))
    at.forward()
    return at.loss()
