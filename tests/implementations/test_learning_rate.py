"""Tests of the learning rate: the tutorial's at its shape, and stable in every preset."""

from itertools import pairwise

import numpy as np
import pytest

from bench.plan import grid
from bench.plan.cells import Shape, flops
from implementations import Problem
from implementations.interface import learning_rate
from implementations.numpy_ import Net

BUDGET = 8e9
"""Floating-point operations to spend on one shape; the largest shapes get the fewest steps."""
PRESET_SHAPES = list(dict.fromkeys(shape for name in grid.names() for shape in grid.read(name).shapes()))
ODD_SHAPES = [Shape(1, 1, 1, 1), Shape(64, 1, 100), Shape(1, 1000, 1), Shape(256, 10, 10)]


def test_the_tutorials_shape_has_the_tutorials_rate():
    assert learning_rate(64, 1000, 100, 10) == 1e-6
    assert Problem.random(64, 1000, 100, 10).learning_rate == 1e-6


@pytest.mark.parametrize("axis", range(4))
def test_the_rate_falls_with_every_size(axis):
    rates = []
    for factor in (1, 2, 8, 64):
        sizes = [16, 250, 25, 10]
        sizes[axis] *= factor
        rates.append(learning_rate(*sizes))
    assert all(larger > smaller > 0 for larger, smaller in pairwise(rates))


def test_a_problem_has_the_rate_of_its_shape():
    problem = Problem.random(5, 40, 20, 2, seed=3)
    assert problem.learning_rate == learning_rate(*problem.shape)


@pytest.mark.parametrize("shape", PRESET_SHAPES, ids=str)
def test_the_loss_falls_at_every_preset_shape(shape):
    steps = int(np.clip(BUDGET // flops(shape, "step"), 3, 40))
    problem = Problem.random(shape.N, shape.D_in, shape.H, shape.D_out)
    losses = Net(problem, dtype="float32").train(steps)
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", ODD_SHAPES, ids=str)
def test_the_loss_stays_finite_at_odd_shapes(shape, seed):
    problem = Problem.random(shape.N, shape.D_in, shape.H, shape.D_out, seed)
    losses = Net(problem, dtype="float64").train(50)
    assert np.isfinite(losses).all()
    assert losses[-1] <= losses[0]
