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


def _elements(shape: Shape) -> tuple[int, int, int, int, int]:
    """Of x, y, w1, w2 and h."""
    N, D_in, H, D_out = shape.N, shape.D_in, shape.H, shape.D_out
    return N * D_in, N * D_out, D_in * H, H * D_out, N * H
