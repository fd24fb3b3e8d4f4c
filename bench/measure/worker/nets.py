"""What the checks do with nets besides timing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np


def advance(net: Any, update: bool = True) -> None:
    """Make a step by its phases, or all of it but the update."""
    net.forward()
    net.backward()
    if update:
        net.update()
    net.synchronize()


def change(net: Any, phase: str) -> None:
    """After a forward or a backward, complete its step, which changes the weights, and repeat what precedes `phase`."""
    if phase == "forward":
        net.backward()
    net.update()
    if phase == "backward":
        net.forward()
    net.synchronize()


def another(net: Any, weights: tuple[np.ndarray, ...]) -> Any:
    """Return a net of the same problem that starts from other weights."""
    x, y, *_ = net.problem.arrays(net.dtype)
    same = replace(net.problem, w1=weights[0], w2=weights[1], _casts={net.dtype: (x, y, *weights)})
    return type(net)(same, net.device, net.dtype)


def results(net: Any, phase: str) -> Callable[[], tuple[Any, ...]]:
    """Return what reads a phase's results to the host."""
    if phase == "forward":
        return lambda: (net.prediction(),)
    return lambda: tuple(net.gradients() if phase == "backward" else net.weights())


def copies(tensors: Any) -> tuple[Any, ...]:
    """Return copies of what a getter returned, which may change with the net."""
    return tuple(np.array(tensor) for tensor in tensors)


def number_of_bytes(tensors: Any) -> int:
    return sum(np.asarray(tensor).nbytes for tensor in tensors)
