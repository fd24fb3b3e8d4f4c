"""Whether a timed cell did its work: nothing left undone or kept from an earlier call, no state shared between nets,
and results that are still right. Outside every clock that becomes a result.

A busy machine must not make an honest net suspicious: times are compared in several tries, and one try that shows
nothing clears the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from implementations import Problem

from .duration import in_words
from .reference import Check, Expected, pair, reference
from .timing import Timer

TRIES = 6
"""A time is suspicious only if each of so many tries says so."""
MOST_ITERATIONS = 64
DRAIN_SECONDS = 1e-3
"""Iterations that took so long when they were timed go before a reading, but no more than MOST_ITERATIONS."""
UNDONE_SHARE = 0.2
"""Of the time that iterations took, what a reading after them may take beyond a reading of an idle net."""
IDLE_NETS = 3
"""Whose weights are read to know what a reading takes."""
IDLE_RATIO = 2.0
"""Readings of an idle net differ by less than this factor."""
KEPT_RATIO = 4.0
"""A call after a change of the weights takes less than this many times what a repeated one takes; where memory has
to be had anew it may take twice as long."""
ALIKE_RATIO = 1.5
"""Calls that differ by less clear a cell at once; by more, the next tries may show that one was interrupted."""
SLACK_SECONDS = 1e-6
"""Times that differ by less tell nothing."""
MOST_ROWS = 256
"""Of w1, that are compared in float64 in each process: others in each, so that a check is short at any shape."""
RECOMPUTED_RATIO = 4.0
"""A repeated reading takes less than this many times what it takes on an idle net, beyond one iteration."""
COMPUTES_NOTHING = 2.0
"""A call that computes nothing takes no longer than so many of a net with one weight in each layer."""
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
        yield from _undone(timer.of(other), seconds, timer.make)
        yield from _recomputed(timer.of(other), seconds, timer.make)
    check = {"forward": _forward, "backward": _backward, "update": _update}.get(phase, _step)
    yield from check(timer, other)


def _undone(timer: Timer, seconds: float, make: Callable[[], Any]) -> Iterator[str]:
    """Whether work is left after a synchronise, and done when a result is read: that of many iterations, or of the
    last one where a lazy framework drops the results that nobody reads."""
    many = max(1, min(MOST_ITERATIONS, int(DRAIN_SECONDS / max(seconds, 1e-9))))
    readings: dict[int, list[Reading]] = {iterations: [] for iterations in sorted({many, 1}, reverse=True)}
    allowance = 0.0
    for _ in range(TRIES):
        for iterations in list(readings):
            reading = _reading(timer, iterations, allowance)
            if reading.suspicious and not allowance:
                # A first reading may have more to transfer than a repeated one: ask nets that are idle.
                allowance = _idle_reading(timer, make)
                reading = replace(reading, idle=max(reading.idle, allowance))
            if reading.suspicious:
                readings[iterations].append(reading)
            else:
                del readings[iterations]
        if not readings:
            return
    yield str(min(next(iter(readings.values())), key=lambda reading: reading.first))


def _recomputed(timer: Timer, seconds: float, make: Callable[[], Any]) -> Iterator[str]:
    """Whether each reading of a result, not only the first one, does work that the phase leaves to it."""
    read, idle = _results(timer.net, timer.phase), 0.0
    readings = []
    for _ in range(TRIES):
        readings.append(_timed(timer, read))
        if readings[-1] <= seconds + SLACK_SECONDS:
            return
        idle = idle or _idle_reading(timer, make)
        if readings[-1] <= RECOMPUTED_RATIO * idle + seconds + SLACK_SECONDS:
            return
    yield (
        f"{timer.phase} leaves its work to those who read the result: it took {in_words(seconds)}, but each reading "
        f"{in_words(min(readings))}, against {in_words(idle)} on an idle net"
    )


@dataclass(frozen=True)
class Reading:
    """What it took to read a result after a phase's iterations."""

    phase: str
    iterations: int
    spent: float
    first: float
    idle: float
    """What it takes on an idle net, as far as is known."""

    @property
    def suspicious(self) -> bool:
        return self.first > IDLE_RATIO * self.idle + UNDONE_SHARE * self.spent + SLACK_SECONDS

    def __str__(self) -> str:
        return (
            f"work is left undone by synchronize: {self.iterations} × {self.phase} took {in_words(self.spent)}, "
            f"then reading the result {in_words(self.first)}, against {in_words(self.idle)} on an idle net"
        )


def _reading(timer: Timer, iterations: int, allowance: float) -> Reading:
    read = _results(timer.net, timer.phase)
    spent = timer.run(iterations)
    first = _timed(timer, read)
    again = _timed(timer, read)
    return Reading(timer.phase, iterations, spent, first, max(again, allowance))


def _idle_reading(timer: Timer, make: Callable[[], Any]) -> float:
    """What a first reading of as many bytes takes at least: the weights of nets that were not asked for anything."""
    net = timer.net
    share = _bytes(_results(net, timer.phase)()) / _bytes(net.problem.arrays(net.dtype)[2:])
    if share >= 1:
        return share * _first_reading(timer, make)
    tiny = Problem.random(1, 1, 1, 1)
    latency = _first_reading(timer, lambda: type(net)(tiny, net.device, net.dtype))
    return latency + share * _first_reading(timer, make)


def _first_reading(timer: Timer, make: Callable[[], Any]) -> float:
    """Of the weights of a new net."""
    seconds = []
    for _ in range(IDLE_NETS):
        net = make()
        net.synchronize()
        seconds.append(_timed(timer, net.weights))
    return min(seconds)


def _forward(timer: Timer, other: Any) -> Iterator[str]:
    net = timer.net
    yield from _kept(timer, lambda changed: _advance(net, changed))
    _advance(net)
    weights = _copies(net.weights())
    net.forward()
    net.synchronize()
    results = _copies((net.prediction(),))
    expected, _ = _expected(net, weights, backward=False)
    yield from _failed([expected.prediction(results[0])])
    yield from _shared(net, other, "forward", results)


def _backward(timer: Timer, other: Any) -> Iterator[str]:
    net = timer.net

    def prepare(changed: bool) -> None:
        _advance(net, changed)
        net.forward()
        net.synchronize()

    yield from _kept(timer, prepare)
    _advance(net)
    weights = _copies(net.weights())
    net.forward()
    net.backward()
    net.synchronize()
    results = _copies(net.gradients())
    expected, rows = _expected(net, weights)
    yield from _failed(expected.gradients(_at(results, rows)))
    yield from _shared(net, other, "backward", results)


def _update(timer: Timer, other: Any) -> Iterator[str]:
    """Rate × gradient is subtracted. That the gradients are right is for the backward's cell to say."""
    net = timer.net
    yield from _skipped(other, "update")
    before, gradients = _copies(net.weights()), _copies(net.gradients())
    yield from _shared(net, other, "update", (*before, *gradients))
    for _ in range(UNREAD):
        net.update()
    net.synchronize()
    after = _copies(net.weights())
    rows, rounding = _rows(net), float(np.finfo(net.dtype).eps)
    tensors = (_at(before, rows), _at(gradients, rows), _at(after, rows))
    for i, (old, gradient, new) in enumerate(zip(*tensors, strict=True)):
        change = UNREAD * net.problem.learning_rate * gradient.astype(np.float64)
        off, due = float(np.abs(new - (old - change)).max()), float(np.abs(change).max())
        if not off <= UNREAD * 4 * rounding * (float(np.abs(old).max()) + due):
            yield (
                f"after the timed ones, {UNREAD} updates of w{i + 1} are off by {off:.2g}; "
                f"they had to change it by {due:.2g}"
            )
            return
    yield from _skipped(net, "update", after)


def _step(timer: Timer, other: Any) -> Iterator[str]:
    net = timer.net
    before = _copies(net.weights())
    yield from _skipped(other, "step")
    yield from _shared(net, other, "step", before)
    net.forward()
    net.synchronize()
    prediction = np.array(net.prediction())
    net.step()
    net.synchronize()
    after = _copies(net.weights())
    expected, rows = _expected(net, before)
    start = expected.reference
    target = start.w1 - start.rate * start.grad_w1, start.w2 - start.rate * start.grad_w2
    # The prediction as well: what a step of a trained net changes may be lost in the rounding of its weights.
    yield from _failed([expected.prediction(prediction), *expected.weights(_at(after, rows), target, "a step")])
    yield from _skipped(net, "step", after)
    yield from _unread(net)


def _unread(net: Any) -> Iterator[str]:
    """Whether steps between which nothing is read come to what another net's steps come to from the same weights."""
    problem, before = net.problem, _copies(net.weights())
    x, y, *_ = problem.arrays(net.dtype)
    same = replace(problem, w1=before[0], w2=before[1], _casts={net.dtype: (x, y, *before)})
    other = type(net)(same, net.device, net.dtype)
    for each in (other, net):
        for _ in range(UNREAD):
            each.step()
            if each is other:
                each.synchronize()
                each.weights()
        each.synchronize()
    for i, (old, due, new) in enumerate(zip(before, _copies(other.weights()), _copies(net.weights()), strict=True)):
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
        _advance(other, update=phase == "update")
    results = net.weights() if phase == "update" else ()
    after = (*results, *_results(net, "backward" if phase == "update" else phase)())
    for old, new in zip(before, after, strict=True):
        if not (np.array_equal(old, new) or np.array_equal(old, new, equal_nan=True)):
            yield f"a step of another net changes what this one has after its {phase}: nets share state"
            return


def _skipped(net: Any, phase: str, before: tuple[np.ndarray, ...] | None = None) -> Iterator[str]:
    """Whether an iteration leaves weights as they are that it had to change. Where `before` was read after one,
    that one counts."""
    left = CHANGES if before is None else CHANGES - 1
    before = _copies(net.weights()) if before is None else before
    for _ in range(left):
        getattr(net, phase)()
        net.synchronize()
        after = _copies(net.weights())
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            if np.array_equal(old, new) and _visible(net, phase, before, i):
                yield f"w{i + 1} is the same before and after one {phase} of several: its update is skipped"
                return
        before = after


def _visible(net: Any, phase: str, weights: tuple[np.ndarray, ...], i: int) -> bool:
    """Whether an update has to change a weight by more than rounding hides."""
    if phase == "update":
        gradient = _copies(net.gradients())[i]
    else:
        start = reference(net, (weights[0], weights[1]))
        start.forward()
        start.backward()
        gradient = (start.grad_w1, start.grad_w2)[i]
    hidden = VISIBLE * np.finfo(net.dtype).eps * np.abs(weights[i]).max()
    return bool(net.problem.learning_rate * np.abs(gradient).max() > hidden)


def _kept(timer: Timer, prepare: Callable[[bool], None]) -> Iterator[str]:
    """Whether a call after a change of the weights takes so much longer than one that finds them unchanged that the
    latter cannot have computed anything. `prepare(changed)` does the same before both, but for the update."""
    net, phase = timer.net, timer.phase
    quickest: dict[bool, float] = {}

    def call() -> None:
        getattr(net, phase)()
        net.synchronize()

    for _ in range(TRIES):
        for changed in (True, False):
            prepare(changed)
            spent = _timed(timer, call)
            quickest[changed] = min(spent, quickest.get(changed, spent))
        if quickest[True] <= ALIKE_RATIO * quickest[False] + SLACK_SECONDS:
            return
    if quickest[True] <= KEPT_RATIO * quickest[False] + SLACK_SECONDS:
        return
    if quickest[False] > COMPUTES_NOTHING * _least_call(timer, prepare):
        return  # it does something each time: threads that wait for others on a busy machine made the difference
    yield (
        f"{phase} takes {in_words(quickest[True])} after a change of the weights, but {in_words(quickest[False])} "
        "while they are unchanged: it keeps what it had computed"
    )


def _least_call(timer: Timer, prepare: Callable[[bool], None]) -> float:
    """What a phase of a net of hardly any numbers takes, from weights that have changed, after the same work as the
    calls that it is compared with: caches are cold after that, and processors may have been lost to others."""
    net, phase = timer.net, timer.phase
    tiny = type(net)(Problem.random(1, 1, 1, 1), net.device, net.dtype)
    seconds = []

    def call() -> None:
        getattr(tiny, phase)()
        tiny.synchronize()

    for _ in range(TRIES):
        _advance(tiny)
        if phase == "backward":
            tiny.forward()
            tiny.synchronize()
        prepare(False)
        seconds.append(_timed(timer, call))
    return min(seconds)


def _advance(net: Any, update: bool = True) -> None:
    """A step by its phases, or all of it but the update."""
    net.forward()
    net.backward()
    if update:
        net.update()
    net.synchronize()


def _results(net: Any, phase: str) -> Callable[[], tuple[Any, ...]]:
    """Reads on the host what a phase computes."""
    if phase == "forward":
        return lambda: (net.prediction(),)
    return lambda: tuple(net.gradients() if phase == "backward" else net.weights())


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
    """Of tensors shaped like w1 and w2, these rows of the first."""
    return tensors[0][rows], tensors[1]


def _failed(checks: list[Check]) -> Iterator[str]:
    for check in checks:
        if not check.passed:
            yield f"after the timed iterations it is no longer right: {check}"
            return


def _timed(timer: Timer, call: Callable[[], Any]) -> float:
    now = timer.clocks.wall
    started = now()
    call()
    return now() - started


def _copies(tensors: Any) -> tuple[Any, ...]:
    """What a getter returned may change with the net."""
    return tuple(np.array(tensor) for tensor in tensors)


def _alike(weights: Any, start: tuple[np.ndarray, ...]) -> bool:
    rounding = 4 * float(np.finfo(start[0].dtype).eps)
    return all(
        np.array_equal(one, other) or (np.shape(one) == other.shape and np.allclose(one, other, rtol=rounding, atol=0))
        for one, other in zip(pair(weights), start, strict=True)
    )


def _bytes(tensors: Any) -> int:
    return sum(np.asarray(tensor).nbytes for tensor in tensors)
