"""JAX with its own gradients: `value_and_grad` in the step, `vjp` where the phases are separate."""

from __future__ import annotations

from functools import partial

import numpy as np

from .jax_ import Net as JaxNet
from .jax_ import jax, jnp, to_numpy, update

DEVICE_KINDS = ("cpu", "cuda", "rocm", "tpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")


def predict(weights, x):
    w1, w2 = weights
    return jax.nn.relu(x @ w1) @ w2  # jnp.maximum's gradient at 0 is a half


def loss(weights, x, y):
    return jnp.square(predict(weights, x) - y).sum()


@jax.jit
def forward(weights, x):
    return jax.vjp(lambda weights: predict(weights, x), weights)


@jax.jit
def backward(pull_back, y_pred, y):
    (gradients,) = pull_back(2 * (y_pred - y))
    return gradients


@partial(jax.jit, donate_argnums=(0, 1))
def step(w1, w2, x, y, rate):
    _, gradients = jax.value_and_grad(loss)((w1, w2), x, y)
    return update(w1, w2, *gradients, rate)


@partial(jax.jit, donate_argnums=(0, 1), static_argnames="steps")
def train(w1, w2, x, y, rate, steps):
    def advance(weights, _):
        value, gradients = jax.value_and_grad(loss)(weights, x, y)
        return update(*weights, *gradients, rate), value

    return jax.lax.scan(advance, (w1, w2), length=steps)


class Net(JaxNet):
    def forward(self) -> None:
        self.y_pred, self.pull_back = forward((self.w1, self.w2), self.x)

    def backward(self) -> None:
        self.grad_w1, self.grad_w2 = backward(self.pull_back, self.y_pred, self.y)

    def step(self) -> None:
        self.w1, self.w2 = step(self.w1, self.w2, self.x, self.y, self.rate)

    def train(self, steps: int) -> np.ndarray:
        (self.w1, self.w2), losses = train(self.w1, self.w2, self.x, self.y, self.rate, steps)
        return to_numpy(losses)
