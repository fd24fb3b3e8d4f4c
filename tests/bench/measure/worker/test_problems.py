"""Problems in float16 are those of other dtypes, in other units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.measure.worker import problems
from implementations import Problem, numpy_

TUTORIAL = (64, 1000, 100, 10)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_problem_is_the_random_one_but_in_float16(dtype):
    problem, due = problems.random((3, 4, 5, 2), dtype, seed=1), Problem.random(3, 4, 5, 2, seed=1)
    np.testing.assert_array_equal(problem.w1, due.w1)
    assert problem.learning_rate == due.learning_rate


def test_steps_in_other_units_are_the_same_steps():
    scaled, plain = problems.random(TUTORIAL, "float16"), Problem.random(*TUTORIAL)
    a = problems.scale(*TUTORIAL)
    assert a == 2**-4
    nets = [numpy_.Net(problem, "cpu", "float64") for problem in (scaled, plain)]
    losses = [net.train(5) for net in nets]
    np.testing.assert_allclose(losses[0], a**4 * losses[1], rtol=1e-12)
    for ours, due in zip(nets[0].weights(), nets[1].weights(), strict=True):
        np.testing.assert_allclose(ours, a * due, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (8, 12, 6, 5), TUTORIAL, (512, 1000, 100, 10), (16, 4, 1000, 1)])
def test_losses_and_gradients_fit_into_float16(shape):
    net = numpy_.Net(problems.random(shape, "float16"), "cpu", "float64")
    assert math.log2(problems.scale(*shape)) <= 0
    assert math.log2(problems.scale(*shape)).is_integer()
    net.forward()
    net.backward()
    assert max(net.loss(), *(np.abs(gradient).max() for gradient in net.gradients())) < np.finfo("float16").max / 4
