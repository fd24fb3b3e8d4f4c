"""Runs that were extended by further passes or by a longer budget: the plan they now have, and whether they are
complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.plan import values
from bench.plan.grid import MOST_PASSES, PlanError
from bench.plan.plan import Plan
from bench.plan.values import whole

from .records import Record, RunEnded, RunResumed


def extended(plan: Plan, records: Iterable[Record]) -> Plan:
    """Return the plan that a run was started with, with the passes, or the time budget, that it was extended to."""
    resumed = [record for record in records if isinstance(record, RunResumed)]
    passes = max([plan.passes, *(record.passes for record in resumed if record.passes)])
    if plan.time_budget is None:
        return replace(plan, passes=passes)
    budgets = [record.time_budget for record in resumed if record.time_budget]
    return replace(plan, passes=passes, time_budget=max([plan.time_budget, *budgets]))


def is_complete(records: Sequence[Record]) -> bool:
    """Tell whether a run was completed, and not extended since."""
    for record in reversed(records):
        if isinstance(record, RunResumed):
            return False
        if isinstance(record, RunEnded) and record.complete:
            return True
    return False


def with_passes(plan: Plan, asked: str, name: str) -> Plan:
    """Return the plan of a run with so many passes in total, as the option --passes asks. Raises PlanError where the
    run, of this name, has as many already, or chose its passes itself."""
    try:
        passes = whole(1, MOST_PASSES)(asked)
    except ValueError as error:
        raise PlanError(f"--passes: {error}; with --resume it is the number of passes in total") from error
    if plan.adaptive:
        raise PlanError(f"--passes: {name} chose its passes itself (--passes auto); give it a longer --time-budget")
    if passes <= plan.passes:
        raise PlanError(
            f"--passes: {name} is a run of {plan.passes} passes; with --resume, name more than that, or leave it out"
        )
    return replace(plan, passes=passes)


def with_time_budget(plan: Plan, asked: str, name: str) -> Plan:
    """Return the plan of a run with so much time in total, as the option --time-budget asks. Raises PlanError where the
    run, of this name, had as much already, or has a fixed number of passes."""
    try:
        seconds = values.seconds(asked)
    except ValueError as error:
        raise PlanError(f"--time-budget: {error}; with --resume it is the time in total") from error
    if plan.time_budget is None:
        raise PlanError(f"--time-budget: {name} is a run of {plan.passes} passes; with --resume, ask for more --passes")
    if seconds <= plan.time_budget:
        raise PlanError(
            f"--time-budget: {name} had {plan.time_budget:g}s; with --resume it is the time in total, so name more"
        )
    return replace(plan, time_budget=seconds)
