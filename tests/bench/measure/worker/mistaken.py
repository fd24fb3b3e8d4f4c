"""Classes with mistakes that the checks of the interface find."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import Any, ClassVar

import numpy as np

from implementations.numpy_ import Net


class ReturnsFloat64(Net):
    """Reads its gradients in float64, whatever its dtype."""

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return self.grad_w1.astype(np.float64), self.grad_w2


class ReturnsLists(Net):
    def prediction(self) -> Any:
        return self.y_pred.tolist()


class FlattensOneOutput(Net):
    """Drops the axis of a single output."""

    def prediction(self) -> np.ndarray:
        return self.y_pred.squeeze(1) if self.y_pred.shape[1] == 1 else self.y_pred


class SinglePrecision(Net):
    """Computes in float32, whatever its dtype."""

    def forward(self) -> None:
        self.h = (self.x.astype(np.float32) @ self.w1.astype(np.float32)).astype(self.dtype)
        self.h_relu = np.maximum(self.h, 0)
        self.y_pred = self.h_relu @ self.w2


class DoublePrecision(Net):
    """Computes its prediction in float64, whatever its dtype."""

    def forward(self) -> None:
        super().forward()
        h_relu = np.maximum(self.x.astype(np.float64) @ self.w1.astype(np.float64), 0)
        self.y_pred = (h_relu @ self.w2.astype(np.float64)).astype(self.dtype)


class DeclaresLess(Net):
    precision = "medium"


class DeclaresNothingKnown(Net):
    precision = "float32"


class HalfGradient(Net):
    """Differentiates half the squared error."""

    def backward(self) -> None:
        super().backward()
        self.grad_w1, self.grad_w2 = self.grad_w1 / 2, self.grad_w2 / 2


class TutorialRate(Net):
    """Has the tutorial's rate built in."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.learning_rate = 1e-6


class TrainsAtOnce(Net):
    """Its `train` steps twice as often as it says."""

    def train(self, steps: int) -> np.ndarray:
        return super().train(2 * steps)[::2]


class OtherPhases(Net):
    """Steps right, but not by its phases."""

    def update(self) -> None:
        self.w1 -= self.learning_rate / 2 * self.grad_w1
        self.w2 -= self.learning_rate / 2 * self.grad_w2

    def step(self) -> None:
        self.forward()
        self.backward()
        super().update()

    def train(self, steps: int) -> np.ndarray:
        losses = []
        for _ in range(steps):
            self.step()
            losses.append(self.loss())
        return self.to_host(losses)


class WrongLosses(Net):
    """Returns the losses after each step."""

    def train(self, steps: int) -> np.ndarray:
        losses = []
        for _ in range(steps):
            self.step()
            self.forward()
            losses.append(self.loss())
        return self.to_host(losses)


class SharesWeights(Net):
    """Updates the problem's own arrays."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        _, _, self.w1, self.w2 = self.problem.arrays(self.dtype)


class WritesTarget(Net):
    """Computes the difference in the target's memory."""

    def backward(self) -> None:
        original = self.y.copy()
        super().backward()
        np.subtract(self.y_pred, original, out=self.y)


class LiveWeights(Net):
    """Returns its weights themselves."""

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.w1, self.w2


class OneBuffer(Net):
    """All nets of a shape write their hidden layers into one buffer."""

    buffers: ClassVar[dict[object, np.ndarray]] = {}

    def forward(self) -> None:
        super().forward()
        buffer = self.buffers.setdefault((self.h_relu.shape, self.dtype), np.empty_like(self.h_relu))
        buffer[...] = self.h_relu
        self.h_relu = buffer


class AddsUp(Net):
    """Adds its gradients to the last ones, as a framework does whose gradients are not set back."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.grad_w1, self.grad_w2 = np.zeros_like(self.w1), np.zeros_like(self.w2)

    def backward(self) -> None:
        before = self.grad_w1, self.grad_w2
        super().backward()
        self.grad_w1, self.grad_w2 = self.grad_w1 + before[0], self.grad_w2 + before[1]

    def update(self) -> None:
        super().update()
        self.grad_w1, self.grad_w2 = np.zeros_like(self.w1), np.zeros_like(self.w2)


class Consumes(Net):
    """Needs a forward before each backward, and does not say so."""

    def backward(self) -> None:
        super().backward()
        self.h_relu = self.h_relu[:0]


class Random(Net):
    """Adds noise to its predictions."""

    def forward(self) -> None:
        super().forward()
        self.y_pred = self.y_pred * (1 + 0.01 * np.random.default_rng().random())


class PredictsInConstructor(Net):
    """Has its first prediction ready, where anyone can read it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        super().forward()


class StepsInConstructor(Net):
    """Takes its first step in the constructor, and shows it when it is asked for it."""

    ready: tuple[np.ndarray, np.ndarray] | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        start = self.w1.copy(), self.w2.copy()
        super().step()
        self.ready = self.w1, self.w2
        self.w1, self.w2 = start
        del self.y_pred, self.grad_w1, self.grad_w2

    def step(self) -> None:
        if self.ready:
            self.w1, self.w2 = self.ready
            self.ready = None
        else:
            super().step()


class DifferentiatesInForward(Net):
    def forward(self) -> None:
        super().forward()
        super().backward()

    def backward(self) -> None: ...


class UpdatesInBackward(Net):
    def backward(self) -> None:
        super().backward()
        super().update()

    def update(self) -> None: ...


class LiftsItsLimit(Net):
    """Uses all processors, whatever its process is limited to."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


class Crashes(Net):
    """Reads address 0 at its first backward."""

    def backward(self) -> None:
        ctypes.string_at(0)


class Exits(Net):
    def forward(self) -> None:
        print("no licence for this machine")
        raise SystemExit(3)


class Hangs(Net):
    """Waits for what never comes."""

    def update(self) -> None:
        threading.Event().wait()


class Fails(Net):
    def forward(self) -> None:
        raise ArithmeticError("the product failed")


class HasNoDevice(Net):
    @classmethod
    def devices(cls) -> list[str]:
        return ["cpu", "abacus"]


class Slow(Net):
    """A right net whose every phase takes a while."""

    def forward(self) -> None:
        time.sleep(1e-3)
        super().forward()
