"""Runs that were extended by further passes: the plan they now have, and whether they are complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.plan.grid import MOST_PASSES, PlanError
from bench.plan.plan import Plan
from bench.plan.values import whole

from .records import Record, RunEnded, RunResumed


def extended(plan: Plan, records: Iterable[Record]) -> Plan:
    """Return the plan that a run was started with, with the passes that it was extended to since."""
    passes = [record.passes for record in records if isinstance(record, RunResumed) and record.passes]
    return replace(plan, passes=max([plan.passes, *passes]))


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
        raise PlanError(f"--passes: {name} chose its passes itself (--passes auto); start a new run for more of them")
    if passes <= plan.passes:
        raise PlanError(
            f"--passes: {name} is a run of {plan.passes} passes; with --resume, name more than that, or leave it out"
        )
    return replace(plan, passes=passes)
