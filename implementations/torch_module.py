"""PyTorch's `nn` and `optim`: layers without biases that start from the same weights, transposed."""

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
        self.criterion = torch.nn.MSELoss(reduction="sum")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=self.learning_rate)

    def start_from(self, w1: torch.Tensor, w2: torch.Tensor) -> None:
        self.first, self.second = self.layer(w1), self.layer(w2)
        self.model = torch.nn.Sequential(self.first, torch.nn.ReLU(), self.second)

    def layer(self, weights: torch.Tensor) -> torch.nn.Linear:
        """Return a linear layer with these weights. On the device `meta` no random ones are drawn first."""
        layer = torch.nn.Linear(*weights.shape, bias=False, device="meta")
        transposed = weights.to(self.device).T.clone(memory_format=torch.contiguous_format)
        layer.weight = torch.nn.Parameter(transposed)
        return layer

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
