"""Trainings are compared with their steps one by one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from bench.measure.worker.training import Training, reasons
from implementations import Problem, numpy_
from tests.bench.fakes import FakeClock

STEPS = 25


def training(dtype="float32", steps=STEPS):
    net = numpy_.Net(Problem.random(16, 40, 12, 5), "cpu", dtype)
    return net.train(steps), net.weights()


def reasons_of(losses, weights, dtype="float32", steps=STEPS):
    fresh = numpy_.Net(Problem.random(16, 40, 12, 5), "cpu", dtype)
    return [*reasons(Training.of(losses, weights), fresh, steps, 1.0, FakeClock())]


@pytest.mark.parametrize("steps", [1, 2, 25, 500])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_complete_training_is_right(dtype, steps):
    assert reasons_of(*training(dtype, steps), dtype, steps) == []


def test_number_of_losses_is_checked():
    losses, weights = training()
    assert reasons_of(losses[:-1], weights) == ["train(25) returned losses of shape (24,), not (25,)"]


@pytest.mark.parametrize("done", [0, 1, 3, 12])
def test_missing_steps_are_found_by_the_weights(done):
    (reason,) = reasons_of(training()[0], training(steps=done)[1])
    assert "the training did not do what its steps do" in reason


@pytest.mark.parametrize("index", [0, -1])
def test_wrong_loss_is_named(index):
    losses, weights = training()
    losses[index] *= 1.5
    (reason,) = reasons_of(losses, weights)
    assert ("first" if index == 0 else "last") in reason


def test_nan_in_losses_or_weights_is_wrong():
    losses, weights = training()
    assert reasons_of(losses * np.nan, weights)
    assert reasons_of(losses, (weights[0] * np.nan, weights[1]))


def test_copy_does_not_change_with_the_original():
    losses, weights = training()
    kept = Training.of(losses, weights)
    losses[:], weights[0][:] = 0, 0
    assert kept.losses.all()
    assert kept.weights[0].any()


class Hindered(numpy_.Net):
    """A net on a machine on which everything takes ten times as long as in the block."""

    clock = FakeClock()

    def step(self):
        self.clock.spend(10e-3)
        super().step()

    def train(self, steps):
        self.clock.spend(steps * 10e-3)
        return super().train(steps)


class Kept(Hindered):
    """A net whose training of numbers that it has met takes no time."""

    met: ClassVar[set[float]] = set()

    def train(self, steps):
        if float(self.w1[0, 0]) not in self.met:
            self.met.add(float(self.w1[0, 0]))
            return super().train(steps)
        return numpy_.Net.train(self, steps)


@pytest.mark.parametrize(("kind", "count"), [(Hindered, 0), (Kept, 1)])
def test_training_is_compared_with_one_of_the_same_moment(kind, count):
    problem = Problem.random(16, 40, 12, 5)
    trained = kind(problem)
    returned = Training.of(trained.train(STEPS), trained.weights())
    assert len([*reasons(returned, kind(problem), STEPS, STEPS * 1e-3, kind.clock)]) == count
