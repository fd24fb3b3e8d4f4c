"""The least that a phase can do: floating-point operations are in `cells`, the bytes that must move are here."""

from __future__ import annotations

from .cells import PHASES, Shape

ITEM_BYTES = {"float32": 4, "float64": 8}
"""By dtype."""


def unavoidable_bytes(shape: Shape, phase: str, itemsize: int, steps: int = 1) -> int:
    """Bytes that one iteration of a phase reads or writes however it is written: each array that it
    is given is read once, each that it leaves behind is written once.

    Forward reads x, w1, w2 and writes h and y_pred. Backward reads x, y, w2, h, y_pred and writes
    both gradients. Update reads both weights and both gradients and writes both weights. A step, all
    three at once, need keep nothing in between: it reads x, y and both weights, and writes both
    weights. `train` is `steps` steps. Raises ValueError for what is no phase.
    """
    x, y, w1, w2, h = _elements(shape)
    weights, y_pred = w1 + w2, y
    match phase:
        case "forward":
            return itemsize * (x + w1 + w2 + h + y_pred)
        case "backward":
            return itemsize * (x + y + w2 + h + y_pred + weights)
        case "update":
            return itemsize * 3 * weights
        case "step":
            return itemsize * (x + y + 2 * weights)
        case "train":
            return steps * unavoidable_bytes(shape, "step", itemsize)
    raise ValueError(f"{phase!r} is not a phase; phases are {', '.join(PHASES)}")


def footprint_bytes(shape: Shape, phase: str, itemsize: int) -> int:
    """How much memory those bytes lie in: weights that are read and written count once, and so do
    the arrays that every step of a `train` comes back to. Raises ValueError for what is no phase."""
    _, _, w1, w2, _ = _elements(shape)
    rewritten = {"update": w1 + w2, "step": w1 + w2, "train": w1 + w2}
    return unavoidable_bytes(shape, phase, itemsize) - itemsize * rewritten.get(phase, 0)


def needed_bytes(shape: Shape, itemsize: int, is_verified: bool) -> int:
    """The least memory that a process takes on the host to have a shape's problem and a net of it, and to verify that
    in float64: the arrays that are there at the same time. Frameworks, and most contenders, take more."""
    x, y, w1, w2, h = _elements(shape)
    all_arrays, weights = x + y + w1 + w2, w1 + w2
    problem = 8 * all_arrays + (itemsize * all_arrays if itemsize != 8 else 0)
    reference = 8 * (all_arrays + 2 * h + w1) if is_verified else 0
    return problem + itemsize * (2 * weights + h) + reference


def needed_device_bytes(shape: Shape, itemsize: int) -> int:
    """The least memory that a net takes where it computes: its arrays, its gradients and one hidden layer."""
    x, y, w1, w2, h = _elements(shape)
    return itemsize * (x + y + 2 * (w1 + w2) + h)


def _elements(shape: Shape) -> tuple[int, int, int, int, int]:
    """Of x, y, w1, w2 and h."""
    N, D_in, H, D_out = shape.N, shape.D_in, shape.H, shape.D_out
    return N * D_in, N * D_out, D_in * H, H * D_out, N * H
