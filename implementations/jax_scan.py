"""JAX as `jax`, whose `train` is one call already (`lax.scan`), with x transposed once before the steps: else XLA
transposes it in each. A `step` by itself is that of `jax`, a call with its dispatch each time."""

from __future__ import annotations

from functools import partial

import numpy as np

from .jax_ import Net as JaxNet
from .jax_ import forward, jax, jnp, to_numpy, update

DEVICE_KINDS = ("cpu", "cuda", "rocm", "tpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")


@partial(jax.jit, donate_argnums=(0, 1), static_argnames="steps")
def train(w1, w2, x, y, rate, steps):
    x_transposed = jax.lax.optimization_barrier(x.T)  # without it, XLA moves the transposition back into the steps

    def advance(weights, _):
        w1, w2 = weights
        h, h_relu, y_pred = forward(x, w1, w2)
        difference = y_pred - y
        grad_y = 2 * difference
        grad_h = jnp.where(h < 0, 0, grad_y @ w2.T)
        return update(w1, w2, x_transposed @ grad_h, h_relu.T @ grad_y, rate), jnp.square(difference).sum()

    return jax.lax.scan(advance, (w1, w2), length=steps)


class Net(JaxNet):
    def train(self, steps: int) -> np.ndarray:
        (self.w1, self.w2), losses = train(self.w1, self.w2, self.x, self.y, self.rate, steps)
        return to_numpy(losses)
