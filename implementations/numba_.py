"""Numba: the whole step is one compiled function around BLAS that allocates nothing, and so is `train`. Its products
subtract from the weights themselves (`gemm` with beta = 1)."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from .interface import Problem, Unavailable
from .numpy_inplace import Net as InplaceNet

try:
    import numba
    from numba.extending import get_cython_function_address
except ImportError as error:
    raise Unavailable("Numba is not installed: pip install -e '.[numba]'") from error

DEVICE_KINDS = ("cpu",)
STYLE_OF = "numpy"
GEMM = {"float32": "sgemm", "float64": "dgemm"}


@numba.njit
def forward(x, w1, w2, h_relu, y_pred):
    np.dot(x, w1, h_relu)
    for n in range(h_relu.shape[0]):
        for i in range(h_relu.shape[1]):
            h_relu[n, i] = max(h_relu[n, i], h_relu.dtype.type(0))
    np.dot(h_relu, w2, y_pred)


@numba.njit
def hidden_gradient(scale, y, w2, h_relu, y_pred, grad_y, grad_h):
    """Compute the gradients of y_pred and of h, for scale / 2 × the loss, and return the loss."""
    loss = y.dtype.type(0)
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            difference = y_pred[n, o] - y[n, o]
            loss += difference * difference
            grad_y[n, o] = scale * difference
    np.dot(grad_y, w2.T, grad_h)
    for n in range(h_relu.shape[0]):
        for i in range(h_relu.shape[1]):
            if not h_relu[n, i] > 0:
                grad_h[n, i] = 0
    return loss


@numba.njit
def backward(x, y, w2, h_relu, y_pred, grad_y, grad_h, grad_w1, grad_w2):
    loss = hidden_gradient(y.dtype.type(2), y, w2, h_relu, y_pred, grad_y, grad_h)
    np.dot(h_relu.T, grad_y, grad_w2)
    np.dot(x.T, grad_h, grad_w1)
    return loss


@numba.njit
def update(w, grad_w, rate):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] -= rate * grad_w[i, j]


@cache
def fused(dtype: str):
    """Return a dtype's step, and its training of as many steps as there are losses."""
    # SciPy's BLAS is what Numba's products are, too. All of its arguments are addresses.
    address = get_cython_function_address("scipy.linalg.cython_blas", GEMM[dtype])
    gemm = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address)

    @numba.njit
    def subtract_product(w, a, b, transposed, sizes, factors):
        """Subtract aᵀ·b from w. NumPy's rows are BLAS's columns, so that it subtracts bᵀ·a from wᵀ."""
        sizes[0], sizes[1], sizes[2] = w.shape[1], w.shape[0], a.shape[0]
        H, D, terms = sizes.ctypes.data, sizes[1:].ctypes.data, sizes[2:].ctypes.data
        kept, flipped = transposed.ctypes.data, transposed[1:].ctypes.data
        minus_one, one = factors.ctypes.data, factors[1:].ctypes.data
        gemm(kept, flipped, H, D, terms, minus_one, b.ctypes.data, H, a.ctypes.data, D, one, w.ctypes.data, H)

    @numba.njit
    def step(scale, x, y, w1, w2, h_relu, y_pred, grad_y, grad_h, *blas_arguments):
        forward(x, w1, w2, h_relu, y_pred)
        loss = hidden_gradient(scale, y, w2, h_relu, y_pred, grad_y, grad_h)
        subtract_product(w2, h_relu, grad_y, *blas_arguments)
        subtract_product(w1, x, grad_h, *blas_arguments)
        return loss

    @numba.njit
    def train(losses, *arguments):
        for i in range(len(losses)):
            losses[i] = step(*arguments)

    return step, train


class Net(InplaceNet):
    backend = "numba"

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        super().__init__(problem, device, dtype)
        scale = np.dtype(dtype).type(2 * self.learning_rate)
        activations = (self.h_relu, self.y_pred, self.grad_y, self.grad_h)
        blas_arguments = (np.frombuffer(b"NT", np.uint8), np.zeros(3, np.int32), np.array([-1, 1], dtype))
        self.step_arguments = (scale, self.x, self.y, self.w1, self.w2, *activations, *blas_arguments)
        self.fused_step, self.fused_train = fused(dtype)

    def forward(self) -> None:
        forward(self.x, self.w1, self.w2, self.h_relu, self.y_pred)

    def backward(self) -> None:
        layers = (self.h_relu, self.y_pred, self.grad_y, self.grad_h)
        self.last_loss = backward(self.x, self.y, self.w2, *layers, self.grad_w1, self.grad_w2)

    def update(self) -> None:
        rate = self.w1.dtype.type(self.learning_rate)
        update(self.w1, self.grad_w1, rate)
        update(self.w2, self.grad_w2, rate)

    def step(self) -> None:
        self.fused_step(*self.step_arguments)

    def train(self, steps: int) -> np.ndarray:
        losses = np.empty(steps, self.dtype)
        self.fused_train(losses, *self.step_arguments)
        return losses

    def loss(self):
        return self.last_loss
