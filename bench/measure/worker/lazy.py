"""Check whether a timed phase leaves work to the reading of its result, or keeps the result of an earlier call.

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
"""A time is suspicious only if each of so many tries is."""
MOST_ITERATIONS = 64
DRAIN_SECONDS = 1e-3
"""Before a reading, iterations are run that took so long when timed, at most MOST_ITERATIONS."""
UNDONE_SHARE = 0.4
"""A reading after several iterations may take this share of their time more than readings of an idle net."""
LAST_UNDONE_SHARE = 4.0
"""The same share after one iteration: reading an update from another processor's cache may take longer than it."""
SLOW_SECONDS = 0.05
"""An iteration that takes longer is not repeated."""
IDLE_NETS = 3
"""The number of nets whose weights are read to time a reading: more than one, since one may be interrupted."""
IDLE_RATIO = 3.0
"""Readings of an idle net differ by less than this factor."""
RECOMPUTED_RATIO = 4.0
"""A repeated reading takes less than this many times what it takes on an idle net, beyond one iteration."""
KEPT_RATIO = 4.0
"""A call after a change of the weights takes less than this many times what a repeated one takes; where it has to
allocate memory, it may take twice as long."""
ALIKE_RATIO = 2.0
"""Calls that differ by less clear a cell in the first tries; if by more, one may have been interrupted."""
LEAST_TRIES = 2
"""A cell with a call that took too long needs so many tries to be cleared: one may have been interrupted."""
PATIENT_TRIES = 40
"""The tries of a cell that the first tries do not clear: on a busy machine, threads that wait for others may make most
of a few calls much longer, but not all calls of one kind and less than half of the other's."""
SLACK_SECONDS = 1e-6
"""Smaller differences of times are ignored."""


def undone(timer: Timer, seconds: float, make: Callable[[], Any], singly: bool = True) -> Iterator[str]:
    """Check whether work is left after a synchronise and done when a result is read: after many iterations, and if
    `singly`, after one, since a lazy framework may drop results that are not read. `seconds` is what an iteration took
    when it was timed."""
    least_iterations = 2 if seconds < SLOW_SECONDS else 1
    many_iterations = max(least_iterations, min(MOST_ITERATIONS, int(DRAIN_SECONDS / max(seconds, 1e-9))))
    shares = ({1: LAST_UNDONE_SHARE} if singly else {}) | {many_iterations: UNDONE_SHARE}
    readings: dict[int, list[Reading]] = {iterations: [] for iterations in sorted(shares, reverse=True)}
    allowance = 0.0
    for _ in range(TRIES):
        for iterations in list(readings):
            reading = _reading(timer, iterations, seconds, allowance, shares[iterations])
            if reading.suspicious and not allowance:
                # A first reading may have more to transfer than a repeated one: time readings of idle nets.
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
    """Check whether each reading of a result, not only the first one, does work that the phase leaves to it."""
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
    """Check whether a forward or a backward takes so much longer after a change of the weights that one with unchanged
    weights cannot have computed everything. `usual` is the seconds of the timed ones, whose weights were unchanged. The
    net's last results are then those of changed weights."""
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
    """Check the same by many calls of both kinds, which are preceded by the same calls except for the update."""
    net, phase = timer.net, timer.phase

    def sample(update: bool) -> float:
        advance(net, update)
        if phase == "backward":
            net.forward()
            net.synchronize()
        return timed(timer, call)

    for after_change, unchanged in much_slower(sample):
        yield (
            f"{phase} takes {in_words(after_change)} after a change of the weights, but {in_words(unchanged)} "
            "while they are unchanged: it keeps what it had computed"
        )


def much_slower(sample: Callable[[bool], float]) -> Iterator[tuple[float, float]]:
    """Yield the quickest calls of two kinds in seconds, once, if `sample(True)` is so much slower than `sample(False)`
    that the latter cannot have computed everything."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for tried in range(1, PATIENT_TRIES + 1):
        for kind in (True, False):
            seconds[kind].append(sample(kind))
        slow, quick = min(seconds[True]), min(seconds[False])
        ratio = ALIKE_RATIO if tried < TRIES else KEPT_RATIO
        if tried >= LEAST_TRIES and slow <= ratio * quick + SLACK_SECONDS:
            return
    # By chance, the quickest of so many calls of one kind is slower than half of as many of the other in one of 10⁷.
    if slow > KEPT_RATIO * median(seconds[False]) + SLACK_SECONDS:
        yield slow, quick


@dataclass(frozen=True)
class Reading:
    """How long it took to read a result after a phase's iterations."""

    phase: str
    iterations: int
    spent: float
    first: float
    idle: float
    """The time on an idle net, as far as is known."""
    allowed: float
    """The time that the reading may take beyond that."""

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
    # Each may be interrupted, which would clear any cell: take the quicker of two, and at most twice the usual time.
    repeated = min(timed(timer, read), timed(timer, read))
    allowed = share * min(spent, ALIKE_RATIO * iterations * seconds)
    return Reading(timer.phase, iterations, spent, first, max(repeated, allowance), allowed)


def _idle_reading(timer: Timer, make: Callable[[], Any]) -> float:
    """Return what a first reading of as many bytes takes at least, by the weights of nets that have done nothing."""
    net = timer.net
    share = number_of_bytes(results(net, timer.phase)()) / number_of_bytes(net.problem.arrays(net.dtype)[2:])
    if share >= 1:
        return share * _first_reading(timer, make)
    tiny = Problem.random(1, 1, 1, 1)
    latency = _first_reading(timer, lambda: type(net)(tiny, net.device, net.dtype))
    return latency + share * _first_reading(timer, make)


def _copying(timer: Timer, tensors: Any) -> float:
    """Return what a copy of as many bytes takes on the host; the quicker of two, since one may be interrupted."""
    return min(timed(timer, lambda: copies(tensors)) for _ in range(2))


def _first_reading(timer: Timer, make: Callable[[], Any]) -> float:
    """Return the seconds of a first reading of a new net's weights."""
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
