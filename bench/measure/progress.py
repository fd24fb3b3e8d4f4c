"""Estimate how far a run is and how long it will still take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.plan.cells import without_variant
from bench.plan.plan import Plan

from .probing import is_due
from .state import State
from .worker.timing import BLOCK_SECONDS, REWARM_SECONDS, SAMPLE_SECONDS

FIRST = {"start": "first start", "prepare": "first prepare", "enter": "first enter"}
"""Requests that are slower the first time: they read files, compile kernels, verify results, calibrate iterations."""
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
"""The assumed seconds of each kind of request, until one has been timed; the samples of a `block` are added. A block
of `train` is a kind of its own: its samples are as long as the training."""


@dataclass(frozen=True)
class Progress:
    """How far a run is between two blocks."""

    pass_number: int
    passes: int | None
    """None where their number is not known in advance."""
    phase: str
    shape: str
    contender: str
    done: float
    """The share of the run's time that has passed, 0 to 1."""
    seconds_left: float


class Tally:
    """Counts the requests that are left, by kind, and what each kind has cost on average so far."""

    def __init__(self, plan: Plan, state: State, now: Callable[[], float] = time.perf_counter) -> None:
        self.plan, self.state, self.now = plan, state, now
        self.begun = now()
        self.guess = GUESS | {"block": GUESS["block"] + min(BLOCK_SECONDS, 1.3 * plan.samples * SAMPLE_SECONDS)}
        self.count: Counter[str] = Counter()
        self.spent = dict.fromkeys(GUESS, 0.0)
        self.begin(1)

    def begin(self, pass_number: int) -> None:
        """Begin a pass: count the requests of this and of all later passes."""
        self.pass_number = pass_number
        self.left_in_pass = self._requests(self.plan, pass_number)
        self._count_later()

    @property
    def left(self) -> dict[str, int]:
        """The requests left by kind, in this pass and in all later ones."""
        return {kind: self.left_in_pass[kind] + self.left_later[kind] for kind in GUESS}

    def did(self, kind: str, seconds: float) -> None:
        """Count a request that was answered."""
        self.left_in_pass[kind] = max(0, self.left_in_pass[kind] - 1)
        self.count[kind] += 1
        self.spent[kind] += seconds

    def drop(self) -> None:
        """Leave out the requests of cells that have failed, by the state, and will not be visited again."""
        recounted = self._requests(self.plan, self.pass_number)
        self.left_in_pass = {kind: min(self.left_in_pass[kind], recounted[kind]) for kind in GUESS}
        self._count_later()

    def cost(self, plan: Plan, passes: int = 1) -> float:
        """Return the seconds that the next passes of a plan are expected to take."""
        counts = self._requests(plan, None)
        return self._seconds(counts) + (passes - 1) * self._seconds(_repeated(counts))

    def total(self) -> float:
        """Return the seconds that the whole run is expected to take."""
        return self._seconds(self.left) + self.now() - self.begun

    def progress(self, pass_number: int, phase: str, shape: str, contender: str) -> Progress:
        seconds_left, spent = self._seconds(self.left), self.now() - self.begun
        total = seconds_left + spent
        done = 1 - seconds_left / total if total else 0.0
        return Progress(pass_number, self.plan.passes, phase, shape, contender, done, seconds_left)

    def _count_later(self) -> None:
        self.left_later = dict.fromkeys(GUESS, 0)
        for pass_number in range(self.pass_number + 1, self.plan.passes + 1):
            for kind, count in _repeated(self._requests(self.plan, pass_number)).items():
                self.left_later[kind] += count

    def _requests(self, plan: Plan, pass_number: int | None) -> dict[str, int]:
        """Return the number of unanswered requests of a pass by kind; of all requests where it has no number."""
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
        ceilings = plan.ceilings if pass_number is None or is_due(plan, pass_number) else ()
        return {
            "first start": len(contenders - known),
            "start": len(contenders & known),
            "first prepare": len(unverified),
            "prepare": len(problems - unverified),
            "first enter": len(uncalibrated),
            "enter": len(pending) - len(uncalibrated),
            "block": sum(rounds_left[cell] for cell in pending if cell.phase != "train"),
            "train": sum(rounds_left[cell] for cell in pending if cell.phase == "train"),
            "ceiling": sum(contender.place in places and contender.label not in measured for contender in ceilings),
        }

    def _seconds(self, counts: dict[str, int]) -> float:
        in_requests = sum(self.spent.values())
        overhead = (self.now() - self.begun) / in_requests if in_requests else 1.0  # the time between the requests
        return overhead * sum(count * self._mean(kind) for kind, count in counts.items())

    def _mean(self, kind: str) -> float:
        if self.count[kind]:
            return self.spent[kind] / self.count[kind]
        first = FIRST.get(kind, "")
        alike = [first] if self.count[first] else [*self.count]
        guessed = sum(self.count[name] * self.guess[name] for name in alike)
        return self.guess[kind] * (sum(self.spent[name] for name in alike) / guessed if guessed else 1.0)


def _repeated(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the requests of a later pass, in which none is the first of its kind."""
    repeated = {kind: counts[kind] + counts[first] for kind, first in FIRST.items()}
    return {**counts, **dict.fromkeys(FIRST.values(), 0), **repeated}
