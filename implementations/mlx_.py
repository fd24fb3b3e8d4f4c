"""MLX, by hand, the whole step compiled. Arrays are lazy: each phase asks for its results (`async_eval`) and returns
before they are computed."""

from __future__ import annotations

from functools import partial

import numpy as np

from .interface import Problem, TwoLayerNet, Unavailable

try:
    import mlx.core as mx
except ImportError as error:
    raise Unavailable("MLX is not installed: pip install -e '.[mlx]'") from error

DEVICE_KINDS = ("cpu", "mps", "cuda")
DTYPES = ("float16", "bfloat16", "float32", "float64")
CEILINGS = False


def hidden(x, w1, w2):
    h_relu = mx.maximum(x @ w1, 0)
    return h_relu, h_relu @ w2


def gradients(x, y, w2, h_relu, y_pred):
    grad_y = 2 * (y_pred - y)
    grad_h = mx.where(h_relu > 0, grad_y @ w2.T, 0)
    return x.T @ grad_h, h_relu.T @ grad_y


@mx.compile
def step(w1, w2, x, y, rate):
    h_relu, y_pred = hidden(x, w1, w2)
    grad_w1, grad_w2 = gradients(x, y, w2, h_relu, y_pred)
    return w1 - rate * grad_w1, w2 - rate * grad_w2, mx.square(y_pred - y).sum()


class Net(TwoLayerNet):
    backend = "mlx"

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        mx.set_default_device(mx.cpu if device == "cpu" else mx.Device(mx.gpu, int(device.partition(":")[2] or 0)))
        to_device = partial(mx.array, dtype=getattr(mx, dtype))
        self.x, self.y, self.w1, self.w2 = (to_device(array) for array in problem.arrays(dtype))
        self.rate = to_device(self.learning_rate)
        mx.eval(self.x, self.y, self.w1, self.w2, self.rate)

    def forward(self) -> None:
        self.h_relu, self.y_pred = hidden(self.x, self.w1, self.w2)
        mx.async_eval(self.h_relu, self.y_pred)

    def backward(self) -> None:
        self.grad_w1, self.grad_w2 = gradients(self.x, self.y, self.w2, self.h_relu, self.y_pred)
        mx.async_eval(self.grad_w1, self.grad_w2)

    def update(self) -> None:
        self.w1, self.w2 = self.w1 - self.rate * self.grad_w1, self.w2 - self.rate * self.grad_w2
        mx.async_eval(self.w1, self.w2)

    def step(self) -> None:
        self.w1, self.w2, _ = step(self.w1, self.w2, self.x, self.y, self.rate)
        mx.async_eval(self.w1, self.w2)

    def loss(self) -> mx.array:
        return mx.square(self.y_pred - self.y).sum()

    def train(self, steps: int) -> np.ndarray:
        losses = []
        for _ in range(steps):
            self.w1, self.w2, loss = step(self.w1, self.w2, self.x, self.y, self.rate)
            mx.async_eval(self.w1, self.w2, loss)
            losses.append(loss)
        return self.to_host(losses)

    def to_host(self, losses: list[mx.array]) -> np.ndarray:
        return to_numpy(mx.stack(losses))

    def synchronize(self) -> None:
        mx.eval([value for value in vars(self).values() if isinstance(value, mx.array)])

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.w1), to_numpy(self.w2)

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.grad_w1), to_numpy(self.grad_w2)

    def prediction(self) -> np.ndarray:
        return to_numpy(self.y_pred)

    @classmethod
    def devices(cls) -> list[str]:
        if mx.metal.is_available():
            return ["cpu", "mps"]
        count = mx.device_count(mx.gpu) if mx.cuda.is_available() else 0
        return ["cpu", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]

    @classmethod
    def device_name(cls, device: str) -> str | None:
        index = int(device.partition(":")[2] or 0)
        return None if device == "cpu" else mx.device_info(mx.Device(mx.gpu, index)).get("device_name")

    def peak_device_bytes(self) -> int | None:
        return None if self.device == "cpu" else mx.get_peak_memory()


def to_numpy(array: mx.array) -> np.ndarray:
    """Return a host copy."""
    return np.array(array.astype(mx.float32) if array.dtype == mx.bfloat16 else array)
