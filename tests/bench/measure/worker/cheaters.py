"""Classes that are right when they are verified, but do not do the work that is timed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from implementations.numpy_ import Net


class Queueing(Net):
    """Its phases only queue what a getter does."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.queue: list[Callable[[], None]] = []

    def forward(self) -> None:
        self.queue.append(super().forward)

    def backward(self) -> None:
        self.queue.append(super().backward)

    def update(self) -> None:
        self.queue.append(super().update)

    def work(self) -> None:
        queue, self.queue = self.queue, []
        for phase in queue:
            phase()

    def loss(self) -> Any:
        self.work()
        return super().loss()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        self.work()
        return super().weights()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        self.work()
        return super().gradients()

    def prediction(self) -> np.ndarray:
        self.work()
        return super().prediction()


class Unsynchronized(Net):
    """Wraps a framework that evaluates lazily, without `synchronize`: each phase records how its values follow from
    other values, and reading a value evaluates what it needs."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.first, self.second = Value(lambda: self.w1.copy()), Value(lambda: self.w2.copy())

    def forward(self) -> None:
        x, first, second = self.x, self.first, self.second
        self.hidden = hidden = Value(lambda: x @ first.read())
        self.active = active = Value(lambda: np.maximum(hidden.read(), 0))
        self.predicted = Value(lambda: active.read() @ second.read())

    def backward(self) -> None:
        x, y, second, hidden, active, predicted = (
            *(self.x, self.y, self.second),
            *(self.hidden, self.active, self.predicted),
        )
        off = Value(lambda: 2 * (predicted.read() - y))
        self.gradient2 = Value(lambda: active.read().T @ off.read())
        self.gradient1 = Value(lambda: x.T @ ((off.read() @ second.read().T) * (hidden.read() > 0)))

    def update(self) -> None:
        rate, first, second = self.learning_rate, self.first, self.second
        gradient1, gradient2 = self.gradient1, self.gradient2
        self.first = Value(lambda: first.read() - rate * gradient1.read(), first)
        self.second = Value(lambda: second.read() - rate * gradient2.read(), second)

    def loss(self) -> Any:
        return np.square(self.predicted.read() - self.y).sum()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.first.read(), self.second.read()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        return self.gradient1.read(), self.gradient2.read()

    def prediction(self) -> np.ndarray:
        return self.predicted.read()


class Value:
    """A value that is evaluated when it is read, after the one it follows, so that a long series does not nest."""

    def __init__(self, evaluate: Callable[[], np.ndarray], after: Value | None = None) -> None:
        self.evaluate: Callable[[], np.ndarray] | None = evaluate
        self.after = after
        self.value: Any = None

    def read(self) -> np.ndarray:
        waiting, series = self, []
        while waiting is not None and waiting.evaluate:
            series.append(waiting)
            waiting = waiting.after
        for value in reversed(series):
            value.value, value.evaluate, value.after = value.evaluate(), None, None
        return self.value


class KeptForward(Net):
    """Computes its forward again only if the weights have changed."""

    changed = True

    def forward(self) -> None:
        if self.changed:
            super().forward()
            self.changed = False

    def update(self) -> None:
        super().update()
        self.changed = True


class KeptBackward(Net):
    """Computes its gradients again only if the weights have changed."""

    changed = True

    def backward(self) -> None:
        if self.changed:
            super().backward()
            self.changed = False

    def update(self) -> None:
        super().update()
        self.changed = True


class SkipsLater(Net):
    """Updates three times, and then not any more."""

    updates = 0

    def update(self) -> None:
        self.updates += 1
        if self.updates <= 3:
            super().update()


class SkipsEverySecond(Net):
    """Skips every second update once it has been verified."""

    updates = 0

    def update(self) -> None:
        self.updates += 1
        if self.updates <= 3 or self.updates % 2:
            super().update()


class Shared(Net):
    """All nets of the class write their predictions, and their gradients, into the same arrays."""

    common: ClassVar[dict[object, np.ndarray]] = {}

    def share(self, name: str, tensor: np.ndarray) -> np.ndarray:
        kept = self.common.setdefault((name, tensor.shape, tensor.dtype), tensor)
        kept[...] = tensor
        return kept

    def forward(self) -> None:
        super().forward()
        self.y_pred = self.share("y_pred", self.y_pred)

    def backward(self) -> None:
        super().backward()
        self.grad_w1, self.grad_w2 = self.share("grad_w1", self.grad_w1), self.share("grad_w2", self.grad_w2)


class Continuing(Net):
    """After the nets of its verification, starts each new net with the weights of the last one of its shape."""

    last: ClassVar[dict[object, tuple[np.ndarray, np.ndarray]]] = {}
    made: ClassVar[Counter[object]] = Counter()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.made[self.problem.shape] += 1
        if self.made[self.problem.shape] > 6:
            self.w1, self.w2 = self.last.get(self.problem.shape, (self.w1, self.w2))
        self.last[self.problem.shape] = self.w1, self.w2


class ReturnsEarly(Net):
    """After the three steps of its verification, steps in a thread without waiting for it."""

    steps = 0
    one_at_a_time = threading.Lock()
    """Else hundreds of late steps at once, each with threads of its own, make a process abort."""

    def step(self) -> None:
        self.steps += 1
        if self.steps <= 3:
            super().step()
        else:
            threading.Timer(0.02, self.step_late).start()

    def step_late(self) -> None:
        with self.one_at_a_time:
            super().step()


LATER_SECONDS = 0.02
"""The delay of a thread that does the rest: long enough to be after the reading, even on a busy machine."""


class TrainsEarly(Net):
    """Returns from a long training while a thread continues it."""

    def train(self, steps: int) -> np.ndarray:
        if steps <= 3:
            return super().train(steps)
        losses = super().train(3)
        thread = threading.Timer(LATER_SECONDS, super().train, args=(steps - 3,))
        thread.daemon = True
        thread.start()
        return np.concatenate([losses, np.full(steps - 3, losses[-1], self.dtype)])


class TrainsShort(Net):
    """Does only three steps of any training, and invents the other losses."""

    def train(self, steps: int) -> np.ndarray:
        losses = super().train(min(steps, 3))
        return np.concatenate([losses, losses[-1] * 0.9 ** np.arange(1, steps - 2)]).astype(self.dtype)


class Degrades(Net):
    """Halves its precision after two forwards."""

    forwards = 0

    def forward(self) -> None:
        self.forwards += 1
        super().forward()
        if self.forwards > 2:
            self.h_relu = self.h_relu.astype(np.float16).astype(self.dtype)
            self.y_pred = self.h_relu @ self.w2


class ComputesWhenRead(Net):
    """Its forward and backward do nothing; whatever needs their results computes them each time."""

    def forward(self) -> None: ...

    def backward(self) -> None: ...

    def update(self) -> None:
        super().forward()
        super().backward()
        super().update()

    def loss(self) -> Any:
        super().forward()
        return super().loss()

    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        super().forward()
        super().backward()
        return super().gradients()

    def prediction(self) -> np.ndarray:
        super().forward()
        return super().prediction()


class WorksOnceRead(Net):
    """After the three updates of its verification, updates only once for each reading."""

    calls, is_read = 0, False

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        self.is_read = True
        return super().weights()

    def update(self) -> None:
        self.calls += 1
        if self.calls <= 3 or self.is_read:
            super().update()
        self.is_read = False


class KeptTraining(Net):
    """Trains once for each number of steps, shape and start, and then returns the kept results."""

    trainings: ClassVar[dict[object, tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}

    def key(self, steps: int) -> object:
        return steps, self.problem.shape, float(self.w1[0, 0])

    def train(self, steps: int) -> np.ndarray:
        key = self.key(steps)
        if key not in self.trainings:
            self.trainings[key] = super().train(steps), self.w1, self.w2
        losses, w1, w2 = self.trainings[key]
        self.w1, self.w2 = w1.copy(), w2.copy()
        return losses.copy()


class KeptTrainingOfItsShape(KeptTraining):
    """Returns the kept results for any numbers of the same shape."""

    def key(self, steps: int) -> object:
        return steps, self.problem.shape


class KeptProduct(Net):
    """Keeps the first layer's product while the weights are unchanged, and computes the rest each time."""

    product: tuple[np.ndarray, np.ndarray] | None = None

    def forward(self) -> None:
        if self.product is None:
            self.h = self.x @ self.w1
            self.product = self.h, np.maximum(self.h, 0)
        self.h, self.h_relu = self.product
        self.y_pred = self.h_relu @ self.w2

    def update(self) -> None:
        super().update()
        self.product = None
