"""Randomise where in memory arrays lie, anew for every block.

Alignment and aliasing follow from what a process has allocated and freed before, are the same each
time it does the same, and can be worth a third of a step: without this, they bias every sample of a
process alike (Mytkowicz et al. 2009; Curtsinger & Berger 2013 randomise them for this reason).
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

BLOCKS = 48
SIZES = range(2**10, 2**19, 16)


LINE_BYTES = 64
"""The bytes of a cache line, which are those of the longest vector as well."""
ALLOCATION_BYTES = 16
"""Allocators begin an array at multiples of this."""
ALIGN_SECONDS = 5e-3
"""How long a block tries to get a net whose weights begin at a given place of a cache line."""


def alignment_of(net: Any) -> int | None:
    """Return in which quarter of a cache line a net's first weights begin; None where they are no NumPy array: other
    backends align their arrays themselves."""
    w1 = getattr(net, "w1", None)
    return w1.ctypes.data % LINE_BYTES // ALLOCATION_BYTES if isinstance(w1, np.ndarray) else None


def scatter(draw: random.Random) -> list[np.ndarray]:
    """Leave holes of random sizes in the heap, which last as long as the returned arrays exist."""
    blocks = [np.empty(draw.choice(SIZES), np.uint8) for _ in range(BLOCKS)]  # never touched: takes no memory
    draw.shuffle(blocks)
    return blocks[: BLOCKS // 2]
