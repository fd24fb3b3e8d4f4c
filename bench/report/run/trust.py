"""How far a run's verdicts can be trusted: what the machine resolves, and why the run ended where it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bench.analyse.change import paired
from bench.analyse.run import resolution
from bench.analyse.run.run import Run
from bench.measure.records import PassChosen, RunEnded
from bench.plan import looks
from bench.plan.plan import Plan
from bench.plan.units import short_percent
from bench.report.machine.calibration import sentence

UNCALIBRATED = "not calibrated: `python -m bench calibrate` finds out how small a change this machine can tell"


def lines(run: Run) -> list[str]:
    """One sentence each."""
    return [*_resolution(run), *_ending(run)]


def _resolution(run: Run) -> list[str]:
    head, plan = run.head, run.plan
    if not head.calibration:
        return [f"{head.calibration_damaged}; {UNCALIBRATED}" if head.calibration_damaged else UNCALIBRATED]
    cells = _judged(run)
    return [_resolved(head.calibration, plan, threads, cells) for threads in resolution.limits(plan)]


def _resolved(calibration: Mapping[str, Any], plan: Plan, threads: int, cells: int) -> str:
    """Of changes' floors, and of typical times where contenders are compared."""
    measure = resolution.TYPICAL if not plan.sides and resolution.has_families(calibration) else resolution.FLOOR
    least = looks.FIRST if plan.adaptive else plan.passes
    design = f"{plan.passes} passes of {plan.rounds} rounds"
    if not resolution.covers(calibration, threads, least, plan.rounds, cells, measure):
        return f"the calibration of {calibration['started']} does not tell what {design} on {threads} threads resolve"
    tried = resolution.tried_cells(calibration, threads, cells)
    among = _among(cells, tried)
    if plan.adaptive:
        found = resolution.of_adaptive(calibration, threads, cells, measure)
        return sentence(found, threads, "as many passes as it takes", plan.min_effect, among)
    found = resolution.resolves(calibration, threads, plan.passes, plan.rounds, cells, measure)
    return sentence(found, threads, design, plan.min_effect, among)


def _among(cells: int, tried: int) -> str:
    """What else a run judges makes one cell's change harder to find; nothing where there is nothing else."""
    if cells <= 1:
        return ""
    if tried == 1:
        return f" in a run of one cell (this one judges {cells}: calibrate again)"
    return f" in one of {min(cells, tried)} cells"


def _judged(run: Run) -> int:
    """How many cells share the run's false-discovery rate."""
    if run.plan.sides:
        return sum(change.ratio.passes > 0 for change in paired.changes(run))
    return sum(speedup.verdict is not None for speedup in run.speedups.values())


def _ending(run: Run) -> list[str]:
    """How many passes an adaptive run had, and why no more."""
    plan = run.plan
    if not plan.adaptive:
        return []
    chosen = [record for record in run.of_kind(PassChosen) if not record.confirming]
    endings = [record.reason for record in run.of_kind(RunEnded) if record.reason]
    passes = Counter(key for record in chosen for key in record.cells)
    if not passes:
        return []
    least, most = min(passes.values()), max(passes.values())
    begin = f"{most} passes" if least == most else f"{least} to {most} passes a cell"
    undecided = len(paired.undecided(run) if plan.sides else run.undecided)
    reason = endings[-1] if endings else "the run was cut off"
    still = f"; {undecided} of {len(plan.cells)} cells are still undecided" if undecided else ""
    few = "; fewer than five passes decide nothing" if most < 5 else ""
    return [f"{begin}, then {reason}{still}{few} (± {short_percent(plan.precision)} would be precise enough)"]
