"""Decide which passes measure all ceilings, and which only probe whether the machine keeps its pace."""

from __future__ import annotations

from bench.plan.plan import Plan

FULL_CEILINGS = 8
"""One pass in so many measures all ceilings, from the first on; the others probe."""
DRIFT_PASSES = 3
"""Runs of fewer passes have no middle to have moved from, and do not probe."""


def is_full(pass_number: int) -> bool:
    """Tell whether a pass measures all ceilings."""
    return pass_number % FULL_CEILINGS == 1


def is_due(plan: Plan, pass_number: int) -> bool:
    """Tell whether a pass measures any ceilings."""
    return is_full(pass_number) or plan.adaptive or plan.passes >= DRIFT_PASSES
