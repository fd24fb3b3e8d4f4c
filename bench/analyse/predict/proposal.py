"""Propose sizes to measure: those that would sharpen a prediction most.

propose([model.curves[who, "step"] for who in predicted], model.scale.single, Shape(256, 2000, 300)).shapes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import expm1, sqrt

import numpy as np

from bench.plan.cells import Shape, flops

from .costmodel import AXES, NOISE, Curve

MOST_SHAPES = 2
"""The most shapes that are proposed at once."""
WORTHWHILE = 0.05
"""The least part of an interval that a shape must take away to be proposed."""


@dataclass(frozen=True)
class Proposal:
    """The shapes to measure, in the order of their worth, and the relative half-width of the interval at the asked
    shape, now and with them: that of the contenders' mean spread."""

    shapes: tuple[Shape, ...]
    half_width: float
    half_width_after: float


def propose(curves: Sequence[Curve], scale: float, asked: Shape) -> Proposal:
    """Return the shapes whose measurement would narrow the contenders' intervals at the `asked` shape most, by the
    fitted models. `scale` is that of the intervals, in standard deviations.

    A measurement at c takes cov(a, c)² / (var(c) + noise²) from the variance at a, whatever its result (Rasmussen &
    Williams 2006, equation 2.24). The best shape is taken first, and then the best beside it (greedy design: Krause,
    Singh & Guestrin 2008), while it narrows the interval by WORTHWHILE.
    """
    measured = list(dict.fromkeys(shape for curve in curves for shape in curve.measured.shapes))
    shapes = [asked, *candidates(measured, asked)]
    covariances = np.stack([curve.posterior(shapes)[1] for curve in curves])
    half_widths = [_half_width(covariances, scale)]
    chosen: list[Shape] = []
    while len(chosen) < min(MOST_SHAPES, len(shapes) - 1):
        is_free = [shape != asked and shape not in chosen for shape in shapes]
        best = int(np.argmax(np.where(is_free, _taken(covariances), -np.inf)))
        narrowed = _measured_at(covariances, best)
        half_width = _half_width(narrowed, scale)
        if half_width > (1 - WORTHWHILE) * half_widths[-1]:
            break
        covariances = narrowed
        half_widths.append(half_width)
        chosen.append(shapes[best])
    return Proposal(tuple(chosen), half_widths[0], half_widths[-1])


def candidates(measured: Sequence[Shape], asked: Shape) -> list[Shape]:
    """Return the shapes that may be proposed: of each axis the least, the middle and the largest size measured, with
    each other. The middle is the geometric mean, rounded to two digits. Left out are the shapes that were measured, the
    one that is asked for, and those of more work than the largest of these."""
    sizes = [_sizes([getattr(shape, axis) for shape in measured]) for axis in AXES]
    most = max(flops(shape, "step") for shape in [*measured, asked])
    shapes = (Shape(*each) for each in product(*sizes))
    known = {*measured, asked}
    return [shape for shape in shapes if shape not in known and flops(shape, "step") <= most]


def _sizes(measured: Sequence[int]) -> list[int]:
    low, high = min(measured), max(measured)
    middle = round(float(f"{sqrt(low * high):.2g}"))
    return sorted({low, min(max(middle, low), high), high})


def _taken(covariances: np.ndarray) -> np.ndarray:
    """Return the variance at the first shape that a measurement at each shape takes away, (shapes,), summed over the
    contenders, from their covariances (contenders, shapes, shapes)."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    return (covariances[:, 0] ** 2 / (variances + NOISE**2)).sum(axis=0)


def _measured_at(covariances: np.ndarray, index: int) -> np.ndarray:
    """Return the covariances (contenders, shapes, shapes) once a shape is measured."""
    column = covariances[:, :, index]
    noisy = column[:, index] + NOISE**2
    return covariances - column[:, :, None] * column[:, None, :] / noisy[:, None, None]


def _half_width(covariances: np.ndarray, scale: float) -> float:
    spreads = np.sqrt(covariances[:, 0, 0] + NOISE**2)
    return expm1(scale * float(spreads.mean()))
