"""As many passes as it takes: before each pass, which cells it visits, and whether there is time for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Protocol

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


Schedule = Callable[[Any, int], Plan | None]
"""Before each pass of a run, by its number: the plan of it, or None when there are to be no more."""


def fixed(plan: Plan) -> Schedule:
    """As many passes of all cells as the plan has."""
    return lambda going, passage: plan if passage <= plan.passes else None


class Confirming:
    """After the passes of another schedule, as many of the plan's again, of just the cells that these have
    put under suspicion: what was seen once, and would be judged for that, has to be seen afresh. A time
    budget is for the first ones; these few it may overrun.

    `suspects()` gives the keys of the cells that are, by the journal as it stands.
    """

    def __init__(self, plan: Plan, first: Schedule, suspects: Callable[[], Collection[str]]) -> None:
        self.plan, self.first, self.suspects = plan, first, suspects
        self.afresh: Plan | None = None

    def __call__(self, going: Going, passage: int) -> Plan | None:
        if self.afresh is None:
            plan = self.first(going, passage)
            if plan is not None:
                return plan
            keys = set(self.suspects())
            some = self.plan.select([cell for cell in self.plan.cells if cell.key in keys])
            # Where the time was short, as many rounds as there was time for at first.
            at_first = going.chosen.get(looks.FIRST)
            rounds = at_first.rounds if at_first else self.plan.rounds
            self.afresh = replace(some, rounds=rounds, passes=passage - 1 + self.plan.passes)
        if not self.afresh.cells or passage > self.afresh.passes:
            return None
        keys_now = [cell.key for cell in self.afresh.cells]
        going.record(PassChosen(passage, keys_now, self.afresh.rounds, confirming=True))
        return self.afresh


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
