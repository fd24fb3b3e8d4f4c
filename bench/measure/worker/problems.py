"""The problems that are measured: random ones, whose numbers a dtype can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from implementations import Problem

LARGEST_LOSS = 1024.0
"""The expected loss that a problem in float16 has at most: 64 times less than the largest number, since gradients are
larger sums than losses, and a first step may raise a loss."""


def random(shape: Sequence[int], dtype: str, seed: int = 0) -> Problem:
    """Return a random problem of a shape, N, D_in, H and D_out. In float16, whose numbers end at 65504, both weights
    are divided by a power of two.

    relu(a·h) = a·relu(h) for a > 0: with weights a·w1 and a·w2, targets a²·y and the rate a⁻²·rate, each step leads to
    a times the weights that it leads to without `a`. The work and its course are the same.
    """
    N, D_in, H, D_out = shape
    problem = Problem.random(N, D_in, H, D_out, seed)
    if dtype != "float16":
        return problem
    a = scale(N, D_in, H, D_out)
    w1, w2, rate = a * problem.w1, a * problem.w2, problem.learning_rate / a**2
    return replace(problem, y=a**2 * problem.y, w1=w1, w2=w2, learning_rate=rate, _casts={})


def scale(N: int, D_in: int, H: int, D_out: int) -> float:
    """Return the factor on both weights: the power of two, at most 1, with which the expected loss, a⁴·N·D_out·(D_in·H
    / 2 + 1), is at most LARGEST_LOSS. relu leaves half of a pre-activation's mean square, which is D_in."""
    loss = N * D_out * (D_in * H / 2 + 1)
    return 2.0 ** min(0, math.floor(math.log2(LARGEST_LOSS / loss) / 4))
