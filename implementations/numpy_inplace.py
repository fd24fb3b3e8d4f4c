"""NumPy without temporaries: each result has a buffer that is made once, and `step` multiplies the rate into the
smallest array, so that an update is one subtraction."""

from __future__ import annotations

import numpy as np

from .interface import Problem
from .numpy_ import Net as NumpyNet

DEVICE_KINDS = ("cpu",)
DTYPES = ("float16", "float32", "float64")


class Net(NumpyNet):
    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        N, D_in, H, D_out = problem.shape
        self.x, self.y, self.w1, self.w2 = (self.placed(tensor) for tensor in (self.x, self.y, self.w1, self.w2))
        self.h_relu, self.grad_h, self.is_positive = self.empty(N, H), self.empty(N, H), np.empty((N, H), bool)
        self.y_pred, self.difference, self.grad_y = (self.empty(N, D_out) for _ in range(3))
        self.grad_w1, self.change_w1 = self.empty(D_in, H), self.empty(D_in, H)
        self.grad_w2, self.change_w2 = self.empty(H, D_out), self.empty(H, D_out)

    def placed(self, tensor: np.ndarray) -> np.ndarray:
        """Return an input where this net keeps it."""
        return tensor

    def empty(self, *shape: int) -> np.ndarray:
        """Return a buffer."""
        return np.empty(shape, self.dtype)

    def forward(self) -> None:
        np.matmul(self.x, self.w1, out=self.h_relu)
        np.maximum(self.h_relu, 0, out=self.h_relu)
        np.matmul(self.h_relu, self.w2, out=self.y_pred)

    def backward(self) -> None:
        self.scaled_gradients(2, self.grad_w1, self.grad_w2)

    def scaled_gradients(self, scale: float, of_w1: np.ndarray, of_w2: np.ndarray) -> None:
        """Write the gradients of scale / 2 × the loss into two arrays."""
        np.subtract(self.y_pred, self.y, out=self.difference)
        np.multiply(self.difference, scale, out=self.grad_y)
        np.matmul(self.h_relu.T, self.grad_y, out=of_w2)
        np.matmul(self.grad_y, self.w2.T, out=self.grad_h)
        np.greater(self.h_relu, 0, out=self.is_positive)
        np.multiply(self.grad_h, self.is_positive, out=self.grad_h)
        np.matmul(self.x.T, self.grad_h, out=of_w1)

    def update(self) -> None:
        np.multiply(self.grad_w1, self.learning_rate, out=self.change_w1)
        np.multiply(self.grad_w2, self.learning_rate, out=self.change_w2)
        self.subtract()

    def subtract(self) -> None:
        np.subtract(self.w1, self.change_w1, out=self.w1)
        np.subtract(self.w2, self.change_w2, out=self.w2)

    def step(self) -> None:
        self.forward()
        self.scaled_gradients(2 * self.learning_rate, self.change_w1, self.change_w2)
        self.subtract()

    def loss(self):
        return np.vdot(self.difference, self.difference)

    def train(self, steps: int) -> np.ndarray:
        losses = np.empty(steps, self.dtype)
        for i in range(steps):
            self.step()
            losses[i] = self.loss()
        return losses

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return self.grad_w1.copy(), self.grad_w2.copy()

    def prediction(self) -> np.ndarray:
        return self.y_pred.copy()
