"""PyTorch without temporaries: products write into buffers or add to the weights (`addmm_` with a negative rate), ReLU
and its gradient are in place, and inference mode leaves autograd's bookkeeping out."""

from __future__ import annotations

import numpy as np

from .interface import Problem
from .torch_ import Net as TorchNet
from .torch_ import torch

DEVICE_KINDS = ("cpu", "cuda", "mps", "xpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")

relu_backward = torch.ops.aten.threshold_backward.grad_input


class Net(TorchNet):
    @torch.inference_mode()
    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        N, _, H, D_out = problem.shape
        self.h_relu, self.grad_h = self.x.new_empty(N, H), self.x.new_empty(N, H)
        self.y_pred, self.difference = self.x.new_empty(N, D_out), self.x.new_empty(N, D_out)
        self.grad_w1, self.grad_w2 = torch.empty_like(self.w1), torch.empty_like(self.w2)

    @torch.inference_mode()
    def forward(self) -> None:
        self.hidden()
        torch.mm(self.h_relu, self.w2, out=self.y_pred)

    def hidden(self) -> None:
        torch.mm(self.x, self.w1, out=self.h_relu).relu_()

    @torch.inference_mode()
    def backward(self) -> None:
        torch.sub(self.y_pred, self.y, out=self.difference)
        self.hidden_gradient()
        torch.mm(self.h_relu.T, self.difference, out=self.grad_w2).mul_(2)
        torch.mm(self.x.T, self.grad_h, out=self.grad_w1).mul_(2)

    def hidden_gradient(self) -> None:
        """Compute half the gradient of h."""
        torch.mm(self.difference, self.w2.T, out=self.grad_h)
        relu_backward(self.grad_h, self.h_relu, 0, grad_input=self.grad_h)

    @torch.inference_mode()
    def update(self) -> None:
        self.w1.sub_(self.grad_w1, alpha=self.learning_rate)
        self.w2.sub_(self.grad_w2, alpha=self.learning_rate)

    @torch.inference_mode()
    def step(self) -> None:
        self.fused_step()

    def fused_step(self) -> None:
        self.hidden()
        torch.addmm(self.y, self.h_relu, self.w2, beta=-1, out=self.difference)
        self.hidden_gradient()
        self.w2.addmm_(self.h_relu.T, self.difference, alpha=-2 * self.learning_rate)
        self.w1.addmm_(self.x.T, self.grad_h, alpha=-2 * self.learning_rate)

    @torch.inference_mode()
    def train(self, steps: int) -> np.ndarray:
        losses = []
        for _ in range(steps):
            self.fused_step()
            losses.append(self.loss())
        return self.to_host(losses)

    def loss(self) -> torch.Tensor:
        return torch.linalg.vector_norm(self.difference).square()
