"""NumPy, by hand: the tutorial's loop. Every expression allocates its result."""

from __future__ import annotations

import numpy as np

from .interface import Problem, TwoLayerNet

DEVICE_KINDS = ("cpu",)
DTYPES = ("float16", "float32", "float64")


class Net(TwoLayerNet):
    backend = "numpy"
    xp = np
    """The array module; CuPy's net is this class with `cupy` instead."""

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        self.x, self.y, w1, w2 = problem.arrays(dtype)
        self.w1, self.w2 = w1.copy(), w2.copy()

    def forward(self) -> None:
        self.h = self.x @ self.w1
        self.h_relu = self.xp.maximum(self.h, 0)
        self.y_pred = self.h_relu @ self.w2

    def backward(self) -> None:
        grad_y = 2 * (self.y_pred - self.y)
        self.grad_w2 = self.h_relu.T @ grad_y
        grad_h = grad_y @ self.w2.T
        grad_h[self.h < 0] = 0
        self.grad_w1 = self.x.T @ grad_h

    def update(self) -> None:
        self.w1 -= self.learning_rate * self.grad_w1
        self.w2 -= self.learning_rate * self.grad_w2

    def loss(self):
        return self.xp.square(self.y_pred - self.y).sum()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.w1.copy(), self.w2.copy()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return self.grad_w1, self.grad_w2

    def prediction(self) -> np.ndarray:
        return self.y_pred
