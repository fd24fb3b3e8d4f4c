"""Classes with mistakes fail the check that is for them, with the reason; the project's own pass all."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from contextlib import contextmanager

import pytest

import implementations
from bench.measure.worker import blas
from bench.measure.worker.conformance import checks, conduct, results, suite
from bench.measure.worker.conformance.subject import Subject
from bench.measure.worker.session import Session
from bench.plan.cells import DTYPES, PHASES
from implementations import Unavailable, load, names, numpy_
from tests.bench.measure.worker import cheaters, mistaken

SMALL = suite.SHAPES[1]
ONE_OUTPUT = suite.SHAPES[3]
FLOATS = r"error \S+, tolerance \S+"
MISTAKES = [
    ("types", mistaken.ReturnsFloat64, SMALL, "gradient of w1: has dtype float64, not float32"),
    ("types", mistaken.ReturnsLists, SMALL, "prediction: is a list, not a NumPy array"),
    ("types", mistaken.FlattensOneOutput, ONE_OUTPUT, r"prediction: has shape \(9,\), not \(9, 1\)"),
    ("arrays", mistaken.SharesWeights, SMALL, "the net has changed the problem's w1: copy what you update"),
    ("arrays", mistaken.WritesTarget, SMALL, "the net has changed the problem's y: copy what you update"),
    ("arrays", mistaken.LiveWeights, SMALL, r"the w1 that weights\(\) had returned changed with a later step"),
    ("prediction", mistaken.Random, SMALL, f"prediction: {FLOATS}"),
    ("gradients", mistaken.HalfGradient, SMALL, f"gradient of w1: {FLOATS}"),
    ("differences", mistaken.HalfGradient, suite.TINY, r"the gradient of w1\[\d, \d\] is \S+, but the loss changes by"),
    ("update", mistaken.TutorialRate, SMALL, r"2 updates of w1 are off by .*, at a learning rate of"),
    ("update", mistaken.TutorialRate, suite.TUTORIAL, r"2 updates of w1 are off by .*, at a learning rate of 3.7e-07"),
    ("trajectories", mistaken.TrainsAtOnce, SMALL, f"losses of train: {FLOATS}"),
    ("trajectories", mistaken.WrongLosses, SMALL, f"losses of train: {FLOATS}"),
    ("trajectories", mistaken.OtherPhases, SMALL, f"w1 after 3 × forward, backward, update: {FLOATS}"),
    (
        "repetition",
        mistaken.AddsUp,
        SMALL,
        "the gradient of w1 after three backwards differs from that after one by 2 ",
    ),
    ("repetition", mistaken.Consumes, SMALL, "a repeated backward raises ValueError: .*declare consumes_graph = True"),
    ("independence", mistaken.OneBuffer, SMALL, "the gradient of w2 in step 1 differs beside another net from alone"),
    ("independence", cheaters.Shared, SMALL, "the prediction in step 1 differs beside another net from alone"),
    ("determinism", mistaken.Random, SMALL, r"the prediction in step \d differs a second time from the first"),
    ("precision", mistaken.DoublePrecision, suite.TUTORIAL, "all of its prediction is float64's, rounded to float32"),
    ("precision", mistaken.DeclaresLess, suite.TUTORIAL, "declares precision 'medium', .* in a higher one"),
    ("precision", mistaken.DeclaresNothingKnown, suite.TUTORIAL, "precision is 'float32', which is none of highest,"),
    ("order", mistaken.PredictsInConstructor, SMALL, r"the prediction is there before the first forward\(\)"),
    ("order", mistaken.StepsInConstructor, suite.TUTORIAL, "the first step of a new net takes .*, but a later one"),
    ("order", mistaken.DifferentiatesInForward, SMALL, r"the gradients are there before backward\(\)"),
    ("order", mistaken.UpdatesInBackward, SMALL, r"the weights have changed before update\(\)"),
    ("order", cheaters.ComputesWhenRead, SMALL, r"the prediction is there before the first forward\(\)"),
    ("work", cheaters.Unsynchronized, suite.TUTORIAL, "work is left undone by synchronize"),
    ("work", cheaters.Queueing, suite.TUTORIAL, "work is left undone by synchronize"),
    ("work", cheaters.KeptForward, suite.TUTORIAL, "forward takes .* it keeps what it had computed"),
    ("work", cheaters.KeptTraining, suite.TUTORIAL, "it keeps what it had computed|work is left"),
    ("prediction", mistaken.Fails, SMALL, r"ArithmeticError: the product failed \(.*mistaken.py:\d+\)"),
]


def subject_of(net_class, shape, dtype="float32", threads=1):
    session = Session("", "cpu", dtype)
    session.net_class = net_class
    return Subject(session, shape, [*PHASES], threads)


@pytest.mark.parametrize(("check", "net_class", "shape", "reason"), MISTAKES)
def test_mistake_fails_its_check_with_the_reason(check, net_class, shape, reason):
    outcome = checks.outcome(check, subject_of(net_class, shape))
    assert not outcome["passed"]
    assert re.search(reason, outcome["seen"]), outcome["seen"]


def test_float32_arithmetic_under_the_name_of_float64_is_named():
    outcome = checks.outcome("precision", subject_of(mistaken.SinglePrecision, suite.TUTORIAL, "float64"))
    assert not outcome["passed"]
    assert outcome["seen"].endswith(", as one in float32 is")
    assert not checks.outcome("prediction", subject_of(mistaken.SinglePrecision, SMALL, "float64"))["passed"]
    assert checks.outcome("prediction", subject_of(mistaken.SinglePrecision, SMALL, "float32"))["passed"]


def test_returned_weights_may_be_only_for_reading():
    class Frozen(numpy_.Net):
        def weights(self):
            copies = super().weights()
            for copy in copies:
                copy.flags.writeable = False
            return copies

    assert checks.outcome("arrays", subject_of(Frozen, SMALL))["passed"]


def test_writing_to_returned_weights_must_not_reach_the_net():
    class Aliased(numpy_.Net):
        """Returns its weights themselves, and steps into new ones."""

        def update(self):
            self.w1 = self.w1 - self.learning_rate * self.grad_w1
            self.w2 = self.w2 - self.learning_rate * self.grad_w2

        def weights(self):
            return self.w1, self.w2

    outcome = checks.outcome("arrays", subject_of(Aliased, SMALL))
    assert outcome["seen"] == "writing to the w1 that weights() returned changes the net: return a copy"


def test_gradients_and_predictions_may_be_native_arrays():
    """The class in the README returns its own."""
    net = numpy_.Net
    assert checks.outcome("arrays", subject_of(net, SMALL))["passed"]
    assert "self.y_pred" in inspect.getsource(net.prediction)


def test_slow_phases_are_no_fault():
    assert checks.outcome("overhead", subject_of(mistaken.Slow, suite.ONE))["passed"]
    assert checks.outcome("order", subject_of(mistaken.Slow, suite.TUTORIAL))["passed"]


def test_getters_may_fail_before_there_is_a_result():
    class Raises(numpy_.Net):
        y_pred = property(lambda self: self.predicted, lambda self, value: setattr(self, "predicted", value))

    assert checks.outcome("order", subject_of(Raises, SMALL))["passed"]


def test_each_check_of_the_suite_has_a_function_and_a_reason():
    listed = [item.name for item in suite.SUITE]
    assert sorted(listed) == sorted(checks.CHECKS)
    public = {name for module in (conduct, results) for name, value in vars(module).items() if is_check(value, module)}
    assert public == set(listed)
    assert all(item.why.endswith(".") and item.shapes for item in suite.SUITE)


def is_check(value, module):
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not value.__name__.startswith("_")


@contextmanager
def one_thread_each():
    """Limit NumPy and PyTorch to one thread: tests run beside each other, and threads wait for one another."""
    torch = sys.modules.get("torch")
    before = torch and torch.get_num_threads()
    with blas.one_thread():
        if torch:
            torch.set_num_threads(1)
        yield
    if torch:
        torch.set_num_threads(before)


def dtypes_of_tests(name):
    """Return float32 and float64, and for two backends all: the rest of theirs is tested beside the networks."""
    declared = implementations.dtypes_of(name)
    return [dtype for dtype in DTYPES if dtype in declared and (name in ("torch", "jax") or dtype in DTYPES[:2])]


SLOW_TO_COMPILE = {"torch_compile", "tinygrad"}


@pytest.mark.parametrize("name", names())
def test_own_implementations_pass(name):
    try:
        net_class = load(name)
        devices = net_class.devices()
    except Unavailable as reason:
        pytest.skip(str(reason))
    if "cpu" not in devices:
        pytest.skip(f"{name} does not run on the host")
    failed = []
    with one_thread_each():
        for item, dtype in itertools.product(suite.SUITE, dtypes_of_tests(name)):
            # At every shape in one dtype only, or in none where each is compiled for seconds.
            shapes = item.shapes if dtype == DTYPES[0] and name not in SLOW_TO_COMPILE else item.shapes[:1]
            for shape in () if item.one_thread else shapes:
                outcome = checks.outcome(item.name, subject_of(net_class, shape, dtype))
                failed += [] if outcome["passed"] else [(item.name, shape, dtype, outcome["seen"])]
    assert failed == []
