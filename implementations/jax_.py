"""JAX, by hand: each phase and the whole step compiled, weights donated, `train` one `lax.scan`.
Calls return before the work is done."""

from __future__ import annotations

from functools import partial

import numpy as np

from .interface import Problem, TwoLayerNet, Unavailable, host_dtype

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise Unavailable(
        "JAX is not installed: pip install -e '.[jax]' (with a GPU '.[cuda13]' or '.[cuda12]')"
    ) from error

DEVICE_KINDS = ("cpu", "cuda", "rocm", "tpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_matmul_precision", "highest")


@jax.jit
def forward(x, w1, w2):
    h = x @ w1
    h_relu = jnp.maximum(h, 0)
    return h, h_relu, h_relu @ w2


@jax.jit
def backward(x, y, w2, h, h_relu, y_pred):
    grad_y = 2 * (y_pred - y)
    grad_w2 = h_relu.T @ grad_y
    grad_h = jnp.where(h < 0, 0, grad_y @ w2.T)
    return x.T @ grad_h, grad_w2


@partial(jax.jit, donate_argnums=(0, 1))
def update(w1, w2, grad_w1, grad_w2, rate):
    return w1 - rate * grad_w1, w2 - rate * grad_w2


@partial(jax.jit, donate_argnums=(0, 1))
def step(w1, w2, x, y, rate):
    h, h_relu, y_pred = forward(x, w1, w2)
    return update(w1, w2, *backward(x, y, w2, h, h_relu, y_pred), rate)


@partial(jax.jit, donate_argnums=(0, 1), static_argnames="steps")
def train(w1, w2, x, y, rate, steps):
    def advance(weights, _):
        h, h_relu, y_pred = forward(x, *weights)
        loss = jnp.square(y_pred - y).sum()
        return update(*weights, *backward(x, y, weights[1], h, h_relu, y_pred), rate), loss

    return jax.lax.scan(advance, (w1, w2), length=steps)


@partial(jax.jit, donate_argnums=0, keep_unused=True)
def copy_over(w1, x, factor):
    return x * factor  # XLA compiles a plain copy to a single-threaded memcpy


@partial(jax.jit, donate_argnums=0)
def add_onto(w1, x):
    return w1 + x


class Net(TwoLayerNet):
    backend = "jax"

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        self.jax_device = _jax_device(device)
        self.x, self.y, self.w1, self.w2 = (self.to_device(array) for array in problem.arrays(dtype))
        self.rate = self.to_device(np.asarray(self.learning_rate))

    def to_device(self, array: np.ndarray) -> jax.Array:
        """Copy an array to the device: `device_put` may alias an aligned host array, whatever its `may_alias` says."""
        return jnp.array(array, self.dtype, copy=True, device=self.jax_device)

    def forward(self) -> None:
        self.h, self.h_relu, self.y_pred = forward(self.x, self.w1, self.w2)

    def backward(self) -> None:
        self.grad_w1, self.grad_w2 = backward(self.x, self.y, self.w2, self.h, self.h_relu, self.y_pred)

    def update(self) -> None:
        self.w1, self.w2 = update(self.w1, self.w2, self.grad_w1, self.grad_w2, self.rate)

    def step(self) -> None:
        self.w1, self.w2 = step(self.w1, self.w2, self.x, self.y, self.rate)

    def loss(self) -> jax.Array:
        return jnp.square(self.y_pred - self.y).sum()

    def train(self, steps: int) -> np.ndarray:
        (self.w1, self.w2), losses = train(self.w1, self.w2, self.x, self.y, self.rate, steps)
        return to_numpy(losses)

    def copy_in_place(self) -> None:
        self.w1 = copy_over(self.w1, self.x, 1.0)

    def add_in_place(self) -> None:
        self.w1 = add_onto(self.w1, self.x)

    def synchronize(self) -> None:
        # Compare with the arrays' own class: `isinstance` with `jax.Array` asks its metaclass, and takes twice as long.
        array_class = type(self.w1)
        for value in vars(self).values():
            if type(value) is array_class:
                value.block_until_ready()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.w1), to_numpy(self.w2)

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.grad_w1), to_numpy(self.grad_w2)

    def prediction(self) -> np.ndarray:
        return to_numpy(self.y_pred)

    @classmethod
    def devices(cls) -> list[str]:
        devices, failures = [], []
        for kind in DEVICE_KINDS:
            try:
                count = len(jax.devices(kind))
            except (
                RuntimeError,
                AssertionError,
            ) as error:  # AssertionError, without a message, where JAX_PLATFORMS is wrong
                failures += [str(error).partition("\n")[0]]
            else:
                devices += [kind, *(f"{kind}:{index}" for index in range(count) if kind != "cpu")]
        if not devices:
            raise Unavailable(f"JAX can use none of its platforms here: {failures[0] or 'it does not say why'}")
        return devices

    @classmethod
    def device_name(cls, device: str) -> str | None:
        return None if device == "cpu" else _jax_device(device).device_kind

    @classmethod
    def free_device_bytes(cls, device: str) -> int | None:
        stats = _jax_device(device).memory_stats() or {}
        bytes_limit = stats.get("bytes_limit")
        return None if bytes_limit is None else bytes_limit - stats.get("bytes_in_use", 0)

    def peak_device_bytes(self) -> int | None:
        return (self.jax_device.memory_stats() or {}).get("peak_bytes_in_use")


def to_numpy(array: jax.Array) -> np.ndarray:
    """Return a host copy."""
    return np.array(array, host_dtype(str(array.dtype)))


def _jax_device(device: str) -> jax.Device:
    kind, _, index = device.partition(":")
    return jax.devices(kind)[int(index or 0)]
