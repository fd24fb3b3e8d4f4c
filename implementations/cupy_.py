"""CuPy on a GPU, by hand: NumPy's net with CuPy's arrays. Kernels run asynchronously on one stream."""

from __future__ import annotations

import numpy as np

from .interface import Problem, TwoLayerNet, Unavailable
from .numpy_ import Net as NumpyNet

try:
    import cupy
except ImportError as error:
    raise Unavailable("CuPy is not installed: pip install -e '.[cuda13]' (or '.[cuda12]')") from error

DEVICE_KINDS = ("cuda",)
DTYPES = ("float16", "float32", "float64")


class Net(NumpyNet):
    backend = "cupy"
    xp = cupy

    def __init__(self, problem: Problem, device: str = "cuda", dtype: str = "float32") -> None:
        TwoLayerNet.__init__(self, problem, device, dtype)
        self.gpu = cupy.cuda.Device(_index(device))
        self.gpu.use()
        self.x, self.y, self.w1, self.w2 = (cupy.asarray(array) for array in problem.arrays(dtype))

    def to_host(self, losses: list) -> np.ndarray:
        return cupy.asnumpy(cupy.stack(losses))

    def synchronize(self) -> None:
        self.gpu.synchronize()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return cupy.asnumpy(self.w1), cupy.asnumpy(self.w2)

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return cupy.asnumpy(self.grad_w1), cupy.asnumpy(self.grad_w2)

    def prediction(self) -> np.ndarray:
        return cupy.asnumpy(self.y_pred)

    @classmethod
    def devices(cls) -> list[str]:
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise Unavailable(f"CuPy finds no CUDA device: {error}") from error
        if not count:
            raise Unavailable("CuPy finds no CUDA device")
        return ["cuda", *(f"cuda:{index}" for index in range(count))]

    @classmethod
    def device_name(cls, device: str) -> str | None:
        return cupy.cuda.runtime.getDeviceProperties(_index(device))["name"].decode()

    @classmethod
    def free_device_bytes(cls, device: str) -> int | None:
        with cupy.cuda.Device(_index(device)):
            free, _ = cupy.cuda.runtime.memGetInfo()
        return free

    def peak_device_bytes(self) -> int | None:
        return cupy.get_default_memory_pool().total_bytes()


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)
