"""Check that a timed cell did its work: nothing is left undone or kept from an earlier call, nets share no state, and
results are still right. All of this is outside every clock that becomes a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import dtypes
from .blas import one_thread
from .lazy import kept, recomputed, undone
from .nets import advance, another, copies, results
from .reference import (
    Check,
    Expected,
    Step,
    check_prediction,
    nearness,
    pair,
    predict,
    rounding_of,
    slack_of_update,
    step,
)
from .timing import Timer

MOST_ROWS = 256
"""Rows of w1 that each process compares in float64, chosen at random, so that a check is short at any shape."""
CHANGES = 2
"""Consecutive iterations that must each change the weights: more than one, since every second may be skipped."""
UNREAD = 2
"""Iterations between which nothing is read: a net that works only when it is read does fewer."""
LOOSE = 0.1
"""How far a net may end from another one with the same start, as a share of how far the weights have to move."""
VISIBLE = 16.0
"""A change of weights is visible if it is at least so many times their rounding."""


def reasons(timer: Timer, seconds: float) -> Iterator[str]:
    """Yield why a cell that took `seconds` per iteration is wrong, in words; nothing for an honest one. `timer` has
    the net of the last block."""
    phase, net = timer.phase, timer.net
    fresh = timer.make()
    fresh.synchronize()
    if not _alike(fresh.weights(), net.problem.arrays(net.dtype)[2:]):
        yield "a new net does not start from the problem's weights: nets share state"
        return
    if phase != "train":
        yield from undone(timer.of(fresh), seconds, timer.make)
        yield from recomputed(timer.of(fresh), seconds, timer.make)
    if phase in ("forward", "backward"):
        yield from kept(timer, seconds)
    check = {"forward": _forward, "backward": _backward, "update": _update}.get(phase, _step)
    yield from check(net, fresh)


def _forward(net: Any, fresh: Any) -> Iterator[str]:
    """Check a forward right after a change of the weights."""
    weights = copies(net.weights())
    computed = copies((net.prediction(),))
    x, *_ = net.problem.arrays(net.dtype)
    w1, w2 = (tensor.astype(np.float64) for tensor in weights[:2])
    with one_thread():
        y_pred, scale = predict(x, w1, w2)
    yield from _failed([check_prediction(net, computed[0], y_pred, scale)])
    yield from _shared(net, fresh, "forward", computed)


def _backward(net: Any, fresh: Any) -> Iterator[str]:
    """Check a backward right after a change of the weights."""
    weights = copies(net.weights())
    computed = copies(net.gradients())
    expected, rows = _expected(net, weights)
    yield from _failed(expected.gradients(_at(computed, rows)))
    yield from _shared(net, fresh, "backward", computed)


def _update(net: Any, fresh: Any) -> Iterator[str]:
    """Check that rate × gradient is subtracted. Whether the gradients are right is checked in the backward's cell."""
    yield from _skipped(fresh, "update")
    yield from _shared(net, fresh, "update", (*copies(net.weights()), *copies(net.gradients())))
    yield from subtracted(net)
    yield from _skipped(net, "update", copies(net.weights()))


def subtracted(net: Any, when: str = "after the timed ones") -> Iterator[str]:
    """Check in some rows of w1, and in w2, that updates subtract rate × gradient."""
    rows = _rows(net)
    before, gradients = _at(net.weights(), rows), _at(net.gradients(), rows)
    for _ in range(UNREAD):
        net.update()
    net.synchronize()
    for i, (old, gradient, new) in enumerate(zip(before, gradients, _at(net.weights(), rows), strict=True)):
        change = UNREAD * net.problem.learning_rate * gradient.astype(np.float64)
        off, due = float(np.abs(new - (old - change)).max()), float(np.abs(change).max())
        if not _may_become(net, old, change / UNREAD, new, off):
            yield f"{when}, {UNREAD} updates of w{i + 1} are off by {off:.2g}; they had to change it by {due:.2g}"
            return


def _may_become(net: Any, old: np.ndarray, change: np.ndarray, new: np.ndarray, off: float) -> bool:
    """Tell whether weights may become new ones by UNREAD updates, each of a change, from which they are `off`."""
    if net.dtype not in dtypes.NARROW:
        largest = float(np.abs(old).max()) + float(np.abs(UNREAD * change).max())
        return off <= UNREAD * 4 * dtypes.eps(net.dtype) * largest
    low = high = old.astype(np.float64)
    for _ in range(UNREAD):
        slack = slack_of_update(old, change, net.problem.learning_rate, net.dtype)
        low, high = (
            dtypes.updated(low, change, slack, net.dtype)[0],
            dtypes.updated(high, change, slack, net.dtype)[1],
        )
    return bool(((low <= new) & (new <= high)).all())


def _step(net: Any, fresh: Any) -> Iterator[str]:
    before = copies(net.weights())
    yield from _skipped(fresh, "step")
    yield from _shared(net, fresh, "step", before)
    net.forward()
    net.synchronize()
    prediction = np.array(net.prediction())
    net.step()
    net.synchronize()
    after = copies(net.weights())
    expected, rows = _expected(net, before)
    # The prediction is compared as well: a trained net's step may change less than the rounding of its weights.
    yield from _failed([expected.prediction(prediction), *expected.weights(_at(after, rows), "a step")])
    yield from _skipped(net, "step", after)
    yield from _unread(net)


def _unread(net: Any) -> Iterator[str]:
    """Check that steps without readings between them have the same result as another net's from the same weights."""
    before = copies(net.weights())
    reread = another(net, before)
    for stepping in (reread, net):
        for _ in range(UNREAD):
            stepping.step()
            if stepping is reread:
                stepping.synchronize()
                stepping.weights()
        stepping.synchronize()
    for i, (old, due, new) in enumerate(zip(before, copies(reread.weights()), copies(net.weights()), strict=True)):
        distance, apart = dtypes.norm(due - old), dtypes.norm(new - due)
        if not apart <= LOOSE * distance + VISIBLE * UNREAD * dtypes.sum_eps(net.dtype) * dtypes.norm(old):
            yield (
                f"{UNREAD} steps between which nothing is read leave w{i + 1} {apart:.2g} away from where they bring "
                f"another net, of a way of {distance:.2g}: steps are skipped unless a result is read"
            )
            return


def _shared(net: Any, neighbour: Any, phase: str, before: tuple[np.ndarray, ...]) -> Iterator[str]:
    """Check that a net's results, which were read as `before`, do not change with what another net does."""
    if phase == "step":
        neighbour.step()
        neighbour.synchronize()
    else:
        advance(neighbour, update=phase == "update")
    changing = net.weights() if phase == "update" else ()
    after = (*changing, *results(net, "backward" if phase == "update" else phase)())
    for old, new in zip(before, after, strict=True):
        if not (np.array_equal(old, new) or np.array_equal(old, new, equal_nan=True)):
            yield f"a step of another net changes what this one has after its {phase}: nets share state"
            return


def _skipped(net: Any, phase: str, before: tuple[np.ndarray, ...] | None = None) -> Iterator[str]:
    """Check that each iteration changes the weights that it has to change. If `before` is given, the iteration that
    preceded it counts."""
    remaining = CHANGES if before is None else CHANGES - 1
    before = copies(net.weights()) if before is None else before
    for _ in range(remaining):
        getattr(net, phase)()
        net.synchronize()
        after = copies(net.weights())
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            if np.array_equal(old, new) and _visible(net, phase, before, i):
                yield f"w{i + 1} is the same before and after one {phase} of several: its update is skipped"
                return
        before = after


def _visible(net: Any, phase: str, weights: tuple[np.ndarray, ...], i: int) -> bool:
    """Tell whether an update has to change a weight by more than rounding hides."""
    if phase == "update":
        gradient = copies(net.gradients())[i]
    else:
        expected = _step_in_float64(net, weights)
        gradient = (expected.grad_w1, expected.grad_w2)[i]
    rate = net.problem.learning_rate
    if net.dtype in dtypes.NARROW:
        change = rate * gradient.astype(np.float64)
        slack = LOOSE * np.abs(change).max() + slack_of_update(weights[i], change, rate, net.dtype)
        low, high = dtypes.updated(weights[i].astype(np.float64), change, slack, net.dtype)
        return bool(((low > weights[i]) | (high < weights[i])).any())
    return bool(rate * np.abs(gradient).max() > VISIBLE * dtypes.eps(net.dtype) * np.abs(weights[i]).max())


def _expected(net: Any, weights: tuple[np.ndarray, ...]) -> tuple[Expected, np.ndarray]:
    """Return a step in float64 and the rows, drawn at random, that its gradient of w1 has."""
    rows = _rows(net)
    return Expected(net, _step_in_float64(net, weights, rows), weights[0][rows], weights[1]), rows


def _step_in_float64(net: Any, weights: tuple[np.ndarray, ...], rows: np.ndarray | None = None) -> Step:
    x, y, *_ = net.problem.arrays(net.dtype)
    w1, w2 = (tensor.astype(np.float64) for tensor in weights[:2])
    with one_thread():
        rounding = rounding_of(net)
        return step(x, y, w1, w2, nearness(x, w1, rounding), rows=rows, is_narrow=rounding.stored > 0)


def _rows(net: Any) -> np.ndarray:
    """Return some of w1's rows, drawn at random, in order."""
    D_in = net.problem.shape[1]
    return np.sort(np.random.default_rng().permutation(D_in)[:MOST_ROWS])


def _at(tensors: tuple[np.ndarray, ...], rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return copies of the rows of a tensor shaped like w1, and of one shaped like w2."""
    return tensors[0][rows], tensors[1].copy()


def _failed(checks: list[Check]) -> Iterator[str]:
    for check in checks:
        if not check.passed:
            yield f"after the timed iterations it is no longer right: {check}"
            return


def _alike(weights: Any, start: tuple[np.ndarray, ...]) -> bool:
    rounding = 4 * float(np.finfo(start[0].dtype).eps)
    return all(
        np.array_equal(new, due) or (np.shape(new) == due.shape and np.allclose(new, due, rtol=rounding, atol=0))
        for new, due in zip(pair(weights), start, strict=True)
    )
