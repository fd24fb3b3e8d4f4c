"""Whether a timed phase leaves work to those who read its result, or keeps it from an earlier call.

A busy machine must not make an honest net suspicious: times are compared in several tries, and one try that shows
nothing clears the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from implementations import Problem

from .duration import in_words
from .nets import advance, change, copies, number_of_bytes, results
from .timing import Timer

TRIES = 6
"""A time is suspicious only if each of so many tries says so."""
MOST_ITERATIONS = 64
DRAIN_SECONDS = 1e-3
"""Iterations that took so long when they were timed go before a reading, but no more than MOST_ITERATIONS."""
UNDONE_SHARE = 0.4
"""Of the time that several iterations took, what a reading after them may take beyond readings of an idle net."""
LAST_UNDONE_SHARE = 4.0
"""The same of a single one: what another processor's cache holds of an update takes some iterations' time to read."""
SLOW_SECONDS = 0.05
"""An iteration that takes longer is not done several times."""
IDLE_NETS = 3
"""Whose weights are read to know what a reading takes: more than one, which may be interrupted."""
IDLE_RATIO = 3.0
"""Readings of an idle net differ by less than this factor."""
RECOMPUTED_RATIO = 4.0
"""A repeated reading takes less than this many times what it takes on an idle net, beyond one iteration."""
KEPT_RATIO = 4.0
"""A call after a change of the weights takes less than this many times what a repeated one takes; where memory has
to be had anew it may take twice as long."""
ALIKE_RATIO = 2.0
"""Calls that differ by less clear a cell in the first tries; by more, the next may show that one was interrupted."""
LEAST_TRIES = 2
"""No single try clears a cell of which one call has taken too long: it may have been interrupted."""
PATIENT_TRIES = 40
"""Of a cell that the first tries do not clear: threads that wait for others on a busy machine may take many times as
long in most of a few calls, but not in all calls of one kind and in less than half of those of the other."""
SLACK_SECONDS = 1e-6
"""Times that differ by less tell nothing."""


def undone(timer: Timer, seconds: float, make: Callable[[], Any], singly: bool = True) -> Iterator[str]:
    """Whether work is left after a synchronise, and done when a result is read: that of many iterations, and `singly`
    that of the last one, where a lazy framework drops the results that nobody reads. `seconds` is what an iteration
    took when it was timed."""
    least = 2 if seconds < SLOW_SECONDS else 1
    many = max(least, min(MOST_ITERATIONS, int(DRAIN_SECONDS / max(seconds, 1e-9))))
    shares = ({1: LAST_UNDONE_SHARE} if singly else {}) | {many: UNDONE_SHARE}
    readings: dict[int, list[Reading]] = {iterations: [] for iterations in sorted(shares, reverse=True)}
    allowance = 0.0
    for _ in range(TRIES):
        for iterations in list(readings):
            reading = _reading(timer, iterations, seconds, allowance, shares[iterations])
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


def recomputed(timer: Timer, seconds: float, make: Callable[[], Any]) -> Iterator[str]:
    """Whether each reading of a result, not only the first one, does work that the phase leaves to it."""
    read, idle = results(timer.net, timer.phase), 0.0
    readings = []
    for _ in range(TRIES):
        readings.append(timed(timer, read))
        if readings[-1] <= seconds + SLACK_SECONDS:
            return
        # An idle net's reading takes no less than a copy in the host's memory, which needs no new net.
        if not idle and readings[-1] <= RECOMPUTED_RATIO * _copying(timer, read()) + seconds + SLACK_SECONDS:
            return
        idle = idle or _idle_reading(timer, make)
        if readings[-1] <= RECOMPUTED_RATIO * idle + seconds + SLACK_SECONDS:
            return
    yield (
        f"{timer.phase} leaves its work to those who read the result: it took {in_words(seconds)}, but each reading "
        f"{in_words(min(readings))}, against {in_words(idle)} on an idle net"
    )


def kept(timer: Timer, usual: float) -> Iterator[str]:
    """Whether a forward or a backward after a change of the weights takes so much longer than one that finds them
    unchanged that the latter cannot have computed all of it. `usual` is what the timed ones took, in seconds: they
    found the weights unchanged. What the net has computed last is that of changed weights."""
    net, phase = timer.net, timer.phase

    def call() -> None:
        getattr(net, phase)()
        net.synchronize()

    change(net, phase)
    if timed(timer, call) > KEPT_RATIO * usual + SLACK_SECONDS:
        yield from _compared(timer, call)
        change(net, phase)
        call()


def _compared(timer: Timer, call: Callable[[], None]) -> Iterator[str]:
    """The same by many calls of both kinds. What precedes both is the same, but for the update."""
    net, phase = timer.net, timer.phase
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for tried in range(1, PATIENT_TRIES + 1):
        for update in (True, False):
            advance(net, update)
            if phase == "backward":
                net.forward()
                net.synchronize()
            seconds[update].append(timed(timer, call))
        after_change, unchanged = min(seconds[True]), min(seconds[False])
        ratio = ALIKE_RATIO if tried < TRIES else KEPT_RATIO
        if tried >= LEAST_TRIES and after_change <= ratio * unchanged + SLACK_SECONDS:
            return
    # By chance, the quickest of so many calls of one kind is slower than half of as many of the other in one of 10⁷.
    if after_change > KEPT_RATIO * median(seconds[False]) + SLACK_SECONDS:
        yield (
            f"{phase} takes {in_words(after_change)} after a change of the weights, but {in_words(unchanged)} "
            "while they are unchanged: it keeps what it had computed"
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
    allowed: float
    """What it may take beyond that."""

    @property
    def suspicious(self) -> bool:
        return self.first > IDLE_RATIO * self.idle + self.allowed + SLACK_SECONDS

    def __str__(self) -> str:
        return (
            f"work is left undone by synchronize: {self.iterations} × {self.phase} took {in_words(self.spent)}, "
            f"then reading the result {in_words(self.first)}, against {in_words(self.idle)} on an idle net"
        )


def _reading(timer: Timer, iterations: int, seconds: float, allowance: float, share: float) -> Reading:
    read = results(timer.net, timer.phase)
    spent = timer.run(iterations)
    first = timed(timer, read)
    # Each may be interrupted, which would clear any cell: the quicker of two, and no more than twice the usual time.
    again = min(timed(timer, read), timed(timer, read))
    allowed = share * min(spent, ALIKE_RATIO * iterations * seconds)
    return Reading(timer.phase, iterations, spent, first, max(again, allowance), allowed)


def _idle_reading(timer: Timer, make: Callable[[], Any]) -> float:
    """What a first reading of as many bytes takes at least: the weights of nets that were not asked for anything."""
    net = timer.net
    share = number_of_bytes(results(net, timer.phase)()) / number_of_bytes(net.problem.arrays(net.dtype)[2:])
    if share >= 1:
        return share * _first_reading(timer, make)
    tiny = Problem.random(1, 1, 1, 1)
    latency = _first_reading(timer, lambda: type(net)(tiny, net.device, net.dtype))
    return latency + share * _first_reading(timer, make)


def _copying(timer: Timer, tensors: Any) -> float:
    """What a copy of as many bytes takes on the host; the quicker of two, since one may be interrupted."""
    return min(timed(timer, lambda: copies(tensors)) for _ in range(2))


def _first_reading(timer: Timer, make: Callable[[], Any]) -> float:
    """Of the weights of a new net."""
    seconds = []
    for _ in range(IDLE_NETS):
        net = make()
        net.synchronize()
        seconds.append(timed(timer, net.weights))
    return min(seconds)


def timed(timer: Timer, call: Callable[[], Any]) -> float:
    now = timer.clocks.wall
    started = now()
    call()
    return now() - started
