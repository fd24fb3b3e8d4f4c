"""The checks of conduct: nothing shared, written to, kept, done ahead or left undone, and the thread limit obeyed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from implementations import Problem

from .. import exceptions, problems
from ..course import STEPS
from ..duration import in_words
from ..lazy import much_slower, timed
from ..limits import BUSY_BEYOND_LIMIT
from ..nets import advance, copies
from ..reference import pair
from ..timing import Timer
from . import suite
from .subject import Fault, Seen, Subject, far

ARRAYS = ("x", "y", "w1", "w2")
BOUNDARY = 4096
"""Bytes to which arrays are aligned that a framework may use in place instead of copying them."""
TRACED = 2
"""Two nets are compared over so many updates."""


def repetition(subject: Subject) -> Seen:
    """Repeated phases compute the same: gradients do not add up, and a backward needs a forward only if it says so."""
    net = subject.make()
    advance(net, update=False)
    before = copies(net.gradients())
    try:
        for _ in range(2):
            if net.consumes_graph:
                net.forward()
            net.backward()
            net.synchronize()
    except Exception as error:
        advice = "" if net.consumes_graph else "; declare consumes_graph = True if each backward needs a forward"
        raise Fault(f"a repeated backward raises {exceptions.summary(error)}{advice}") from error
    for i, (first, later) in enumerate(zip(before, copies(net.gradients()), strict=True)):
        if apart := far(first, later, subject):
            raise Fault(f"the gradient of w{i + 1} after three backwards differs from that after one {apart}")
    return Seen("forward and backward" if net.consumes_graph else "backward")


def arrays(subject: Subject) -> Seen:
    """A net does not write to the problem's arrays, and the arrays of weights() are copies."""
    problem = _aligned(subject.problem, subject.dtype)
    shared = dict(zip(ARRAYS, problem.arrays(subject.dtype), strict=True))
    originals = {name: array.copy() for name, array in shared.items()}
    net = subject.make(problem)
    returned = pair(net.weights())
    kept = copies(returned)
    advance(net)
    net.step()
    net.train(STEPS)
    net.synchronize()
    for i, (now, before) in enumerate(zip(returned, kept, strict=True)):
        if not np.array_equal(now, before):
            raise Fault(f"the w{i + 1} that weights() had returned changed with a later step: return a copy")
    for name, original in originals.items():
        if not np.array_equal(shared[name], original):
            raise Fault(f"the net has changed the problem's {name}: copy what you update")
    before = copies(net.weights())
    for array in net.weights():
        with suppress(ValueError):  # an array that is only to be read is as good as a copy
            array[...] = 0
    for i, (now, due) in enumerate(zip(net.weights(), before, strict=True)):
        if not np.array_equal(now, due):
            raise Fault(f"writing to the w{i + 1} that weights() returned changes the net: return a copy")
    return Seen("the problem's are unchanged, weights() returns copies")


def independence(subject: Subject) -> Seen:
    """Two nets whose phases alternate have the results of each alone."""
    both = [subject.problem, problems.random(subject.shape, subject.dtype, seed=1)]
    alone = [_traces([subject.make(problem)])[0] for problem in both]
    together = _traces([subject.make(problem) for problem in both])
    exact = True
    for first, other in zip(alone, together, strict=True):
        exact &= _same(first, other, subject, "beside another net", "alone")
    return Seen("two nets in turns are as each alone" + _how_exactly(exact))


def determinism(subject: Subject) -> Seen:
    """The same problem gives the same results. Bit for bit is not demanded: on the host too, libraries sum in an order
    that depends on how threads share the work and on where arrays lie in memory."""
    first, second = (_traces([subject.make()])[0] for _ in range(2))
    exact = _same(first, second, subject, "a second time", "the first")
    trained = []
    for _ in range(2):
        net = subject.make()
        losses = np.array(net.train(STEPS))
        net.forward()
        net.synchronize()
        trained.append({"losses of train": losses, "prediction after it": np.array(net.prediction())})
    return Seen("the same" + _how_exactly(exact & _same(trained[0], trained[1], subject, "a second time", "the first")))


def order(subject: Subject) -> Seen:
    """No phase's work is done before it: not in the constructor, nor in the phase before."""
    # The numbers are new to the process, and are read before they are computed here: memory that a net does not clear
    # may have the results of another net.
    problem = problems.random(subject.shape, subject.dtype, seed=2)
    net = subject.make(problem)
    net.synchronize()
    predicted = _attempt(lambda: (net.prediction(),))
    net = subject.make(problem)
    net.forward()
    net.synchronize()
    differentiated = _attempt(net.gradients)
    net.backward()
    net.synchronize()
    updated = copies(net.weights())
    due = copies((*net.gradients(), net.prediction()))
    for found, results, what in (
        (predicted, due[2:], "the prediction is there before the first forward(): the constructor or the getter works"),
        (differentiated, due[:2], "the gradients are there before backward(): forward() or the getter computes them"),
    ):
        if found and not any(
            np.shape(array) != result.shape or far(result, array, subject)
            for array, result in zip(found, results, strict=True)
        ):
            raise Fault(what)
    if not all(map(np.array_equal, updated, problem.arrays(subject.dtype)[2:])):
        raise Fault("the weights have changed before update()")
    if subject.shape == suite.TUTORIAL:
        for phase in ("forward", "step", "train"):
            _not_ahead(subject, phase)
    return Seen("each phase does its own work")


def work(subject: Subject) -> Seen:
    """Time each phase as a run does, and check it as a run does when it leaves a cell."""
    session = subject.session
    session.prepare(subject.shape, subject.phases, STEPS, check=False)
    session.verifying = True  # in full: it is the process that verifies
    for phase in subject.phases:
        session.enter(phase, samples=3)
        session.block()
        session.leave()
    return Seen("timed and checked as in runs")


def threads(subject: Subject) -> Seen:
    """A process that is limited to one thread keeps one processor busy at most."""
    session = subject.session
    busiest, phase = 0.0, ""
    session.prepare(subject.shape, subject.phases, STEPS, check=False)
    for timed_phase in subject.phases:
        timer = session.timer_of(timed_phase)
        timer.rewarm()
        busy = timer.block(*timer.choose_inner(samples=3))[1]
        if busy > busiest:
            busiest, phase = busy, timed_phase
    if busiest > BUSY_BEYOND_LIMIT * subject.threads:
        raise Fault(f"with a limit of {subject.threads}, it keeps {busiest:.2f} processors busy in {phase}")
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > subject.threads:
        raise Fault("it lets its process use more processors than it was limited to (sched_setaffinity)")
    return Seen(f"with a limit of {subject.threads}, it keeps {busiest:.2f} processors busy at most")


def overhead(subject: Subject) -> Seen:
    """Return what calls take without any work. None is too slow to be right: a run shows it, and ranks by it."""
    answer = subject.session.calls([phase for phase in subject.phases if phase != "train"])
    timer = Timer(subject.make, "forward", 1, subject.session.clocks)
    seconds = {**answer["seconds"], "synchronize": timer.synchronize_seconds()}
    return Seen(", ".join(f"{name} {in_words(taken)}" for name, taken in seconds.items()))


def _traces(nets: list[Any]) -> list[dict[str, np.ndarray]]:
    """Let nets take their steps in turns, phase by phase. Return the results of each by their names, which are read
    when all have done the phase."""
    traces: list[dict[str, np.ndarray]] = [{} for _ in nets]
    for step in range(1, TRACED + 2):
        for phase in ("forward", "backward", "update"):
            for net in nets:
                getattr(net, phase)()
            for net, trace in zip(nets, traces, strict=True):
                net.synchronize()
                if phase == "forward":
                    trace[f"prediction in step {step}"] = np.array(net.prediction())
                elif phase == "backward":
                    for i, gradient in enumerate(net.gradients()):
                        trace[f"gradient of w{i + 1} in step {step}"] = np.array(gradient)
    return traces


def _same(first: dict[str, np.ndarray], other: dict[str, np.ndarray], subject: Subject, how: str, than: str) -> bool:
    """Raise Fault where results differ by more than rounding. Return whether they agree bit for bit."""
    for name, tensor in other.items():
        if apart := far(first[name], tensor, subject):
            raise Fault(f"the {name} differs {how} from {than} {apart}")
    return all(np.array_equal(first[name], tensor) for name, tensor in other.items())


def _how_exactly(exact: bool) -> str:
    return ", bit for bit" if exact else ", within rounding"


def _attempt(read: Callable[[], Any]) -> tuple[Any, ...] | None:
    """Return what getters return before there is anything to return; None where they raise an error, as they may."""
    try:
        return copies(read())
    except Exception:
        return None


def _not_ahead(subject: Subject, phase: str) -> None:
    """Compare a new net's first call with a later one: if it is much quicker, its work was done in the constructor."""
    timer = Timer(subject.make, phase, STEPS, subject.session.clocks)
    timer.first_call()

    def call(net: Any) -> None:
        if phase == "train":
            net.train(STEPS)
        else:
            getattr(net, phase)()
        net.synchronize()

    def sample(later: bool) -> float:
        net = subject.make()
        net.synchronize()
        if later:
            call(net)
            advance(net)
        return timed(timer, lambda: call(net))

    for slow, quick in much_slower(sample):
        raise Fault(
            f"the first {phase} of a new net takes {in_words(quick)}, but a later one {in_words(slow)}: its work is "
            "done in the constructor, or kept from another net"
        )


def _aligned(problem: Problem, dtype: str) -> Problem:
    """Return the same problem in arrays that a framework may use in place, in float64 and in `dtype`."""
    x, y, w1, w2 = (_copy_aligned(getattr(problem, name)) for name in ARRAYS)
    whole = Problem(x, y, w1, w2, problem.learning_rate)
    casts = whole.arrays(dtype)
    pairs = zip(casts, (x, y, w1, w2), strict=True)
    return replace(
        whole, _casts={dtype: tuple(cast if cast is array else _copy_aligned(cast) for cast, array in pairs)}
    )


def _copy_aligned(array: np.ndarray) -> np.ndarray:
    buffer = np.empty(array.nbytes + BOUNDARY, np.uint8)
    first = -buffer.ctypes.data % BOUNDARY
    copy = buffer[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
