"""PyTorch tensors, by hand, on any torch device. Accelerators run asynchronously."""

from __future__ import annotations

import numpy as np

from .interface import Problem, TwoLayerNet, Unavailable

try:
    import torch
except ImportError as error:
    raise Unavailable("PyTorch is not installed: pip install -e '.[torch]'") from error

DEVICE_KINDS = ("cpu", "cuda", "mps", "xpu")
DTYPES = ("float16", "bfloat16", "float32", "float64")

torch.set_float32_matmul_precision("highest")


class Net(TwoLayerNet):
    backend = "torch"

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        x, y, w1, w2 = (torch.from_numpy(array).to(getattr(torch, dtype)) for array in problem.arrays(dtype))
        self.x, self.y = x.to(device), y.to(device)
        self.start_from(w1, w2)

    def start_from(self, w1: torch.Tensor, w2: torch.Tensor) -> None:
        """Copy the problem's weights from the host to the device."""
        self.w1, self.w2 = w1.to(self.device, copy=True), w2.to(self.device, copy=True)

    def forward(self) -> None:
        self.h = self.x @ self.w1
        self.h_relu = self.h.clamp(min=0)
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

    def loss(self) -> torch.Tensor:
        return (self.y_pred - self.y).square().sum()

    def to_host(self, losses: list[torch.Tensor]) -> np.ndarray:
        return to_numpy(torch.stack(losses))

    def synchronize(self) -> None:
        kind = self.device.partition(":")[0]
        if kind != "cpu":
            getattr(torch, kind).synchronize(*[] if kind == "mps" else [self.device])

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.w1), to_numpy(self.w2)

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return to_numpy(self.grad_w1), to_numpy(self.grad_w2)

    def prediction(self) -> np.ndarray:
        return to_numpy(self.y_pred)

    @classmethod
    def devices(cls) -> list[str]:
        devices = ["cpu"]
        for kind in ("cuda", "xpu"):
            module = getattr(torch, kind)
            if module.is_available():
                devices += [kind, *(f"{kind}:{index}" for index in range(module.device_count()))]
        if torch.backends.mps.is_available():
            devices.append("mps")
        return devices

    @classmethod
    def device_name(cls, device: str) -> str | None:
        kind = device.partition(":")[0]
        return getattr(torch, kind).get_device_name(device) if kind in ("cuda", "xpu") else None

    @classmethod
    def free_device_bytes(cls, device: str) -> int | None:
        return torch.cuda.mem_get_info(device)[0] if device.partition(":")[0] == "cuda" else None

    def peak_device_bytes(self) -> int | None:
        kind = self.device.partition(":")[0]
        return getattr(torch, kind).max_memory_allocated(self.device) if kind in ("cuda", "xpu") else None


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Return a host copy: a view of a CPU tensor would change with the next update."""
    tensor = tensor.detach().cpu()
    return tensor.float().numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy().copy()
