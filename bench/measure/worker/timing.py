"""Time a cell: choose `inner`, re-warm, and take samples that end in a synchronise."""

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
"""The intended duration of a sample: far above any clock's resolution, short beside a scheduler's quantum."""
SYNCHRONIZE_SHARE = 0.002
"""The largest share of a sample for its one synchronise; samples are longer where it would take more."""
SYNCHRONIZE_BATCHES, SYNCHRONIZE_CALLS = 5, 10
"""How often a synchronise of an idle net is timed, and the number of calls each time."""
LEAST_BATCHES = 3
"""`inner` is chosen by at least so many batches of iterations, or by fewer that take ENOUGH_SECONDS."""
ENOUGH_SECONDS = 10.0
"""Batches that take so long are enough, since `inner` is 1 then in any case."""
BLOCK_SECONDS = 45e-3
"""A cell whose samples would take longer than this per block takes fewer, but at least one."""
REWARM_SECONDS = 8e-3
"""The re-warm before every block: long enough for caches and thread pools to recover after a stop."""
WARM_SECONDS = 20e-3
"""The warm-up before a cell's `inner` is chosen."""
MOST_INNER = 1_000_000


@dataclass(frozen=True)
class Clocks:
    """The functions that read time, in seconds."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


class Timer:
    """Times one phase of one net. `make()` builds a net from the host arrays; `slowdown` is the fraction by which the
    net is slowed on purpose."""

    def __init__(self, make: Callable[[], Any], phase: str, steps: int, clocks: Clocks, slowdown: float = 0.0) -> None:
        self.make, self.phase, self.steps, self.clocks = make, phase, steps, clocks
        self.net = make()
        self.trained: tuple[Any, Any] | None = None
        """The losses and weights that the last training returned."""
        self.slowdown = slowdown
        if phase in ("backward", "update"):
            self.net.forward()
        if phase == "update":
            self.net.backward()
        self.net.synchronize()
        self._run = slowed(self._choose(), slowdown, clocks.wall) if slowdown else self._choose()

    def of(self, net: Any) -> Timer:
        """Return a timer like this one of another net."""
        return Timer(lambda: net, self.phase, self.steps, self.clocks, self.slowdown)

    def run(self, inner: int) -> float:
        """Return the seconds of `inner` iterations."""
        return self._run(inner)

    def first_call(self) -> float:
        """Return the seconds of the phase's first iteration, including compilation."""
        return self._run(1)

    def choose_inner(self, samples: int) -> tuple[int, int]:
        """Warm up, and return (inner, samples in a block)."""
        quickest = max(self._warm(WARM_SECONDS, self._run, LEAST_BATCHES), 1e-9)
        inner = min(MOST_INNER, max(1, math.ceil(self.sample_seconds() / quickest)))
        return inner, max(1, min(samples, int(BLOCK_SECONDS / (inner * quickest))))

    def sample_seconds(self) -> float:
        """Return the least duration of a sample. A training ends with its weights on the host, which its users wait
        for as well, and has no synchronise of its own."""
        if self.phase == "train":
            return SAMPLE_SECONDS
        return max(SAMPLE_SECONDS, self.synchronize_seconds() / SYNCHRONIZE_SHARE)

    def synchronize_seconds(self) -> float:
        """Return what a synchronise takes that has nothing to wait for."""
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
        """Warm up again after a stop, and return the seconds it took."""
        started = self.clocks.wall()
        # A whole training is longer than any warm-up needs.
        run = self._repeat(self.net.step) if self.phase == "train" else self._run
        self._warm(REWARM_SECONDS, run)
        return self.clocks.wall() - started

    def block(self, inner: int, samples: int) -> tuple[list[float], float]:
        """Return (seconds per iteration of each sample, processor seconds per second), without garbage collection."""
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
        """Iterate for `seconds`, in `least` batches or more unless an iteration is slow. Return the quickest iteration.

        Batches grow until reading the clock takes a negligible part, and only the largest count: a single iteration
        may have been interrupted.
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
        """Time each backward alone; the forward whose graph it consumes is outside the clock."""
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
        """Time whole trainings, from host arrays to host arrays."""
        now = self.clocks.wall
        started = now()
        for _ in range(inner):
            net = self.make()
            self.trained = net.train(self.steps), net.weights()
        return now() - started
