"""NumPy without temporaries, every array on a cache line's boundary: NumPy's own allocator begins arrays anywhere in a
line, where the widest loads and stores of its products and sums touch two lines."""

from __future__ import annotations

import numpy as np

from .numpy_inplace import Net as InplaceNet

DEVICE_KINDS = ("cpu",)
DTYPES = ("float16", "float32", "float64")
LINE_BYTES = 64


class Net(InplaceNet):
    def placed(self, tensor: np.ndarray) -> np.ndarray:
        aligned = self.empty(*tensor.shape)
        aligned[...] = tensor
        return aligned

    def empty(self, *shape: int) -> np.ndarray:
        item_bytes = np.dtype(self.dtype).itemsize
        size = int(np.prod(shape))
        buffer = np.empty(size + LINE_BYTES // item_bytes, self.dtype)
        first = -buffer.ctypes.data % LINE_BYTES // item_bytes
        return buffer[first : first + size].reshape(shape)
