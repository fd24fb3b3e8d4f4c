"""The first steps of a problem in float64, which a net is verified against: computed, stored in files, and read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .blas import one_thread
from .reference import Decide, Rounding, Step, nearness, rounding_of, step

STEPS = 3


class Unusable(Exception):
    """A stored course cannot be used: the message says why."""


class Changed(Unusable):
    """A stored course is not what was written."""


@dataclass(frozen=True)
class Course:
    """The first step of a problem, and the losses and weights of its first STEPS steps; `tensor` returns a tensor by
    its name, so that those of a stored course are in memory only while they are used."""

    tensor: Callable[[str], np.ndarray]

    def first(self) -> Step:
        """Return the first step. Raises Unusable."""
        return Step(*(self.tensor(field.name) for field in fields(Step)))

    def end(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the `losses`, or `w1` or `w2` after the last step, and how much the signs in doubt may change each
        element. Raises Unusable."""
        return self.tensor(name), self.tensor(_doubt_of(name))


def own(net: Any) -> Course:
    """Return the course of a net's problem, computed in this process."""
    with one_thread():
        tensors = compute(net.problem.arrays(net.dtype), net.problem.learning_rate, rounding_of(net))
    return Course(tensors.__getitem__)


def compute(arrays: Sequence[np.ndarray], rate: float, rounding: Rounding) -> dict[str, np.ndarray]:
    """Return the tensors of a course by name, from x, y, w1 and w2 in the nets' dtype and how the nets round."""
    x, y, *start = arrays
    w1, w2 = (weights.astype(np.float64) for weights in start)
    walk = partial(_walk, x, y, w1, w2, rate, nearness(x, w1, rounding), is_narrow=rounding.stored > 0)
    course = walk(lambda: np.zeros)
    assert course.first
    doubts: dict[str, np.ndarray] = dict.fromkeys(course.ends, np.zeros(()))
    for decision in _DECISIONS if course.in_doubt else ():
        for name, tensor in walk(decision, is_first_wanted=False).ends.items():
            doubts[name] = np.maximum(doubts[name], np.abs(tensor - course.ends[name]))
    # With a margin for choices that were not tried.
    margins = {_doubt_of(name): 4 * doubt for name, doubt in doubts.items()}
    return {field.name: getattr(course.first, field.name) for field in fields(Step)} | course.ends | margins


def save(tensors: Mapping[str, np.ndarray], folder: Path) -> dict[str, str]:
    """Write a course's tensors to files that are only to be read; return their digests. Raises OSError."""
    for name, tensor in tensors.items():
        file = _file(folder, name)
        np.save(file, tensor)
        file.chmod(0o400)
    return {name: digest(tensor) for name, tensor in tensors.items()}


def stored(net: Any, folder: str, problem: str, digests: Mapping[str, str]) -> Course:
    """Return the course that is in a folder, if it is of a net's `problem`, by its digest. Raises Unusable; so does
    reading a tensor that is not what was written, by `digests`."""
    if digest_of_problem(net.problem.arrays(net.dtype), net.problem.learning_rate, rounding_of(net)) != problem:
        raise Unusable("the shared reference is of another problem")

    def tensor(name: str) -> np.ndarray:
        file = _file(Path(folder), name)
        try:
            # It is read as a whole, not mapped: what was compared with the digest cannot change afterwards.
            with file.open("rb") as opened:
                array = np.lib.format.read_array(opened, allow_pickle=False)
        except (OSError, ValueError, MemoryError) as error:
            raise Changed(f"the shared reference's {file.name} cannot be read: {error}") from error
        if digest(array) != digests.get(name):
            raise Changed(f"the shared reference's {file.name} was changed after it was written")
        return array

    return Course(tensor)


def digest_of_problem(arrays: Sequence[np.ndarray], rate: float, rounding: Rounding) -> str:
    """Return a digest of all that a course depends on."""
    return digest(*arrays, np.array([rate, *rounding]))


def digest(*arrays: np.ndarray) -> str:
    """Return a digest of arrays with their shapes and dtypes."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()


@dataclass(frozen=True)
class _Walk:
    """STEPS steps with one choice of the undecided."""

    first: Step | None
    """The first step, if it is wanted: it has as much memory as the weights."""
    ends: dict[str, np.ndarray]
    """The losses, and the weights after the last step."""
    in_doubt: bool
    """Whether any step had pre-activations too close to 0 for their sign to be certain; known if the first step is
    wanted."""


def _walk(
    x: np.ndarray,
    y: np.ndarray,
    w1: np.ndarray,
    w2: np.ndarray,
    rate: float,
    near: float,
    decision: Callable[[], Decide],
    is_first_wanted: bool = True,
    is_narrow: bool = False,
) -> _Walk:
    first, losses, in_doubt = None, [], False
    for _ in range(STEPS):
        now = step(x, y, w1, w2, near, decision(), with_doubt=is_first_wanted, is_narrow=is_narrow)
        losses.append(float(np.square(now.y_pred - y).sum()))
        in_doubt = in_doubt or bool(now.doubt.any())
        w1, w2 = w1 - rate * now.grad_w1, w2 - rate * now.grad_w2
        first = first or (now if is_first_wanted else None)
        del now  # or its gradients would be in memory during the next step
    return _Walk(first, {"losses": np.array(losses), "w1": w1, "w2": w2}, in_doubt)


def _random_half(seed: int) -> Decide:
    random = np.random.default_rng(seed).random
    return lambda shape: random(shape) < 0.5


_DECISIONS: list[Callable[[], Decide]] = [lambda: np.ones, *(partial(_random_half, seed) for seed in range(4))]
"""Other choices of the undecided that count as positive: all, and random halves, whose effects differ. Each makes the
same choice in every step."""


def _doubt_of(name: str) -> str:
    return f"{name}_doubt"


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"
