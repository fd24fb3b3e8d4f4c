"""Base against head, measured in the same passes: as a comparison, and as a section of the run's page."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analyse.change import gate, paired
from bench.analyse.change.comparability import Difference
from bench.analyse.run import environments, tables
from bench.measure.records import Record
from bench.plan.plain import from_plain
from bench.report.run import disturbance, surroundings

from . import unpaired
from .unpaired import Comparison

HOW = "paired: base and head had fresh processes in the same passes, and took turns"


def comparison(records: Sequence[Record], fail_on: Sequence[str] = gate.DEFAULT_FAIL_ON) -> Comparison:
    """Of a journal of two sides."""
    head = tables.started(records)
    plan = from_plain(head.plan)
    changes = paired.changes(records)
    base, other = plan.sides
    fresh = len(paired.confirming(records))
    again = f"; what seemed slower had up to {fresh} fresh ones to confirm it" if fresh else ""
    facts = {
        "run": head.run,
        "fail_on": [*fail_on],
        "min_effect": plan.min_effect,
        "min_effect_of": dict(plan.min_effects),
        "confirming_passes": fresh,
    }
    return Comparison(
        base.label,
        other.label,
        gate.outcome(changes, fail_on),
        changes,
        [Difference(*one, matters=True) for one in environments.of_sides(records)],
        how=HOW + again,
        facts=facts,
        notes=[*disturbance.lines(records), *surroundings.lines(records)],
    )


def section(records: Sequence[Record]) -> str:
    """Markdown; empty for a run of one side."""
    return unpaired.section(comparison(records)) if from_plain(tables.started(records).plan).sides else ""
