"""How far a run's verdicts can be trusted: what the machine resolves, and why the run ended where it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.analyse import ab, resolution, tables
from bench.measure.records import PassChosen, Record, RunEnded
from bench.measure.session import plan_of
from bench.plan import looks

from .calibration import percent, sentence

UNCALIBRATED = "not calibrated: `python -m bench calibrate` finds out how small a change this machine can tell"


def lines(records: Sequence[Record]) -> list[str]:
    """One sentence each."""
    return [*_resolution(records), *_ending(records)]


def _resolution(records: Sequence[Record]) -> list[str]:
    head = tables.started(records)
    plan = plan_of(head)
    if not head.calibration:
        return [UNCALIBRATED]
    told = []
    for threads in resolution.limits(plan):
        if plan.adaptive and resolution.covers(head.calibration, threads, looks.FIRST, plan.rounds):
            found = resolution.of_as_many_as_it_takes(head.calibration, threads)
            told.append(sentence(found, threads, "as many passes as it takes", plan.min_effect))
            continue
        found = resolution.resolves(head.calibration, threads, plan.passes, plan.rounds)
        if found is None and not resolution.covers(head.calibration, threads, plan.passes, plan.rounds):
            told.append(
                f"the calibration of {head.calibration['started']} does not tell what {plan.passes} passes of "
                f"{plan.rounds} rounds on {threads} threads resolve"
            )
            continue
        told.append(sentence(found, threads, f"{plan.passes} passes of {plan.rounds} rounds", plan.min_effect))
    return told


def _ending(records: Sequence[Record]) -> list[str]:
    """Of a run of as many passes as it takes: how many those were, and why no more."""
    plan = plan_of(tables.started(records))
    if not plan.adaptive:
        return []
    chosen = [record for record in records if isinstance(record, PassChosen) and not record.confirming]
    ended = [record.reason for record in records if isinstance(record, RunEnded) and record.reason]
    passes = Counter(key for record in chosen for key in record.cells)
    if not passes:
        return []
    least, most = min(passes.values()), max(passes.values())
    told = f"{most} passes" if least == most else f"{least} to {most} passes a cell"
    open_still = len(ab.undecided(records) if plan.sides else tables.undecided(records))
    reason = ended[-1] if ended else "the run was cut off"
    still = f"; {open_still} of {len(plan.cells)} cells are still undecided" if open_still else ""
    few = "; fewer than five passes decide nothing" if most < 5 else ""
    return [f"{told}, then {reason}{still}{few} (± {percent(plan.precision)} would be precise enough)"]
