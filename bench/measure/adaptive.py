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
ALL_FAILED = "every cell had failed"


class Going(Protocol):
    """What a schedule needs of a run under way."""

    @property
    def chosen(self) -> dict[int, PassChosen]:
        """By pass, what was chosen before, in a run that is resumed as well."""

    @property
    def failed(self) -> Collection[str]:
        """Keys of cells that will not be visited again."""

    def cost(self, plan: Plan, passes: int = 1) -> float:
        """Seconds that the next passes of a plan are expected to take."""

    def record(self, record: Record) -> None: ...


Schedule = Callable[[Any, int], Plan | None]
"""Before each pass of a run, by its number: the plan of it, or None when there are to be no more."""


def fixed(plan: Plan) -> Schedule:
    """As many passes of all cells as the plan has."""
    return lambda going, pass_number: plan if pass_number <= plan.passes else None


class Confirming:
    """After the passes of another schedule, as many of the plan's again, of just the cells that these have
    put under suspicion: what was seen once, and would be judged for that, has to be seen afresh. A time
    budget is for the first ones; these few it may overrun.

    `suspects()` gives the keys of the cells that are, by the journal as it stands.
    """

    def __init__(self, plan: Plan, first: Schedule, suspects: Callable[[], Collection[str]]) -> None:
        self.plan, self.first, self.suspects = plan, first, suspects
        self.afresh: Plan | None = None

    def __call__(self, going: Going, pass_number: int) -> Plan | None:
        if self.afresh is None:
            plan = self.first(going, pass_number)
            if plan is not None:
                return plan
            keys = set(self.suspects())
            some = self.plan.select([cell for cell in self.plan.cells if cell.key in keys])
            # Where the time was short, as many rounds as there was time for at first.
            at_first = going.chosen.get(looks.FIRST)
            rounds = at_first.rounds if at_first else self.plan.rounds
            self.afresh = replace(some, rounds=rounds, passes=pass_number - 1 + self.plan.passes)
        if not self.afresh.cells or pass_number > self.afresh.passes:
            return None
        keys_now = [cell.key for cell in self.afresh.cells]
        going.record(PassChosen(pass_number, keys_now, self.afresh.rounds, confirming=True))
        return self.afresh


class Adaptive:
    """At least five passes of all cells, with fewer rounds where the budget is short; from then on
    those cells that the last look found undecided, until there are none or the time is up.

    `undecided()` gives the keys of the cells that are, by the journal as it stands; `spent` is how many seconds
    of the budget a run that is resumed had used before.
    """

    def __init__(
        self,
        plan: Plan,
        undecided: Callable[[], Collection[str]],
        now: Callable[[], float] = time.perf_counter,
        spent: float = 0.0,
    ) -> None:
        assert plan.time_budget is not None
        self.plan, self.undecided, self.now = plan, undecided, now
        self.begun = now() - spent
        self.end = self.begun + plan.time_budget
        self.reason = ""
        """Why it came to an end, once it has."""

    def seconds_left(self) -> float:
        return max(0.0, self.end - self.now())

    def __call__(self, going: Going, pass_number: int) -> Plan | None:
        """The plan of this pass, or None when no more are to be made."""
        if all(cell.key in going.failed for cell in self.plan.cells):
            self.reason = ALL_FAILED
            return None
        if pass_number in going.chosen:
            return self._plan(going.chosen[pass_number], pass_number)
        keys = [cell.key for cell in self._cells(going, pass_number).cells]
        if not keys:
            self.reason = DECIDED
            return None
        chosen = PassChosen(
            pass_number, keys, self._affordable(going, pass_number) if pass_number <= looks.FIRST else self.plan.rounds
        )
        plan = self._plan(chosen, pass_number)
        if pass_number > 1 and going.cost(plan) > self.seconds_left():
            self.reason = OUT_OF_TIME + (self._too_little(going, pass_number) if pass_number <= looks.FIRST else "")
            return None
        going.record(chosen)
        return plan

    def _cells(self, going: Going, pass_number: int) -> Plan:
        if pass_number <= looks.FIRST:
            return self.plan
        keys = set(self.undecided() if looks.is_look(pass_number - 1) else going.chosen[pass_number - 1].cells)
        return self.plan.select([cell for cell in self.plan.cells if cell.key in keys])

    def _affordable(self, going: Going, pass_number: int) -> int:
        """Rounds in this pass, if it and the others up to the first look are to have as many."""
        passes = looks.FIRST - pass_number + 1
        one, two = (going.cost(replace(self.plan, rounds=rounds), passes) for rounds in (1, 2))
        more = math.floor((self.seconds_left() - one) / (two - one)) if two > one else self.plan.rounds
        return max(1, min(self.plan.rounds, 1 + more))

    def _too_little(self, going: Going, pass_number: int) -> str:
        """What it would take to get to the first look."""
        so_far = self.now() - self.begun
        rest = going.cost(replace(self.plan, rounds=1), looks.FIRST - pass_number + 1)
        enough = math.ceil(1.1 * (so_far + rest) / 10) * 10
        return f" before {looks.FIRST} passes: here they need about --time-budget {enough}s"

    def _plan(self, chosen: PassChosen, pass_number: int) -> Plan:
        keys = set(chosen.cells)
        some = self.plan.select([cell for cell in self.plan.cells if cell.key in keys])
        return replace(some, rounds=chosen.rounds, passes=max(self.plan.passes, pass_number))
