"""Whether a timed cell did its work: nothing left undone or kept from an earlier call, no state shared between nets,
and results that are still right. Outside every clock that becomes a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .lazy import kept, recomputed, undone
from .nets import advance, another, copies, results
from .reference import Check, Expected, pair, reference
from .timing import Timer

MOST_ROWS = 256
"""Of w1, that are compared in float64 in each process: others in each, so that a check is short at any shape."""
CHANGES = 2
"""Consecutive iterations of which each must change the weights: more than one, since every second may be skipped."""
UNREAD = 2
"""Iterations between which nothing is read: a net that works only after a reading does fewer."""
LOOSE = 0.1
"""Of the way that the weights have to go in these, how far a net may be from another one that starts where it did."""
VISIBLE = 16.0
"""A change is visible in weights from this many times their rounding on."""


def reasons(timer: Timer, seconds: float) -> Iterator[str]:
    """Why a cell that took `seconds` an iteration is wrong, in words; none for an honest one. `timer` has the net
    of the last block."""
    phase, net = timer.phase, timer.net
    other = timer.make()
    other.synchronize()
    if not _alike(other.weights(), net.problem.arrays(net.dtype)[2:]):
        yield "a new net does not start from the problem's weights: nets share state"
        return
    if phase != "train":
        yield from undone(timer.of(other), seconds, timer.make)
        yield from recomputed(timer.of(other), seconds, timer.make)
    if phase in ("forward", "backward"):
        yield from kept(timer, seconds)
    check = {"forward": _forward, "backward": _backward, "update": _update}.get(phase, _step)
    yield from check(net, other)


def _forward(net: Any, other: Any) -> Iterator[str]:
    """Of weights that it has just changed."""
    weights = copies(net.weights())
    computed = copies((net.prediction(),))
    expected, _ = _expected(net, weights, backward=False)
    yield from _failed([expected.prediction(computed[0])])
    yield from _shared(net, other, "forward", computed)


def _backward(net: Any, other: Any) -> Iterator[str]:
    """Of weights that it has just changed."""
    weights = copies(net.weights())
    computed = copies(net.gradients())
    expected, rows = _expected(net, weights)
    yield from _failed(expected.gradients(_at(computed, rows)))
    yield from _shared(net, other, "backward", computed)


def _update(net: Any, other: Any) -> Iterator[str]:
    """Rate × gradient is subtracted. That the gradients are right is for the backward's cell to say."""
    yield from _skipped(other, "update")
    yield from _shared(net, other, "update", (*copies(net.weights()), *copies(net.gradients())))
    yield from subtracted(net)
    yield from _skipped(net, "update", copies(net.weights()))


def subtracted(net: Any) -> Iterator[str]:
    """Whether updates subtract rate × gradient, by some rows of w1, and by w2."""
    rows, rounding = _rows(net), float(np.finfo(net.dtype).eps)
    before, gradients = _at(net.weights(), rows), _at(net.gradients(), rows)
    for _ in range(UNREAD):
        net.update()
    net.synchronize()
    for i, (old, gradient, new) in enumerate(zip(before, gradients, _at(net.weights(), rows), strict=True)):
        change = UNREAD * net.problem.learning_rate * gradient.astype(np.float64)
        off, due = float(np.abs(new - (old - change)).max()), float(np.abs(change).max())
        if not off <= UNREAD * 4 * rounding * (float(np.abs(old).max()) + due):
            yield (
                f"after the timed ones, {UNREAD} updates of w{i + 1} are off by {off:.2g}; "
                f"they had to change it by {due:.2g}"
            )
            return


def _step(net: Any, other: Any) -> Iterator[str]:
    before = copies(net.weights())
    yield from _skipped(other, "step")
    yield from _shared(net, other, "step", before)
    net.forward()
    net.synchronize()
    prediction = np.array(net.prediction())
    net.step()
    net.synchronize()
    after = copies(net.weights())
    expected, rows = _expected(net, before)
    start = expected.reference
    target = start.w1 - start.rate * start.grad_w1, start.w2 - start.rate * start.grad_w2
    # The prediction as well: what a step of a trained net changes may be lost in the rounding of its weights.
    yield from _failed([expected.prediction(prediction), *expected.weights(_at(after, rows), target, "a step")])
    yield from _skipped(net, "step", after)
    yield from _unread(net)


def _unread(net: Any) -> Iterator[str]:
    """Whether steps between which nothing is read come to what another net's steps come to from the same weights."""
    before = copies(net.weights())
    other = another(net, before)
    for each in (other, net):
        for _ in range(UNREAD):
            each.step()
            if each is other:
                each.synchronize()
                each.weights()
        each.synchronize()
    for i, (old, due, new) in enumerate(zip(before, copies(other.weights()), copies(net.weights()), strict=True)):
        way, apart = float(np.linalg.norm(due - old)), float(np.linalg.norm(new - due))
        if not apart <= LOOSE * way + VISIBLE * UNREAD * float(np.finfo(net.dtype).eps * np.linalg.norm(old)):
            yield (
                f"{UNREAD} steps between which nothing is read leave w{i + 1} {apart:.2g} away from where they bring "
                f"another net, of a way of {way:.2g}: steps are skipped unless a result is read"
            )
            return


def _shared(net: Any, other: Any, phase: str, before: tuple[np.ndarray, ...]) -> Iterator[str]:
    """Whether what a net has, which was read as `before`, changes with what another one does."""
    if phase == "step":
        other.step()
        other.synchronize()
    else:
        advance(other, update=phase == "update")
    changing = net.weights() if phase == "update" else ()
    after = (*changing, *results(net, "backward" if phase == "update" else phase)())
    for old, new in zip(before, after, strict=True):
        if not (np.array_equal(old, new) or np.array_equal(old, new, equal_nan=True)):
            yield f"a step of another net changes what this one has after its {phase}: nets share state"
            return


def _skipped(net: Any, phase: str, before: tuple[np.ndarray, ...] | None = None) -> Iterator[str]:
    """Whether an iteration leaves weights as they are that it had to change. Where `before` was read after one,
    that one counts."""
    left = CHANGES if before is None else CHANGES - 1
    before = copies(net.weights()) if before is None else before
    for _ in range(left):
        getattr(net, phase)()
        net.synchronize()
        after = copies(net.weights())
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            if np.array_equal(old, new) and _visible(net, phase, before, i):
                yield f"w{i + 1} is the same before and after one {phase} of several: its update is skipped"
                return
        before = after


def _visible(net: Any, phase: str, weights: tuple[np.ndarray, ...], i: int) -> bool:
    """Whether an update has to change a weight by more than rounding hides."""
    if phase == "update":
        gradient = copies(net.gradients())[i]
    else:
        start = reference(net, (weights[0], weights[1]))
        start.forward()
        start.backward()
        gradient = (start.grad_w1, start.grad_w2)[i]
    hidden = VISIBLE * np.finfo(net.dtype).eps * np.abs(weights[i]).max()
    return bool(net.problem.learning_rate * np.abs(gradient).max() > hidden)


def _expected(net: Any, weights: tuple[np.ndarray, ...], backward: bool = True) -> tuple[Expected, np.ndarray]:
    """A step in float64, of which the gradient of w1 has only some rows, drawn at random: these."""
    start, rows = reference(net, (weights[0], weights[1])), _rows(net)
    start.forward()
    if backward:
        start.x, start.w1 = start.x[:, rows], start.w1[rows]
        start.backward()
    return Expected(net, start), rows


def _rows(net: Any) -> np.ndarray:
    """Some of w1's rows, in order."""
    D_in = net.problem.shape[1]
    return np.sort(np.random.default_rng().permutation(D_in)[:MOST_ROWS])


def _at(tensors: tuple[np.ndarray, ...], rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Copies of tensors shaped like w1 and w2, of the first of these rows."""
    return tensors[0][rows], tensors[1].copy()


def _failed(checks: list[Check]) -> Iterator[str]:
    for check in checks:
        if not check.passed:
            yield f"after the timed iterations it is no longer right: {check}"
            return


def _alike(weights: Any, start: tuple[np.ndarray, ...]) -> bool:
    rounding = 4 * float(np.finfo(start[0].dtype).eps)
    return all(
        np.array_equal(one, other) or (np.shape(one) == other.shape and np.allclose(one, other, rtol=rounding, atol=0))
        for one, other in zip(pair(weights), start, strict=True)
    )
