"""How far a run is, and how long it will take yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.plan.cells import Cell
from bench.plan.plan import Plan

KINDS = ("start", "prepare", "block")


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
        lost = set(failed)
        left = [cell for cell in plan.cells if cell.key not in lost]
        done = sum(count for (_, key), count in blocks_done.items() if key not in lost)
        contenders = {cell.contender for cell in left}
        places = {(cell.contender, cell.shape) for cell in left}
        self.left = {
            "start": len(contenders) * plan.passes,
            "prepare": len(places) * plan.passes,
            "block": len(left) * plan.passes * plan.rounds - done,
        }
        if left:
            share = self.left["block"] / (len(left) * plan.passes * plan.rounds)
            for kind in ("start", "prepare"):
                self.left[kind] = round(self.left[kind] * share)
        self.count = dict.fromkeys(KINDS, 0)
        self.spent = dict.fromkeys(KINDS, 0.0)

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
        means = {kind: self.spent[kind] / self.count[kind] if self.count[kind] else 0.0 for kind in KINDS}
        seconds_left = sum(self.left[kind] * means[kind] for kind in KINDS)
        total = seconds_left + sum(self.spent.values())
        done = 1 - seconds_left / total if total else 0.0
        return Progress(passage, self.plan.passes, phase, shape, contender, done, seconds_left)
