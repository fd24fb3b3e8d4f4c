"""Schedules of passes: which cells each pass visits, and whether there is time for it."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Protocol

from bench.plan import looks
from bench.plan.plan import Plan

from .records import PassChosen, Record

DECIDED = "all cells are decided or precise enough"
OUT_OF_TIME = "the time budget was used up"
ALL_FAILED = "every cell had failed"
PHASES_FIRST = ("step", "train")
"""The phases by which a backend is chosen: where time is short, they are decided before the others."""


class Running(Protocol):
    """What a schedule needs to know of a run."""

    @property
    def chosen(self) -> dict[int, PassChosen]:
        """What was chosen for each pass so far, including those before the run was resumed."""

    @property
    def failed(self) -> Collection[str]:
        """The keys of the cells that will not be visited again."""

    def cost(self, plan: Plan, passes: int = 1) -> float:
        """Return the seconds that the next passes of a plan are expected to take."""

    def record(self, record: Record) -> None: ...


Schedule = Callable[[Any, int], Plan | None]
"""Called with the run and a pass's number before each pass; returns the pass's plan, or None to end the run."""


def fixed(plan: Plan) -> Schedule:
    """Return a schedule that visits all cells in each of the plan's passes."""
    return lambda run, pass_number: plan if pass_number <= plan.passes else None


class Confirming:
    """Schedule the plan's passes once more, after those of another schedule, for the cells under suspicion.

    A change that was seen once has to be seen again before the cell is judged by it. The time budget applies to
    the first passes; these few may overrun it. `suspects()` returns the keys of the suspected cells, by the journal
    as it stands.
    """

    def __init__(self, plan: Plan, first: Schedule, suspects: Callable[[], Collection[str]]) -> None:
        self.plan, self.first, self.suspects = plan, first, suspects
        self.confirming_plan: Plan | None = None

    def __call__(self, run: Running, pass_number: int) -> Plan | None:
        if self.confirming_plan is None:
            plan = self.first(run, pass_number)
            if plan is not None:
                return plan
            keys = set(self.suspects())
            selected = self.plan.select([cell for cell in self.plan.cells if cell.key in keys])
            # Where time was short, the first passes had fewer rounds than the plan; these get as many.
            first_chosen = run.chosen.get(looks.FIRST)
            rounds = first_chosen.rounds if first_chosen else self.plan.rounds
            self.confirming_plan = replace(selected, rounds=rounds, passes=pass_number - 1 + self.plan.passes)
        if not self.confirming_plan.cells or pass_number > self.confirming_plan.passes:
            return None
        keys_to_confirm = [cell.key for cell in self.confirming_plan.cells]
        run.record(PassChosen(pass_number, keys_to_confirm, self.confirming_plan.rounds, confirming=True))
        return self.confirming_plan


class Adaptive:
    """Schedule at least five passes of all cells, with fewer rounds where the budget is short; then passes of the
    cells that were undecided at the last look, until there are none or the time is up.

    `undecided()` returns the keys of the undecided cells, by the journal as it stands; `spent` is how many seconds
    of the budget a resumed run had used before.
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
        """Why the schedule ended, once it has."""

    def seconds_left(self) -> float:
        return max(0.0, self.end - self.now())

    def __call__(self, run: Running, pass_number: int) -> Plan | None:
        """Return the plan of this pass, or None when there are to be no more passes."""
        if all(cell.key in run.failed for cell in self.plan.cells):
            self.reason = ALL_FAILED
            return None
        if pass_number in run.chosen:
            return self._plan(run.chosen[pass_number], pass_number)
        keys = [cell.key for cell in self._cells(run, pass_number).cells]
        if not keys:
            self.reason = DECIDED
            return None
        chosen = PassChosen(
            pass_number, keys, self._affordable(run, pass_number) if pass_number <= looks.FIRST else self.plan.rounds
        )
        plan = self._plan(chosen, pass_number)
        if pass_number > looks.FIRST:
            plan = self._first_that_fit(run, plan)
            chosen = replace(chosen, cells=[cell.key for cell in plan.cells])
        if not plan.cells or (1 < pass_number <= looks.FIRST and run.cost(plan) > self.seconds_left()):
            self.reason = OUT_OF_TIME + (self._budget_hint(run, pass_number) if pass_number <= looks.FIRST else "")
            return None
        run.record(chosen)
        return plan

    def _cells(self, run: Running, pass_number: int) -> Plan:
        if pass_number <= looks.FIRST:
            return self.plan
        keys = set(self.undecided() if looks.is_look(pass_number - 1) else run.chosen[pass_number - 1].cells)
        return self.plan.select([cell for cell in self.plan.cells if cell.key in keys])

    def _first_that_fit(self, run: Running, plan: Plan) -> Plan:
        """Return the plan of as many cells as there is time for: those of whole phases and shapes, in the order of
        PHASES_FIRST and then of the plan."""
        shapes = list(dict.fromkeys(cell.shape for cell in self.plan.cells))
        order = [(phase, shape) for phase in _by_importance(plan) for shape in shapes]

        def first(count: int) -> Plan:
            kept = set(order[:count])
            return plan.select([cell for cell in plan.cells if (cell.phase, cell.shape) in kept])

        # More cells never cost less, so that few of the many counts have to be tried.
        counts = range(1, len(order) + 1)
        return first(bisect_right(counts, self.seconds_left(), key=lambda count: run.cost(first(count))))

    def _affordable(self, run: Running, pass_number: int) -> int:
        """Return how many rounds this pass and each of the others up to the first look can have."""
        passes = looks.FIRST - pass_number + 1
        once, twice = (run.cost(replace(self.plan, rounds=rounds), passes) for rounds in (1, 2))
        further = math.floor((self.seconds_left() - once) / (twice - once)) if twice > once else self.plan.rounds
        return max(1, min(self.plan.rounds, 1 + further))

    def _budget_hint(self, run: Running, pass_number: int) -> str:
        """Say what time budget would reach the first look."""
        elapsed = self.now() - self.begun
        remaining = run.cost(replace(self.plan, rounds=1), looks.FIRST - pass_number + 1)
        budget = math.ceil(1.1 * (elapsed + remaining) / 10) * 10
        return f" before {looks.FIRST} passes: here they need about --time-budget {budget}s"

    def _plan(self, chosen: PassChosen, pass_number: int) -> Plan:
        keys = set(chosen.cells)
        selected = self.plan.select([cell for cell in self.plan.cells if cell.key in keys])
        return replace(selected, rounds=chosen.rounds, passes=max(self.plan.passes, pass_number))


def _by_importance(plan: Plan) -> list[str]:
    """Return a plan's phases, PHASES_FIRST before the others."""
    phases = list(dict.fromkeys(cell.phase for cell in plan.cells))
    return sorted(phases, key=lambda phase: PHASES_FIRST.index(phase) if phase in PHASES_FIRST else len(PHASES_FIRST))
