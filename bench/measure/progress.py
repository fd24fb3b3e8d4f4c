"""How far a run is, and how long it will take yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bench.plan.cells import Cell, Place
from bench.plan.plan import Plan

KINDS = ("start", "prepare", "block", "ceiling")
GUESS = {"start": 1.0, "prepare": 0.3, "block": 0.06, "ceiling": 2.0}
"""Seconds of each until one has been timed."""


@dataclass(frozen=True)
class Progress:
    """A moment between two blocks."""

    passage: int
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

    def __init__(
        self,
        plan: Plan,
        blocks_done: Mapping[tuple[int, str], int],
        failed: Iterable[str],
        without_ceilings: Collection[str] = (),
    ) -> None:
        """`without_ceilings` has the labels of contenders that cannot measure any; more may come to it."""
        self.plan, self.without_ceilings = plan, without_ceilings
        self.count = dict.fromkeys(KINDS, 0)
        self.spent = dict.fromkeys(KINDS, 0.0)
        self.begin(1, blocks_done, failed)

    def begin(self, passage: int, blocks_done: Mapping[tuple[int, str], int], failed: Iterable[str]) -> None:
        """A pass begins: count anew what it and the later ones will ask for."""
        lost = set(failed)
        self.left = dict.fromkeys(KINDS, 0)
        for number in range(passage, self.plan.passes + 1):
            pending = {
                cell: self.plan.rounds - blocks_done.get((number, cell.key), 0)
                for cell in self.plan.cells
                if cell.key not in lost and blocks_done.get((number, cell.key), 0) < self.plan.rounds
            }
            self.left["start"] += len({cell.contender for cell in pending})
            self.left["prepare"] += len({(cell.contender, cell.shape) for cell in pending})
            self.left["block"] += sum(pending.values())
            places = Counter(cell.contender.place for cell in pending)
            if number == passage:
                self.cells_at = places
            self.left["ceiling"] += sum(map(self._ceilings_at, places))

    def did(self, kind: str, seconds: float) -> float:
        """One request is answered; returns its seconds."""
        self.left[kind] = max(0, self.left[kind] - 1)
        self.count[kind] += 1
        self.spent[kind] += seconds
        return seconds

    def drop(self, cells: list[Cell], passage: int) -> None:
        """Cells that failed will not be visited in this pass or a later one."""
        passes = self.plan.passes - passage + 1
        self.left["block"] = max(0, self.left["block"] - len(cells) * passes * self.plan.rounds)
        self.left["prepare"] = max(0, self.left["prepare"] - len({cell.shape for cell in cells}) * (passes - 1))
        for place, count in Counter(cell.contender.place for cell in cells).items():
            self.cells_at[place] -= count
            if self.cells_at[place] == 0:  # no one is left there whose limit it would be
                self.left["ceiling"] = max(0, self.left["ceiling"] - self._ceilings_at(place) * passes)

    def cost(self, plan: Plan, failed: Collection[str]) -> float:
        """Seconds that the requests of one pass of a plan are expected to take."""
        pending = [cell for cell in plan.cells if cell.key not in failed]
        asked = {
            "start": len({cell.contender for cell in pending}),
            "prepare": len({(cell.contender, cell.shape) for cell in pending}),
            "block": len(pending) * plan.rounds,
            "ceiling": sum(self._ceilings_at(place) for place in {cell.contender.place for cell in pending}),
        }
        return sum(asked[kind] * self._mean(kind) for kind in KINDS)

    def _mean(self, kind: str) -> float:
        return self.spent[kind] / self.count[kind] if self.count[kind] else GUESS[kind]

    def progress(self, passage: int, phase: str, shape: str, contender: str) -> Progress:
        seconds_left = sum(self.left[kind] * self._mean(kind) for kind in KINDS)
        total = seconds_left + sum(self.spent.values())
        done = 1 - seconds_left / total if total else 0.0
        return Progress(passage, self.plan.passes, phase, shape, contender, done, seconds_left)

    def _ceilings_at(self, place: Place) -> int:
        return sum(one.place == place and one.label not in self.without_ceilings for one in self.plan.ceilings)
