"""PyTorch's `nn` and `optim`: layers without biases that start from the same weights, transposed."""

from __future__ import annotations

from functools import partial

import numpy as np

from .interface import Problem
from .torch_ import Net as TorchNet
from .torch_ import to_numpy, torch

DEVICE_KINDS = ("cpu", "cuda", "mps", "xpu")


class Net(TorchNet):
    consumes_graph = True

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        _, D_in, H, D_out = problem.shape
        options = {"bias": False, "device": device, "dtype": getattr(torch, dtype)}
        make = partial(torch.nn.utils.skip_init, torch.nn.Linear, **options)  # random weights would be overwritten
        self.first, self.second = make(D_in, H), make(H, D_out)
        self.model = torch.nn.Sequential(self.first, torch.nn.ReLU(), self.second)
        with torch.no_grad():
            self.first.weight.copy_(self.w1.T)
            self.second.weight.copy_(self.w2.T)
        del self.w1, self.w2
        self.criterion = torch.nn.MSELoss(reduction="sum")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.learning_rate)

    def forward(self) -> None:
        self.y_pred = self.model(self.x)

    def backward(self) -> None:
        self.optimizer.zero_grad()
        self.last_loss = self.criterion(self.y_pred, self.y)
        self.last_loss.backward()

    def update(self) -> None:
        self.optimizer.step()

    def loss(self) -> torch.Tensor:
        return self.last_loss.detach()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.first.weight.T), to_numpy(self.second.weight.T)

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.first.weight.grad.T), to_numpy(self.second.weight.grad.T)
