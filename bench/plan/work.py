"""Count the bytes that a phase has to move and has to have; `cells` counts floating-point operations."""

from __future__ import annotations

from collections.abc import Iterable

from .cells import PHASES, Cell, Shape, flops

ITEM_BYTES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
"""The bytes of an array's element, by dtype."""
SMALLEST_FOOTPRINT, LARGEST_FOOTPRINT = 4**9, 4**14
"""The bytes within which bandwidths are measured: 256 KiB and 256 MiB."""


def unavoidable_bytes(shape: Shape, phase: str, itemsize: int, steps: int = 1) -> int:
    """Return the bytes that one iteration of a phase reads or writes however it is implemented: each
    input array is read once, each output array is written once.

    Forward reads x, w1, w2 and writes h and y_pred. Backward reads x, y, w2, h, y_pred and writes
    both gradients. Update reads both weights and both gradients and writes both weights. A step, all
    three at once, need not keep anything in between: it reads x, y and both weights, and writes both
    weights. `train` is `steps` steps. Raises ValueError for an unknown phase.
    """
    x, y, w1, w2, h = elements(shape)
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
    """Return the bytes of memory that `unavoidable_bytes` lie in: weights that are read and written count
    once, and so do the arrays that every step of a `train` uses. Raises ValueError for an unknown phase."""
    _, _, w1, w2, _ = elements(shape)
    rewritten = {"update": w1 + w2, "step": w1 + w2, "train": w1 + w2}
    return unavoidable_bytes(shape, phase, itemsize) - itemsize * rewritten.get(phase, 0)


def streamed_footprints(cells: Iterable[Cell]) -> list[int]:
    """Return the footprints at which a bandwidth is measured for some cells: for each of them the nearest power of 4
    that is not above its own, from SMALLEST_FOOTPRINT to LARGEST_FOOTPRINT; ascending."""
    own = [footprint_bytes(cell.shape, cell.phase, ITEM_BYTES[cell.contender.dtype]) for cell in cells]
    powers = [4 ** ((footprint.bit_length() - 1) // 2) for footprint in own]
    return sorted({min(max(power, SMALLEST_FOOTPRINT), LARGEST_FOOTPRINT) for power in powers})


def needed_bytes(shape: Shape, itemsize: int, is_verified: bool) -> int:
    """Return the minimum of host memory for a shape's problem and its net, and for verifying the net in float64:
    the arrays that exist at the same time. Frameworks, and most contenders, take more.

    Whether the reference is computed or read, a few arrays in float64 have the shapes of the weights and of y_pred;
    none has that of x or of the hidden layer, which are computed in parts.
    """
    x, y, w1, w2, h = elements(shape)
    all_arrays, weights = x + y + w1 + w2, w1 + w2
    problem = 8 * all_arrays + (itemsize * all_arrays if itemsize != 8 else 0)
    verification = 8 * (4 * weights + y) if is_verified else 0
    return problem + itemsize * (2 * weights + h) + verification


def reference_bytes(shape: Shape) -> int:
    """Return the most bytes of a stored reference: in float64 the prediction, both gradients of a step, both weights
    after some steps, and what may be forgiven of w1's gradient and of these weights."""
    _, y, w1, w2, _ = elements(shape)
    return 8 * (y + 4 * w1 + 3 * w2)


def reference_flops(shape: Shape) -> int:
    """Return the most floating-point operations of a reference: six courses of three steps."""
    return 6 * flops(shape, "train", steps=3)


def needed_device_bytes(shape: Shape, itemsize: int) -> int:
    """Return the minimum of device memory for a net: its arrays, its gradients and one hidden layer."""
    x, y, w1, w2, h = elements(shape)
    return itemsize * (x + y + 2 * (w1 + w2) + h)


def elements(shape: Shape) -> tuple[int, int, int, int, int]:
    """Return the numbers of elements of x, y, w1, w2 and h."""
    N, D_in, H, D_out = shape.N, shape.D_in, shape.H, shape.D_out
    return N * D_in, N * D_out, D_in * H, H * D_out, N * H
