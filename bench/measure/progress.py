"""How far a run is, and how long it will take yet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.plan.cells import without_variant
from bench.plan.plan import Plan

from .state import State
from .worker.timing import BLOCK_SECONDS, REWARM_SECONDS, SAMPLE_SECONDS

FIRST = {"start": "first start", "prepare": "first prepare", "enter": "first enter"}
"""What is slower the first time: files are read, kernels compiled, results verified, iterations calibrated."""
GUESS = {
    "first start": 0.75,
    "start": 0.55,
    "first prepare": 0.45,
    "prepare": 0.2,
    "first enter": 0.055,
    "enter": 0.01,
    "block": REWARM_SECONDS,
    "train": REWARM_SECONDS + BLOCK_SECONDS,
    "ceiling": 1.7,
}
"""Seconds of each kind of request, until one has been timed; a `block` has its samples on top. A block of `train`
is a kind of its own: its samples are as long as the training is."""


@dataclass(frozen=True)
class Progress:
    """A moment between two blocks."""

    pass_number: int
    passes: int | None
    """None where they are as many as it takes."""
    phase: str
    shape: str
    contender: str
    done: float
    """Share of the run's time, 0 to 1."""
    seconds_left: float


class Tally:
    """What is left to do of each kind of request, and what each has cost on average so far."""

    def __init__(self, plan: Plan, state: State, now: Callable[[], float] = time.perf_counter) -> None:
        self.plan, self.state, self.now = plan, state, now
        self.begun = now()
        self.guess = GUESS | {"block": GUESS["block"] + min(BLOCK_SECONDS, 1.3 * plan.samples * SAMPLE_SECONDS)}
        self.count: Counter[str] = Counter()
        self.spent = dict.fromkeys(GUESS, 0.0)
        self.begin(1)

    def begin(self, pass_number: int) -> None:
        """A pass begins: count anew what it and the later ones will ask for."""
        self.pass_number = pass_number
        self.here = self._asked(self.plan, pass_number)
        self._count_later()

    @property
    def left(self) -> dict[str, int]:
        """Requests by kind, in this pass and in all later ones."""
        return {kind: self.here[kind] + self.later[kind] for kind in GUESS}

    def did(self, kind: str, seconds: float) -> None:
        """One request is answered."""
        self.here[kind] = max(0, self.here[kind] - 1)
        self.count[kind] += 1
        self.spent[kind] += seconds

    def drop(self) -> None:
        """Cells have failed, as the state tells, and will not be visited again."""
        again = self._asked(self.plan, self.pass_number)
        self.here = {kind: min(self.here[kind], again[kind]) for kind in GUESS}
        self._count_later()

    def cost(self, plan: Plan, passes: int = 1) -> float:
        """Seconds that the next passes of a plan are expected to take."""
        one = self._asked(plan, None)
        return self._seconds(one) + (passes - 1) * self._seconds(_again(one))

    def progress(self, pass_number: int, phase: str, shape: str, contender: str) -> Progress:
        seconds_left, spent = self._seconds(self.left), self.now() - self.begun
        total = seconds_left + spent
        done = 1 - seconds_left / total if total else 0.0
        return Progress(pass_number, self.plan.passes, phase, shape, contender, done, seconds_left)

    def _count_later(self) -> None:
        self.later = dict.fromkeys(GUESS, 0)
        for pass_number in range(self.pass_number + 1, self.plan.passes + 1):
            for kind, count in _again(self._asked(self.plan, pass_number)).items():
                self.later[kind] += count

    def _asked(self, plan: Plan, pass_number: int | None) -> dict[str, int]:
        """The requests of a pass that are not yet answered; of one without a number, all."""
        state = self.state
        rounds_left = {
            cell: plan.rounds - (state.blocks.get((pass_number, cell.key), 0) if pass_number else 0)
            for cell in plan.cells
            if cell.key not in state.failed
        }
        pending = [cell for cell, rounds in rounds_left.items() if rounds > 0]
        contenders = {cell.contender for cell in pending}
        known = {cell.contender for cell in plan.cells if cell.key in state.verified}
        problems = {(cell.contender, cell.shape) for cell in pending}
        unverified = {(cell.contender, cell.shape) for cell in pending if cell.key not in state.verified}
        uncalibrated = {without_variant(cell.key) for cell in pending} - state.calibrated.keys()
        places = {contender.place for contender in contenders}
        measured = state.without_ceilings | {label for number, label in state.ceilings if number == pass_number}
        return {
            "first start": len(contenders - known),
            "start": len(contenders & known),
            "first prepare": len(unverified),
            "prepare": len(problems - unverified),
            "first enter": len(uncalibrated),
            "enter": len(pending) - len(uncalibrated),
            "block": sum(rounds_left[cell] for cell in pending if cell.phase != "train"),
            "train": sum(rounds_left[cell] for cell in pending if cell.phase == "train"),
            "ceiling": sum(one.place in places and one.label not in measured for one in plan.ceilings),
        }

    def _seconds(self, asked: dict[str, int]) -> float:
        told = sum(self.spent.values())
        untold = (self.now() - self.begun) / told if told else 1.0  # what stands between the requests
        return untold * sum(count * self._mean(kind) for kind, count in asked.items())

    def _mean(self, kind: str) -> float:
        if self.count[kind]:
            return self.spent[kind] / self.count[kind]
        first = FIRST.get(kind, "")
        alike = [first] if self.count[first] else [*self.count]
        guessed = sum(self.count[one] * self.guess[one] for one in alike)
        return self.guess[kind] * (sum(self.spent[one] for one in alike) / guessed if guessed else 1.0)


def _again(asked: Mapping[str, int]) -> dict[str, int]:
    """The same requests in a later pass, when nothing is asked for the first time."""
    repeated = {kind: asked[kind] + asked[first] for kind, first in FIRST.items()}
    return {**asked, **dict.fromkeys(FIRST.values(), 0), **repeated}
