"""PyTorch with the whole step compiled by TorchInductor, which fuses what is elementwise; `train` calls one compiled
step after another. The phases by themselves are those of `torch`."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from importlib.util import find_spec

import numpy as np

from .interface import Unavailable
from .torch_ import Net as TorchNet
from .torch_ import torch

DEVICE_KINDS = ("cpu", "cuda", "xpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")

# Each shape is compiled for itself; without these, the ninth would fail.
torch._dynamo.config.recompile_limit = 1 << 20
torch._dynamo.config.accumulated_recompile_limit = 1 << 20


@partial(torch.compile, fullgraph=True, dynamic=False)
def step(w1, w2, x, y, rate):
    h = x @ w1
    h_relu = h.clamp(min=0)
    y_pred = h_relu @ w2
    grad_y = 2 * (y_pred - y)
    grad_w2 = h_relu.T @ grad_y
    grad_w1 = x.T @ torch.where(h < 0, 0, grad_y @ w2.T)
    w1.sub_(grad_w1, alpha=rate)
    w2.sub_(grad_w2, alpha=rate)
    return (y_pred - y).square().sum()


class Net(TorchNet):
    def step(self) -> None:
        step(self.w1, self.w2, self.x, self.y, self.learning_rate)

    def train(self, steps: int) -> np.ndarray:
        return self.to_host([step(self.w1, self.w2, self.x, self.y, self.learning_rate) for _ in range(steps)])

    @classmethod
    def devices(cls) -> list[str]:
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        missing = {} if shutil.which(compiler) else {"cpu": f"the C++ compiler {compiler}"}
        if not find_spec("triton"):
            missing |= {"cuda": "Triton", "xpu": "Triton"}
        devices = [device for device in super().devices() if device.partition(":")[0] not in {*missing, "mps"}]
        if not devices:
            raise Unavailable(f"TorchInductor needs {missing['cpu']}, which is not installed")
        return devices
