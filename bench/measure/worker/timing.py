"""The clock's side of a cell: choosing `inner`, re-warming, and samples that end in a synchronise."""

from __future__ import annotations

import gc
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .slowed import slowed

SAMPLE_SECONDS = 2e-3
"""Aimed at for one sample: far above any clock's resolution, short beside a scheduler's quantum."""
SYNCHRONIZE_SHARE = 0.002
"""Of a sample, the most that its one synchronise may take; samples are longer where it would take more."""
SYNCHRONIZE_BATCHES, SYNCHRONIZE_CALLS = 5, 10
"""How often a synchronise of an idle net is timed, and the calls of each time."""
LEAST_BATCHES = 3
"""`inner` rests on at least so many batches of iterations,"""
ENOUGH_SECONDS = 10.0
"""or on fewer that take so long: `inner` is 1 then in any case."""
BLOCK_SECONDS = 45e-3
"""A cell whose samples would take longer than this in a block takes fewer, and at least one."""
REWARM_SECONDS = 8e-3
"""Before every block: long enough for caches and thread pools to come back after a stop."""
WARM_SECONDS = 40e-3
"""Before a cell's `inner` is chosen."""
MOST_INNER = 1_000_000


@dataclass(frozen=True)
class Clocks:
    """Where time is read, in seconds."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


class Timer:
    """Times one phase of one net. `make()` builds a net from the host arrays; `slowdown` is a fraction by
    which to be slower on purpose."""

    def __init__(self, make: Callable[[], Any], phase: str, steps: int, clocks: Clocks, slowdown: float = 0.0) -> None:
        self.make, self.phase, self.steps, self.clocks = make, phase, steps, clocks
        self.net = make()
        self.trained: tuple[Any, Any] | None = None
        """Losses and weights that the last training returned."""
        self.slowdown = slowdown
        if phase in ("backward", "update"):
            self.net.forward()
        if phase == "update":
            self.net.backward()
        self.net.synchronize()
        self._run = slowed(self._choose(), slowdown, clocks.wall) if slowdown else self._choose()

    def of(self, net: Any) -> Timer:
        """A timer like this one, of another net."""
        return Timer(lambda: net, self.phase, self.steps, self.clocks, self.slowdown)

    def run(self, inner: int) -> float:
        """Seconds of so many iterations."""
        return self._run(inner)

    def first_call(self) -> float:
        """Seconds of the phase's first iteration: compilation and all."""
        return self._run(1)

    def choose_inner(self, samples: int) -> tuple[int, int]:
        """(inner, samples in a block), after warming up."""
        quickest = max(self._warm(WARM_SECONDS, self._run, LEAST_BATCHES), 1e-9)
        inner = min(MOST_INNER, max(1, math.ceil(self.sample_seconds() / quickest)))
        return inner, max(1, min(samples, int(BLOCK_SECONDS / (inner * quickest))))

    def sample_seconds(self) -> float:
        """What one sample is to take at least. A training ends with its weights on the host, which its users wait
        for as well, and has no synchronise besides."""
        if self.phase == "train":
            return SAMPLE_SECONDS
        return max(SAMPLE_SECONDS, self.synchronize_seconds() / SYNCHRONIZE_SHARE)

    def synchronize_seconds(self) -> float:
        """What a synchronise takes that has nothing to wait for."""
        synchronize, now = self.net.synchronize, self.clocks.wall
        synchronize()
        batches = []
        for _ in range(SYNCHRONIZE_BATCHES):
            started = now()
            for _ in range(SYNCHRONIZE_CALLS):
                synchronize()
            batches.append((now() - started) / SYNCHRONIZE_CALLS)
        return min(batches)

    def rewarm(self) -> float:
        """Warm up again after a stop; the seconds it took."""
        started = self.clocks.wall()
        # A whole training is longer than any warm-up needs.
        run = self._repeat(self.net.step) if self.phase == "train" else self._run
        self._warm(REWARM_SECONDS, run)
        return self.clocks.wall() - started

    def block(self, inner: int, samples: int) -> tuple[list[float], float]:
        """(seconds per iteration of each sample, processor seconds per second), garbage collection off."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            cpu, wall = self.clocks.cpu(), self.clocks.wall()
            seconds = [self._run(inner) / inner for _ in range(samples)]
            return seconds, (self.clocks.cpu() - cpu) / (self.clocks.wall() - wall)
        finally:
            if collecting:
                gc.enable()

    def _warm(self, seconds: float, run: Callable[[int], float], least: int = 1) -> float:
        """Iterate for that long, in at least so many batches unless an iteration is slow; the quickest iteration.

        Batches grow until reading the clock is not what is timed, and only the largest count: a single
        iteration may have been interrupted.
        """
        spent_in: dict[int, list[float]] = defaultdict(list)
        batch = 1
        end = self.clocks.wall() + seconds
        while True:
            spent = run(batch)
            spent_in[batch].append(spent)
            if spent < seconds / 20 and batch < MOST_INNER:
                batch *= 2
            elif self.clocks.wall() >= end and self._enough(spent_in[batch], least):
                return min(spent_in[batch]) / batch

    @staticmethod
    def _enough(spent: list[float], least: int) -> bool:
        return len(spent) >= least or sum(spent) >= ENOUGH_SECONDS

    def _choose(self) -> Callable[[int], float]:
        if self.phase == "train":
            return self._trainings
        if self.phase == "backward" and self.net.consumes_graph:
            return self._backwards
        return self._repeat(getattr(self.net, self.phase))

    def _repeat(self, advance: Callable[[], None]) -> Callable[[int], float]:
        def run(inner: int) -> float:
            synchronize, now = self.net.synchronize, self.clocks.wall
            synchronize()
            started = now()
            for _ in range(inner):
                advance()
            synchronize()
            return now() - started

        return run

    def _backwards(self, inner: int) -> float:
        """Each backward alone, with the forward whose graph it consumes outside the clock."""
        net, now, total = self.net, self.clocks.wall, 0.0
        for _ in range(inner):
            net.forward()
            net.synchronize()
            started = now()
            net.backward()
            net.synchronize()
            total += now() - started
        return total

    def _trainings(self, inner: int) -> float:
        """Host arrays in, host arrays out."""
        now = self.clocks.wall
        started = now()
        for _ in range(inner):
            net = self.make()
            self.trained = net.train(self.steps), net.weights()
        return now() - started
