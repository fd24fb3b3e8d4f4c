"""tinygrad, by hand: kernels are generated for each shape; the whole step is captured once (`TinyJit`) and replayed."""

from __future__ import annotations

from functools import cache

import numpy as np

from .interface import Problem, TwoLayerNet, Unavailable

try:
    from tinygrad import Device, Tensor, TinyJit
except ImportError as error:
    raise Unavailable("tinygrad is not installed: pip install -e '.[tinygrad]'") from error

DEVICE_KINDS = ("cpu", "cuda", "mps")
DTYPES = ("float16", "float32", "float64")
CEILINGS = False
NAMES = {"cpu": "CPU", "cuda": "CUDA", "mps": "METAL"}


def hidden(x, w1, w2):
    h_relu = (x @ w1).relu()
    return h_relu, h_relu @ w2


def gradients(x, y, w2, h_relu, y_pred):
    grad_y = 2 * (y_pred - y)
    grad_h = (h_relu > 0).where(grad_y @ w2.T, 0)
    return x.T @ grad_h, h_relu.T @ grad_y


def subtract(w1, w2, grad_w1, grad_w2, rate, *others):
    """Compute both updates, and others' values before them."""
    Tensor.realize(*others, w1.assign(w1 - rate * grad_w1), w2.assign(w2 - rate * grad_w2))


@cache
def captured(shape: tuple[int, int, int, int], device: str, dtype: str, rate: float):
    """Return the step of one shape, which is captured in its second call."""

    def step(w1, w2, x, y):
        h_relu, y_pred = hidden(x, w1, w2)
        loss = (y_pred - y).square().sum()
        subtract(w1, w2, *gradients(x, y, w2, h_relu, y_pred), rate, loss)
        return loss

    return TinyJit(step)


class Net(TwoLayerNet):
    backend = "tinygrad"

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        # A tensor may use a host array's memory, which is then its own.
        arrays = (array.copy() for array in problem.arrays(dtype))
        self.x, self.y, self.w1, self.w2 = (Tensor(array, device=_name(device)).realize() for array in arrays)
        self.captured = captured(problem.shape, device, dtype, self.learning_rate)

    def forward(self) -> None:
        self.h_relu, self.y_pred = hidden(self.x, self.w1, self.w2)
        Tensor.realize(self.h_relu, self.y_pred)

    def backward(self) -> None:
        self.grad_w1, self.grad_w2 = gradients(self.x, self.y, self.w2, self.h_relu, self.y_pred)
        Tensor.realize(self.grad_w1, self.grad_w2)

    def update(self) -> None:
        subtract(self.w1, self.w2, self.grad_w1, self.grad_w2, self.learning_rate)

    def step(self) -> None:
        self.captured(self.w1, self.w2, self.x, self.y)

    def loss(self) -> Tensor:
        return (self.y_pred - self.y).square().sum().realize()

    def train(self, steps: int) -> np.ndarray:
        # The captured step has one loss, which each call overwrites.
        losses = [self.captured(self.w1, self.w2, self.x, self.y).clone().realize() for _ in range(steps)]
        return self.to_host(losses)

    def to_host(self, losses: list[Tensor]) -> np.ndarray:
        return np.array([loss.numpy() for loss in losses], self.dtype)

    def synchronize(self) -> None:
        Device[_name(self.device)].synchronize()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.w1.numpy(), self.w2.numpy()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return self.grad_w1.numpy(), self.grad_w2.numpy()

    def prediction(self) -> np.ndarray:
        return self.y_pred.numpy()

    @classmethod
    def devices(cls) -> list[str]:
        # Asking for the host's device first compiles for it: without a compiler it raises.
        available = set(Device.get_available_devices())
        if devices := [kind for kind, name in NAMES.items() if name in available]:
            return devices
        raise Unavailable("tinygrad finds no device: on the host it needs clang, 14 or newer")


def _name(device: str) -> str:
    kind, _, index = device.partition(":")
    return f"{NAMES[kind]}:{index}" if index else NAMES[kind]
