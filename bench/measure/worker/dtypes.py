"""What a dtype's numbers are. Of contenders' code none is asked: it could else decide what counts as rounding."""

from __future__ import annotations

import numpy as np

NARROW = ("float16", "bfloat16")
"""The dtypes whose products are summed in float32 and then rounded to the dtype, by frameworks and by processors."""
BFLOAT16_BITS = 8
"""The bits of bfloat16's significand, with the one that is not stored."""


def eps(dtype: str) -> float:
    """Return the distance from 1 to the next larger number of a dtype."""
    return 2.0 ** (1 - BFLOAT16_BITS) if dtype == "bfloat16" else float(np.finfo(dtype).eps)


def sum_eps(dtype: str) -> float:
    """Return the same of the dtype in which a dtype's products are summed."""
    return eps("float32" if dtype in NARROW else dtype)


def item_bytes(dtype: str) -> int:
    """Return the bytes of a number where it is computed with."""
    return 2 if dtype in NARROW else np.dtype(dtype).itemsize


def host_dtype(dtype: str) -> str:
    """Return the dtype of a net's arrays on the host: float32 for bfloat16, which NumPy does not have."""
    return "float32" if dtype == "bfloat16" else dtype


def rounded(numbers: np.ndarray | float, dtype: str) -> np.ndarray:
    """Return the nearest numbers of a dtype, in float64, for numbers in float64; for bfloat16 those of its normal
    range."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return np.asarray(numbers, np.float64).astype(dtype).astype(np.float64)
    significand, exponent = np.frexp(np.asarray(numbers, np.float64))
    return np.ldexp(np.rint(np.ldexp(significand, BFLOAT16_BITS)), exponent - BFLOAT16_BITS)


def half_units(numbers: np.ndarray, dtype: str) -> np.ndarray:
    """Return half the distance to the next number of a dtype from each of some numbers in float64: as much as is lost
    when a result there is stored."""
    _, exponent = np.frexp(numbers)
    return np.maximum(np.ldexp(eps(dtype) / 4, exponent), least(dtype) / 2)


def lacks(array: np.ndarray, dtype: str) -> bool:
    """Tell whether a dtype lacks some number of an array in its `host_dtype`."""
    return dtype == "bfloat16" and bool((np.ascontiguousarray(array).view(np.uint32) & np.uint32(0xFFFF)).any())


def rate_error(rate: float, dtype: str) -> float:
    """Return how far a rate, or twice a rate, may be from its nearest number of a dtype, relative to it: in float16
    small rates are subnormal, or 0."""
    least = float(np.finfo(np.float16).smallest_subnormal) if dtype == "float16" else 0.0
    return min(1.0, max(eps(dtype), least / rate) / 2)


def least(dtype: str) -> float:
    """Return the smallest positive number of a dtype."""
    return float(np.finfo(np.float32 if dtype == "bfloat16" else dtype).smallest_subnormal)


def updated(
    weights: np.ndarray, change: np.ndarray, slack: np.ndarray | float, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest numbers of a dtype that weights may become when a change is subtracted that is
    known up to `slack`: rounding keeps the order of numbers."""
    after = weights - change
    return rounded(after - slack, dtype), rounded(after + slack, dtype)


def for_products(array: np.ndarray) -> np.ndarray:
    """Return an array with which NumPy computes quickly, and without further rounding: float32 for float16."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def norm(array: np.ndarray) -> float:
    """Return the Euclidean norm of all numbers; their squares may be beyond float16."""
    return float(np.linalg.norm(for_products(array)))


def beyond(dtype: str) -> str:
    """Return a hint at where a dtype's numbers end if that is near; else nothing."""
    return f"; {dtype} ends at {np.finfo(dtype).max:.0f}" if dtype == "float16" else ""
