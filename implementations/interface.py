"""The contract every backend implements: the problem, the network, and the exception for missing ones."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

TUTORIAL_SHAPE = (64, 1000, 100, 10)
TUTORIAL_RATE = 1e-6


def host_dtype(dtype: str) -> str:
    """Return the dtype of a net's arrays on the host. NumPy has no bfloat16: its numbers are float32 there, exactly."""
    return "float32" if dtype == "bfloat16" else dtype


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return an array's numbers rounded to `dtype`, in that dtype's `host_dtype`; the array itself if it has it."""
    with np.errstate(over="ignore"):  # beyond the largest number of a dtype is infinity
        on_host = array.astype(host_dtype(dtype), copy=False)
    return to_bfloat16(on_host) if dtype == "bfloat16" else on_host


def to_bfloat16(array: np.ndarray) -> np.ndarray:
    """Return a float32 array rounded to bfloat16, half to even. bfloat16 is the upper half of a float32's bits."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) & np.uint32(0xFFFF0000)
    # A carry would make some NaN a number.
    return np.where(np.isnan(array), array, rounded.view(np.float32)).reshape(array.shape)


class Unavailable(Exception):
    """The framework or device is not on this machine; the message says why and how to get it."""


@dataclass(frozen=True)
class Problem:
    """One regression problem: float64 host arrays and the learning rate.

    Shapes: x (N, D_in), y (N, D_out), w1 (D_in, H), w2 (H, D_out).
    """

    x: np.ndarray
    y: np.ndarray
    w1: np.ndarray
    w2: np.ndarray
    learning_rate: float
    _casts: dict[str, tuple[np.ndarray, ...]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def random(cls, N: int, D_in: int, H: int, D_out: int, seed: int = 0) -> Problem:
        """Draw x, y, w1 and w2, in this order, from one seeded generator: independent standard normals."""
        draw = np.random.default_rng(seed).standard_normal
        x, y, w1, w2 = draw((N, D_in)), draw((N, D_out)), draw((D_in, H)), draw((H, D_out))
        return cls(x, y, w1, w2, learning_rate(N, D_in, H, D_out))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, D_in, H, D_out)."""
        return (*self.x.shape, *self.w2.shape)

    def arrays(self, dtype: str) -> tuple[np.ndarray, ...]:
        """Return x, y, w1, w2 in `dtype`, in bfloat16 as float32 arrays of rounded numbers. They are cast once and
        shared: copy what you update."""
        if dtype not in self._casts:
            self._casts[dtype] = tuple(cast(a, dtype) for a in (self.x, self.y, self.w1, self.w2))
        return self._casts[dtype]


@lru_cache
def learning_rate(N: int, D_in: int, H: int, D_out: int) -> float:
    """Return the tutorial's 1e-6 at its shape, and a rate as far from the edge of stability elsewhere.

    Gradient descent is stable while rate < 2 / (largest Hessian eigenvalue). At random weights that
    eigenvalue grows like `_curvature`. The tutorial sits right at the edge, which larger shapes do
    not survive: they back off by up to a half.
    """
    ratio = _curvature(*TUTORIAL_SHAPE) / _curvature(N, D_in, H, D_out)
    back_off = max(0.5, ratio**0.25) if ratio < 1 else 1.0
    return TUTORIAL_RATE * ratio * back_off


def _curvature(N: int, D_in: int, H: int, D_out: int) -> float:
    """Return half the largest Hessian eigenvalue at random weights, from extreme singular values of
    Gaussian matrices, (√rows + √columns)² (Davidson & Szarek 2001).

    The w2 block is h_reluᵀ·h_relu: relu of N(0, D_in) has mean √(D_in / 2π), a rank-one spike, and
    variance 0.34·D_in. The w1 block is xᵀ·x times w2·w2ᵀ, halved by the mask.
    """

    def extreme(rows: int, columns: int) -> float:
        return (math.sqrt(rows) + math.sqrt(columns)) ** 2

    spike = N * D_in * H / (2 * math.pi)
    bulk = 0.34 * D_in * extreme(N, H)
    first_layer = 0.5 * extreme(N, D_in) * extreme(H, D_out)
    return spike + bulk + first_layer


class TwoLayerNet(ABC):
    """y_pred = relu(x @ w1) @ w2, loss = sum((y_pred - y)**2), plain gradient descent.

    The constructor moves the data to `device`; the phases touch native arrays only; the getters
    return host arrays in the net's dtype, those of a bfloat16 net float32 arrays of its numbers. A
    subclass implements the abstract methods, and overrides others where its backend needs it; see
    the README's "Add a backend".
    """

    backend: ClassVar[str]
    """The framework's import name, whose version is recorded."""
    precision: ClassVar[str] = "highest"
    """The precision of float32 matrix products: `highest` (float32 itself), `high` (TF32), `medium` (bfloat16)."""
    consumes_graph: ClassVar[bool] = False
    """Whether every `backward()` needs a `forward()` of its own before it."""

    def __init__(self, problem: Problem, device: str = "cpu", dtype: str = "float32") -> None:
        self.problem, self.device, self.dtype = problem, device, dtype
        self.learning_rate = problem.learning_rate

    @abstractmethod
    def forward(self) -> None:
        """Compute the prediction from the weights."""

    @abstractmethod
    def backward(self) -> None:
        """Compute both gradients from the last `forward()`."""

    @abstractmethod
    def update(self) -> None:
        """Subtract rate × gradient from both weights."""

    def step(self) -> None:
        """Take one training step; override where the backend's users would fuse it."""
        self.forward()
        self.backward()
        self.update()

    @abstractmethod
    def loss(self) -> Any:
        """Return the loss of the last `forward()`, a native scalar; called after `backward()`."""

    def train(self, steps: int) -> np.ndarray:
        """Take `steps` steps from the present weights. Return the loss before each, float (steps,)."""
        losses = []
        for _ in range(steps):
            self.forward()
            self.backward()
            losses.append(self.loss())
            self.update()
        return self.to_host(losses)

    def to_host(self, losses: list[Any]) -> np.ndarray:
        """Return native scalars as one host array; override where one transfer can fetch them all."""
        return np.array([float(loss) for loss in losses], host_dtype(self.dtype))

    def synchronize(self) -> None:  # noqa: B027 - synchronous backends need nothing here
        """Return once everything asked of the device is done."""

    @abstractmethod
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return w1 (D_in, H) and w2 (H, D_out) on the host."""

    @abstractmethod
    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the last `backward()` for w1 (D_in, H) and w2 (H, D_out), on the host."""

    @abstractmethod
    def prediction(self) -> np.ndarray:
        """Return the prediction of the last `forward()`, y_pred (N, D_out), on the host."""

    @classmethod
    def devices(cls) -> list[str]:
        """Return the devices usable on this machine. Raises Unavailable(reason) when there is none."""
        return ["cpu"]

    @classmethod
    def device_name(cls, device: str) -> str | None:
        """Return the accelerator's product name; None for the host's processor."""
        return None

    # The machine's ceilings are measured with these three, on a net whose x and w1 have the same shape. They work
    # for arrays that can be written in place; only the file named like its framework needs them.

    def product(self) -> None:
        """Compute x·w1, and keep it so that `synchronize` waits for it."""
        self.result = self.x @ self.w1

    def copy_in_place(self) -> None:
        """Copy x over w1: one array read and one written, none allocated."""
        self.w1[...] = self.x

    def add_in_place(self) -> None:
        """Add x to w1: two arrays read and one written, none allocated."""
        self.w1 += self.x

    @classmethod
    def free_device_bytes(cls, device: str) -> int | None:
        """Return a device's free memory in bytes; None for the host, or where the framework does not report it."""
        return None

    def peak_device_bytes(self) -> int | None:
        """Return the most device memory in use so far, in bytes; None where the framework does not report it."""
        return None
