"""What a training returned, held against its steps one by one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.measure.worker.training import Training, reasons
from implementations import Problem, numpy_
from tests.bench.fakes import FakeClock

STEPS = 25


def training(dtype="float32", steps=STEPS):
    net = numpy_.Net(Problem.random(16, 40, 12, 5), "cpu", dtype)
    return net.train(steps), net.weights()


def told(losses, weights, dtype="float32", steps=STEPS):
    fresh = numpy_.Net(Problem.random(16, 40, 12, 5), "cpu", dtype)
    return [*reasons(Training.of(losses, weights), fresh, steps, 1.0, FakeClock(), 0)]


@pytest.mark.parametrize("steps", [1, 2, 25, 500])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_that_did_its_steps_is_right(dtype, steps):
    assert told(*training(dtype, steps), dtype, steps) == []


def test_losses_are_one_for_each_step():
    losses, weights = training()
    assert told(losses[:-1], weights) == ["train(25) returned losses of shape (24,), not (25,)"]


@pytest.mark.parametrize("done", [0, 1, 3, 12])
def test_fewer_steps_are_found_by_the_weights_even_if_the_losses_are_right(done):
    (reason,) = told(training()[0], training(steps=done)[1])
    assert "the training did not do what its steps do" in reason


@pytest.mark.parametrize("place", [0, -1])
def test_a_wrong_loss_is_named(place):
    losses, weights = training()
    losses[place] *= 1.5
    (reason,) = told(losses, weights)
    assert ("first" if place == 0 else "last") in reason


def test_losses_or_weights_that_are_not_numbers_are_wrong():
    losses, weights = training()
    assert told(losses * np.nan, weights)
    assert told(losses, (weights[0] * np.nan, weights[1]))


def test_a_copy_does_not_change_with_what_was_returned():
    losses, weights = training()
    kept = Training.of(losses, weights)
    losses[:], weights[0][:] = 0, 0
    assert kept.losses.all()
    assert kept.weights[0].any()
