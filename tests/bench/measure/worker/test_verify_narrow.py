"""Right nets pass in float16 and bfloat16 despite their rounding; wrong ones fail with the tensor named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.worker import aftercheck, dtypes, problems
from bench.measure.worker.verify import verify
from implementations import Problem, numpy_
from implementations.interface import cast

TUTORIAL = (64, 1000, 100, 10)
SIZES = st.integers(1, 40)


class Narrow(numpy_.Net):
    """Stores every result in the net's dtype, and sums in float32, as frameworks do."""

    factors = (1.0, 1.0)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.x, self.y, self.w1, self.w2 = (array.astype("float32") for array in (self.x, self.y, self.w1, self.w2))

    def stored(self, array):
        return cast(array, self.dtype).astype("float32")

    def forward(self):
        self.h = self.stored(self.x @ self.w1)
        self.h_relu = np.maximum(self.h, 0)
        self.y_pred = self.stored(self.h_relu @ self.w2)

    def backward(self):
        grad_y = 2 * self.stored(self.y_pred - self.y)
        self.grad_w2 = self.stored(self.factors[1] * (self.h_relu.T @ grad_y))
        grad_h = self.stored(grad_y @ self.w2.T)
        grad_h[self.h < 0] = 0
        self.grad_w1 = self.stored(self.factors[0] * (self.x.T @ grad_h))

    def update(self):
        self.w1 = self.stored(self.w1 - self.stored(self.learning_rate * self.grad_w1))
        self.w2 = self.stored(self.w2 - self.stored(self.learning_rate * self.grad_w2))

    def to_host(self, losses):
        return cast(np.array(losses), self.dtype)

    def weights(self):
        return cast(self.w1, self.dtype).copy(), cast(self.w2, self.dtype).copy()

    def gradients(self):
        return cast(self.grad_w1, self.dtype), cast(self.grad_w2, self.dtype)

    def prediction(self):
        return cast(self.y_pred, self.dtype)


def failed(net_class, dtype, shape=TUTORIAL, seed=0):
    problem = problems.random(shape, dtype, seed)
    return [str(check) for check in verify(lambda: net_class(problem, "cpu", dtype)) if not check.passed]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    shape=st.tuples(SIZES, SIZES, SIZES, SIZES), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(dtypes.NARROW)
)
def test_right_net_passes_at_any_shape(shape, seed, dtype):
    assert failed(Narrow, dtype, shape, seed) == []


@pytest.mark.parametrize("dtype", dtypes.NARROW)
@pytest.mark.parametrize("shape", [TUTORIAL, (512, 1000, 100, 10), (64, 8000, 100, 10)])
def test_right_net_passes_at_default_shapes(shape, dtype):
    assert failed(Narrow, dtype, shape) == []


@pytest.mark.parametrize("dtype", dtypes.NARROW)
@pytest.mark.parametrize(
    ("net_class", "named"),
    [
        (type("First", (Narrow,), {"factors": (1.1, 1.0)}), "gradient of w1"),
        (type("Second", (Narrow,), {"factors": (1.0, 1.1)}), "gradient of w2"),
        (
            type("NoMask", (Narrow,), {"backward": lambda self: (Narrow.backward(self), no_mask(self))}),
            "gradient of w1",
        ),
        (type("Idle", (Narrow,), {"step": lambda self: None}), "w1 after 1 × step"),
        (type("Sign", (Narrow,), {"update": lambda self: reversed_update(self)}), "w1 after update"),
        (type("Late", (Narrow,), {"train": lambda self, steps: Narrow.train(self, steps + 1)[1:]}), "losses of train"),
        (type("Mean", (Narrow,), {"loss": lambda self: Narrow.loss(self) / self.y.size}), "losses of train"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_wrong_net_fails_with_the_tensor_named(net_class, named, dtype):
    assert named in [check.partition(":")[0] for check in failed(net_class, dtype)]


def no_mask(net):
    Narrow.backward(net)
    net.grad_w1 = net.stored(net.x.T @ net.stored(2 * net.stored(net.y_pred - net.y) @ net.w2.T))


def reversed_update(net):
    net.w1 = net.stored(net.w1 + net.learning_rate * net.grad_w1)
    net.w2 = net.stored(net.w2 + net.learning_rate * net.grad_w2)


@pytest.mark.parametrize("computed_in", ["float16", "float32"])
def test_other_numbers_under_the_name_of_bfloat16_are_seen(computed_in):
    class Other(Narrow):
        def stored(self, array):
            return array.astype(computed_in).astype("float32")

        def prediction(self):
            return self.y_pred

    [prediction, *_] = failed(Other, "bfloat16", (8, 12, 6, 5))
    assert prediction == "prediction: holds numbers that bfloat16 does not have"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_reason_says_where_float16_ends():
    problem = Problem.random(*TUTORIAL)
    checks = verify(lambda: Narrow(problem, "cpu", "float16"))
    assert "gradient of w2: holds NaN or infinity; float16 ends at 65504" in map(str, checks)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", dtypes.NARROW)
@pytest.mark.parametrize("steps", [0, 60])
def test_trained_net_passes_the_check_after_timing(dtype, steps):
    problem = problems.random((16, 200, 20, 5), dtype)
    net, fresh = Narrow(problem, "cpu", dtype), Narrow(problem, "cpu", dtype)
    for each in (net, fresh):
        each.step()
    for _ in range(steps):
        net.step()
    assert list(aftercheck._step(net, fresh)) == []
    assert list(aftercheck.subtracted(net)) == []


@pytest.mark.parametrize("dtype", dtypes.NARROW)
def test_update_that_subtracts_too_much_fails_the_check_after_timing(dtype):
    class Double(Narrow):
        def update(self):
            super().update()
            super().update()

    net = Double(problems.random(TUTORIAL, dtype), "cpu", dtype)
    net.forward()
    net.backward()
    assert len(list(aftercheck.subtracted(net))) == 1
