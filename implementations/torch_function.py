"""PyTorch with ReLU as a custom autograd function: Python runs inside the backward pass."""

from __future__ import annotations

from .torch_ import torch
from .torch_autograd import Net as AutogradNet

DEVICE_KINDS = ("cpu", "cuda", "mps", "xpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")


class ReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(h)
        return h.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_h_relu: torch.Tensor) -> torch.Tensor:
        (h,) = ctx.saved_tensors
        grad_h = grad_h_relu.clone()
        grad_h[h < 0] = 0
        return grad_h


class Net(AutogradNet):
    def forward(self) -> None:
        self.y_pred = ReLU.apply(self.x @ self.w1) @ self.w2
