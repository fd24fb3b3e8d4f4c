"""How far a run is, and how long it will take yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.plan.cells import Cell
from bench.plan.plan import Plan

KINDS = ("start", "prepare", "block")
GUESS = {"start": 1.0, "prepare": 0.3, "block": 0.06}
"""Seconds of each until one has been timed."""


@dataclass(frozen=True)
class Progress:
    """A moment between two blocks."""

    passage: int
    passes: int
    phase: str
    shape: str
    contender: str
    done: float
    """Share of the run's time, 0 to 1."""
    seconds_left: float


class Tally:
    """What is left to do of each kind of request, and what each has cost on average so far."""

    def __init__(self, plan: Plan, blocks_done: Mapping[tuple[int, str], int], failed: Iterable[str]) -> None:
        self.plan = plan
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

    def progress(self, passage: int, phase: str, shape: str, contender: str) -> Progress:
        means = {kind: self.spent[kind] / self.count[kind] if self.count[kind] else GUESS[kind] for kind in KINDS}
        seconds_left = sum(self.left[kind] * means[kind] for kind in KINDS)
        total = seconds_left + sum(self.spent.values())
        done = 1 - seconds_left / total if total else 0.0
        return Progress(passage, self.plan.passes, phase, shape, contender, done, seconds_left)
