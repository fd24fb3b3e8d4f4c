"""Wrong nets fail with the tensor named; right ones pass despite their rounding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.worker.verify import Check, compare, verify, worst
from implementations import Problem, numpy_

DTYPES = ("float32", "float64")
SHAPE = (8, 12, 6, 5)


def checks_of(net_class, dtype="float32", problem=None, shape=SHAPE):
    problem = problem or Problem.random(*shape)
    return verify(lambda: net_class(problem, "cpu", dtype))


def failed(net_class, dtype="float32", **options):
    """Return the names of the tensors that failed."""
    return [check.tensor for check in checks_of(net_class, dtype, **options) if not check.passed]


class WrongGradient1(numpy_.Net):
    def backward(self):
        super().backward()
        self.grad_w1 = self.grad_w1 * self.grad_w1.dtype.type(1.001)


class WrongGradient2(numpy_.Net):
    def backward(self):
        super().backward()
        self.grad_w2 = self.grad_w2 * self.grad_w2.dtype.type(1.001)


class NoMask(numpy_.Net):
    def backward(self):
        super().backward()
        self.grad_w1 = self.x.T @ (2 * (self.y_pred - self.y) @ self.w2.T)


class TransposedMistake(numpy_.Net):
    """Copies one entry of the prediction to another."""

    def forward(self):
        super().forward()
        self.y_pred[0, 0] = self.y_pred[1, 0]


class WrongSign(numpy_.Net):
    def update(self):
        self.w1 += self.learning_rate * self.grad_w1
        self.w2 += self.learning_rate * self.grad_w2


class WrongRate(numpy_.Net):
    def update(self):
        self.w1 -= 1.01 * self.learning_rate * self.grad_w1
        self.w2 -= 1.01 * self.learning_rate * self.grad_w2


class OnlyFirstUpdated(numpy_.Net):
    def update(self):
        self.w1 -= self.learning_rate * self.grad_w1


class WrongStep(numpy_.Net):
    def step(self):
        super().step()
        self.w2 *= self.w2.dtype.type(1.0001)


class IdleStep(numpy_.Net):
    def step(self):
        pass


class WrongLosses(numpy_.Net):
    def loss(self):
        return super().loss() / self.y.size  # a mean, not a sum


class LateLosses(numpy_.Net):
    """Computes each loss after its step, not before."""

    def train(self, steps):
        return super().train(steps + 1)[1:]


class IdleTrain(numpy_.Net):
    def train(self, steps):
        losses = super().train(steps)
        _, _, self.w1, self.w2 = self.problem.arrays(self.dtype)
        return losses


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("net_class", "named", "right"),
    [
        (WrongGradient1, ["gradient of w1", "w1 after update"], ["prediction", "gradient of w2", "w2 after update"]),
        (WrongGradient2, ["gradient of w2", "w2 after update"], ["prediction", "gradient of w1", "w1 after update"]),
        (NoMask, ["gradient of w1"], ["prediction", "gradient of w2"]),
        (TransposedMistake, ["prediction", "gradient of w1", "gradient of w2", "losses of train"], []),
        (WrongSign, ["w1 after update", "w2 after update"], ["prediction", "gradient of w1", "gradient of w2"]),
        (WrongRate, ["w1 after update", "w2 after update"], ["prediction", "gradient of w1", "gradient of w2"]),
        (OnlyFirstUpdated, ["w2 after update"], ["gradient of w2", "w1 after update"]),
        (WrongStep, ["w2 after 3 × step"], ["w1 after update", "w2 after update", "w2 after 3 × train"]),
        (IdleStep, ["w1 after 3 × step", "w2 after 3 × step"], ["w1 after 3 × train", "losses of train"]),
        (WrongLosses, ["losses of train"], ["w1 after 3 × train", "w2 after 3 × train", "prediction"]),
        (LateLosses, ["losses of train"], ["w1 after 3 × step"]),
        (IdleTrain, ["w1 after 3 × train", "w2 after 3 × train"], ["losses of train", "w1 after 3 × step"]),
    ],
)
def test_wrong_net_fails_with_the_tensor_named(net_class, named, right, dtype):
    failed_tensors = failed(net_class, dtype)
    assert set(named) <= set(failed_tensors)
    assert not set(right) & set(failed_tensors)


GETTERS = {
    "prediction": lambda change: {"prediction": lambda self: change(self.y_pred)},
    "gradient of w1": lambda change: {"gradients": lambda self: (change(self.grad_w1), self.grad_w2)},
    "gradient of w2": lambda change: {"gradients": lambda self: (self.grad_w1, change(self.grad_w2))},
    "w1 after update": lambda change: {"weights": lambda self: (change(self.w1.copy()), self.w2.copy())},
    "w2 after update": lambda change: {"weights": lambda self: (self.w1.copy(), change(self.w2.copy()))},
    "losses of train": lambda change: {"train": lambda self, steps: change(numpy_.Net.train(self, steps))},
}


def poisoned(value):
    def change(array):
        array = array.copy()
        array.flat[-1] = value
        return array

    return change


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tensor", GETTERS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: array[..., np.newaxis], "has shape"),
        (lambda array: array[:-1], "has shape"),
        (lambda array: array.astype("float16"), "has dtype float16, not"),
        (lambda array: array.astype("float64" if array.dtype == "float32" else "float32"), "has dtype"),
        (poisoned(math.nan), "holds NaN or infinity"),
        (poisoned(math.inf), "holds NaN or infinity"),
        (poisoned(-math.inf), "holds NaN or infinity"),
        (lambda array: np.full_like(array, math.nan), "holds NaN or infinity"),
        (lambda array: array.tolist(), "is a list, not a NumPy array"),
        (lambda array: None, "is a NoneType, not a NumPy array"),
    ],
    ids=["axis", "short", "float16", "other-dtype", "nan", "inf", "minus-inf", "all-nan", "list", "none"],
)
def test_result_of_the_wrong_kind_fails(tensor, change, message, dtype):
    net_class = type("Odd", (numpy_.Net,), GETTERS[tensor](change))
    check = next(check for check in checks_of(net_class, dtype) if check.tensor == tensor)
    assert not check.passed
    assert check.error == math.inf
    assert message in check.problem
    assert str(check).startswith(f"{tensor}: ")
    assert message in str(check)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", DTYPES)
def test_net_of_nan_passes_nothing(dtype):
    class Nan(numpy_.Net):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.w1 *= math.nan

    checks = checks_of(Nan, dtype)
    # That the second weights' change is NaN as well follows from the first's.
    assert [check.passed for check in checks] == [False] * len(checks)
    assert not worst(checks).passed


def test_nan_never_passes():
    assert not Check("t", math.nan, 1.0).passed
    assert not Check("t", math.nan, math.inf).passed
    expected = np.zeros((2, 2))
    assert not compare("t", np.full((2, 2), math.nan), expected, "float64", 1.0, 1e300).passed


def test_worst_is_the_failed_check():
    checks = [Check("a", 0.9, 1.0), Check("b", 2.0, 1.0), Check("c", 0.5, 1.0)]
    assert worst(checks).tensor == "b"
    assert worst([checks[0], checks[2]]).tensor == "a"
    assert worst([checks[0], Check("d", math.nan, 1.0)]).tensor == "d"


def test_every_result_is_compared_once():
    names = [check.tensor for check in checks_of(numpy_.Net)]
    assert names == [
        "prediction",
        "gradient of w1",
        "gradient of w2",
        "w1 after update",
        "w2 after update",
        "losses of train",
        "w1 after 3 × step",
        "w2 after 3 × step",
        "w1 after 3 × train",
        "w2 after 3 × train",
    ]


SIZES = st.integers(1, 40)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(shape=st.tuples(SIZES, SIZES, SIZES, SIZES), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(DTYPES))
def test_right_net_passes_at_any_shape(shape, seed, dtype):
    checks = checks_of(numpy_.Net, dtype, Problem.random(*shape, seed=seed))
    assert [str(check) for check in checks if not check.passed] == []


class ZeroAtZero(numpy_.Net):
    def backward(self):
        grad_y = 2 * (self.y_pred - self.y)
        self.grad_w2 = self.h_relu.T @ grad_y
        self.grad_w1 = self.x.T @ ((grad_y @ self.w2.T) * (self.h > 0))


class OneAtZero(ZeroAtZero):
    def backward(self):
        super().backward()
        self.grad_w1 = self.x.T @ ((2 * (self.y_pred - self.y) @ self.w2.T) * (self.h >= 0))


def with_zeros():
    """Return a problem with half of the hidden units at exactly 0 in every row."""
    problem = Problem.random(*SHAPE)
    problem.w1[:, ::2] = 0
    return problem


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("net_class", [ZeroAtZero, OneAtZero, numpy_.Net])
def test_gradient_of_relu_at_0_may_be_0_or_1(net_class, dtype):
    assert failed(net_class, dtype, problem=with_zeros()) == []


def test_gradients_for_the_two_choices_differ():
    nets = [net_class(with_zeros(), "cpu", "float64") for net_class in (ZeroAtZero, OneAtZero)]
    for net in nets:
        net.forward()
        net.backward()
    assert np.abs(nets[0].grad_w1 - nets[1].grad_w1).max() > 1


class Flipped(numpy_.Net):
    """Has the opposite sign for pre-activations closer to 0 than `near`."""

    near = 0.0

    def backward(self):
        grad_y = 2 * (self.y_pred - self.y)
        self.grad_w2 = self.h_relu.T @ grad_y
        mask = np.where(np.abs(self.h) < self.near, self.h < 0, self.h > 0)
        self.grad_w1 = self.x.T @ ((grad_y @ self.w2.T) * mask)


def near_zero():
    """Return a problem whose first row's first hidden unit is within float32's rounding of 0."""
    problem = Problem.random(*SHAPE)
    row, column = problem.x[0].astype("float32").astype("float64"), problem.w1[:, 0]
    column -= row * (row @ column) / (row @ row)
    return problem


def test_undecided_sign_may_be_either():
    problem = near_zero()
    net = Flipped(problem, "cpu", "float32")
    net.forward()
    assert 0 < abs(net.h[0, 0]) < 1e-5 < np.sort(np.abs(net.h), axis=None)[1]
    close = type("Close", (Flipped,), {"near": 1e-5})
    assert failed(close, problem=problem) == []
    assert failed(numpy_.Net, problem=problem) == []


def test_decided_sign_may_not_be_wrong():
    far = type("Far", (Flipped,), {"near": 0.2})
    assert "gradient of w1" in failed(far, problem=near_zero())


def tf32(array):
    """Round to TF32's ten bits of mantissa."""
    bits = np.ascontiguousarray(array, "float32").view("uint32")
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view("float32")


class TF32(numpy_.Net):
    """Multiplies as a tensor core does: with rounded operands, and exact products and sums."""

    def forward(self):
        self.h = tf32(self.x) @ tf32(self.w1)
        self.h_relu = np.maximum(self.h, 0)
        self.y_pred = tf32(self.h_relu) @ tf32(self.w2)

    def backward(self):
        grad_y = tf32(2 * (self.y_pred - self.y))
        self.grad_w2 = tf32(self.h_relu).T @ grad_y
        grad_h = grad_y @ tf32(self.w2).T
        grad_h[self.h < 0] = 0
        self.grad_w1 = tf32(self.x).T @ tf32(grad_h)


class HonestTF32(TF32):
    precision = "high"


TF32_SHAPES = [(8, 12, 6, 5), (16, 64, 24, 10), (64, 1000, 100, 10), (64, 1, 64, 1), (1, 64, 8, 1), (128, 200, 300, 3)]


@pytest.mark.parametrize("shape", TF32_SHAPES)
def test_tf32_products_fail_if_float32_is_claimed(shape):
    assert {"prediction", "gradient of w1", "gradient of w2"} <= set(failed(TF32, shape=shape))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [*TF32_SHAPES, (1, 1, 1, 1), (4, 300, 5, 40)])
def test_tf32_products_pass_if_declared(shape, seed):
    assert failed(HonestTF32, problem=Problem.random(*shape, seed=seed)) == []


def test_wrong_net_fails_at_a_lower_precision():
    class Wrong(HonestTF32):
        def backward(self):
            super().backward()
            self.grad_w1 = 0.9 * self.grad_w1

    assert "gradient of w1" in failed(Wrong)


def test_missing_tensor_fails():
    class OneGradient(numpy_.Net):
        def gradients(self):
            return (self.grad_w1,)

    class NoWeights(numpy_.Net):
        def weights(self):
            return ()

    assert failed(OneGradient) == ["gradient of w2"]
    assert {"w1 after update", "w2 after update"} <= set(failed(NoWeights))


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_learning_rate_fails(dtype):
    class OwnRate(numpy_.Net):
        def __init__(self, *args):
            super().__init__(*args)
            self.learning_rate *= 1.5

    assert {"w1 after update", "w2 after update"} <= set(failed(OwnRate, dtype))


def test_lower_float32_precision_does_not_excuse_float64():
    class Loose(numpy_.Net):
        precision = "high"

        def prediction(self):
            return self.y_pred * (1 + 1e-4)

    assert failed(Loose, "float64") == ["prediction"]


def test_undecided_signs_are_forgiven_per_element():
    """Two opposite rows are orthogonal to a column of w1, so that a net may count only one of them."""
    problem = Problem.random(6, 12, 5, 3, seed=3)
    problem.x[1] = -problem.x[0]
    problem.w1[:, 0] -= problem.x[0] * (problem.x[0] @ problem.w1[:, 0]) / (problem.x[0] @ problem.x[0])

    class CountsOne(numpy_.Net):
        def backward(self):
            self.h[np.abs(self.h) < 1e-12] = 0
            self.h[1, 0] = -1
            super().backward()

    assert failed(CountsOne, "float64", problem=problem) == []
