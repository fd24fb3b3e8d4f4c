"""As many passes as it takes: before each pass, which cells it visits, and whether there is time for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from bench.plan import looks
from bench.plan.plan import Plan

from .records import PassChosen, Record

DECIDED = "all cells are decided or precise enough"
OUT_OF_TIME = "the time budget was used up"


class Going(Protocol):
    """What a schedule needs of a run under way."""

    @property
    def chosen(self) -> dict[int, PassChosen]:
        """By pass, what was chosen before, in a run that is resumed as well."""

    def cost(self, plan: Plan) -> float:
        """Seconds that one pass of a plan is expected to take."""

    def record(self, record: Record) -> None: ...


class Adaptive:
    """At least five passes of all cells, with fewer rounds where the budget is short; from then on
    those cells that the last look found undecided, until there are none or the time is up.

    `undecided()` gives the keys of the cells that are, by the journal as it stands.
    """

    def __init__(
        self, plan: Plan, undecided: Callable[[], Collection[str]], now: Callable[[], float] = time.perf_counter
    ) -> None:
        assert plan.time_budget is not None
        self.plan, self.undecided, self.now = plan, undecided, now
        self.end = now() + plan.time_budget
        self.reason = ""
        """Why it came to an end, once it has."""

    def seconds_left(self) -> float:
        return max(0.0, self.end - self.now())

    def __call__(self, going: Going, passage: int) -> Plan | None:
        """The plan of this pass, or None when no more are to be made."""
        if passage in going.chosen:
            return self._plan(going.chosen[passage], passage)
        keys = [cell.key for cell in self._cells(going, passage).cells]
        if not keys:
            self.reason = DECIDED
            return None
        chosen = PassChosen(
            passage, keys, self._affordable(going, passage) if passage <= looks.FIRST else self.plan.rounds
        )
        plan = self._plan(chosen, passage)
        if passage > 1 and going.cost(plan) > self.seconds_left():
            self.reason = OUT_OF_TIME
            return None
        going.record(chosen)
        return plan

    def _cells(self, going: Going, passage: int) -> Plan:
        if passage <= looks.FIRST:
            return self.plan
        keys = set(self.undecided() if looks.is_look(passage - 1) else going.chosen[passage - 1].cells)
        return self.plan.select([cell for cell in self.plan.cells if cell.key in keys])

    def _affordable(self, going: Going, passage: int) -> int:
        """Rounds in this pass, if it and the others up to the first look are to share the time left."""
        share = self.seconds_left() / (looks.FIRST - passage + 1)
        none, one = (going.cost(replace(self.plan, rounds=rounds)) for rounds in (0, 1))
        most = math.floor((share - none) / (one - none)) if one > none else self.plan.rounds
        return max(1, min(self.plan.rounds, most))

    def _plan(self, chosen: PassChosen, passage: int) -> Plan:
        keys = set(chosen.cells)
        some = self.plan.select([cell for cell in self.plan.cells if cell.key in keys])
        return replace(some, rounds=chosen.rounds, passes=max(self.plan.passes, passage))
