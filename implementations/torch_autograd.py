"""PyTorch with autograd: the graph gives the gradients, and each backward consumes it."""

from __future__ import annotations

import numpy as np

from .interface import Problem
from .torch_ import Net as TorchNet
from .torch_ import to_numpy, torch

DEVICE_KINDS = ("cpu", "cuda", "mps", "xpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")


class Net(TorchNet):
    consumes_graph = True

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        self.w1.requires_grad_()
        self.w2.requires_grad_()

    def forward(self) -> None:
        self.y_pred = (self.x @ self.w1).clamp(min=0) @ self.w2

    def backward(self) -> None:
        self.w1.grad = self.w2.grad = None
        self.last_loss = (self.y_pred - self.y).square().sum()
        self.last_loss.backward()

    def update(self) -> None:
        with torch.no_grad():
            self.w1 -= self.learning_rate * self.w1.grad
            self.w2 -= self.learning_rate * self.w2.grad

    def loss(self) -> torch.Tensor:
        return self.last_loss.detach()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.w1.grad), to_numpy(self.w2.grad)
