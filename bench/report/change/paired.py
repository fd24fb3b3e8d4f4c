"""Base and head measured in the same passes, as a comparison and as a section of the run's page."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.change import gate, paired
from bench.analyse.change.comparability import Difference
from bench.analyse.run import environments
from bench.analyse.run.run import Run
from bench.report.run import disturbance, surroundings

from . import unpaired
from .unpaired import Comparison

HOW = "paired: base and head had fresh processes in the same passes, and took turns"


def comparison(run: Run, fail_on: Sequence[str] = gate.DEFAULT_FAIL_ON) -> Comparison:
    """Make the comparison of a run of two sides."""
    changes = paired.changes(run)
    base, head = run.plan.sides
    confirming = len(paired.confirming(run))
    confirmation = f"; what seemed slower had up to {confirming} fresh ones to confirm it" if confirming else ""
    facts = {
        "run": run.name,
        "fail_on": [*fail_on],
        "min_effect": run.plan.min_effect,
        "min_effect_of": dict(run.plan.min_effects),
        "confirming_passes": confirming,
    }
    return Comparison(
        base.label,
        head.label,
        gate.outcome(changes, fail_on),
        changes,
        [Difference(*values, matters=True) for values in environments.of_sides(run)],
        how=HOW + confirmation,
        facts=facts,
        notes=[*disturbance.lines(run), *surroundings.lines(run)],
    )


def section(run: Run) -> str:
    """A Markdown section on what changed; empty for a run of one side."""
    return unpaired.section(comparison(run)) if run.plan.sides else ""
