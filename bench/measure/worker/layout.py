"""Randomise where in memory arrays lie, anew for every block.

Alignment and aliasing follow from what a process has allocated and freed before, are the same each
time it does the same, and can be worth a third of a step: without this, they bias every sample of a
process alike (Mytkowicz et al. 2009; Curtsinger & Berger 2013 randomise them for this reason).
"""

from __future__ import annotations

import random

import numpy as np

BLOCKS = 48
SIZES = range(2**10, 2**19, 16)


def scatter(draw: random.Random) -> list[np.ndarray]:
    """Leave holes of random sizes in the heap, which last as long as the returned arrays exist."""
    blocks = [np.empty(draw.choice(SIZES), np.uint8) for _ in range(BLOCKS)]  # never touched: takes no memory
    draw.shuffle(blocks)
    return blocks[: BLOCKS // 2]
