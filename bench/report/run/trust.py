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
    """The sentences on the machine's resolution and on the end of an adaptive run."""
    return [*_resolution(run), *_ending(run)]


def _resolution(run: Run) -> list[str]:
    head, plan = run.head, run.plan
    if not head.calibration:
        return [f"{head.calibration_damaged}; {UNCALIBRATED}" if head.calibration_damaged else UNCALIBRATED]
    cells = _judged(run)
    return [_resolved(head.calibration, plan, threads, cells) for threads in resolution.limits(plan)]


def _resolved(calibration: Mapping[str, Any], plan: Plan, threads: int, cells: int) -> str:
    """The sentence on what a run resolves: in floors for changes, in typical times where contenders are compared."""
    measure = resolution.TYPICAL if not plan.sides and resolution.has_families(calibration) else resolution.FLOOR
    fewest_passes = looks.FIRST if plan.adaptive else plan.passes
    design = f"{plan.passes} passes of {plan.rounds} rounds"
    if not resolution.covers(calibration, threads, fewest_passes, plan.rounds, cells, measure):
        return f"the calibration of {calibration['started']} does not tell what {design} on {threads} threads resolve"
    calibrated_cells = resolution.tried_cells(calibration, threads, cells)
    among = _among(cells, calibrated_cells)
    if plan.adaptive:
        smallest = resolution.of_adaptive(calibration, threads, cells, measure)
        return sentence(smallest, threads, "as many passes as needed", plan.min_effect, among)
    smallest = resolution.resolves(calibration, threads, plan.passes, plan.rounds, cells, measure)
    return sentence(smallest, threads, design, plan.min_effect, among)


def _among(cells: int, calibrated_cells: int) -> str:
    """The words on the number of cells, which makes one cell's change harder to find; empty for one cell."""
    if cells <= 1:
        return ""
    if calibrated_cells == 1:
        return f" in a run of one cell (this one judges {cells}: calibrate again)"
    return f" in one of {min(cells, calibrated_cells)} cells"


def _judged(run: Run) -> int:
    """How many cells share the run's false-discovery rate."""
    if run.plan.sides:
        return sum(change.ratio.passes > 0 for change in paired.changes(run))
    return sum(speedup.verdict is not None for speedup in run.speedups.values())


def _ending(run: Run) -> list[str]:
    """The sentence on how many passes an adaptive run had, and why it ended."""
    plan = run.plan
    if not plan.adaptive:
        return []
    deciding = [record for record in run.of_kind(PassChosen) if not record.confirming]
    endings = [record.reason for record in run.of_kind(RunEnded) if record.reason]
    passes = Counter(key for record in deciding for key in record.cells)
    if not passes:
        return []
    fewest, most = min(passes.values()), max(passes.values())
    begin = f"{most} passes" if fewest == most else f"{fewest} to {most} passes a cell"
    undecided = len(paired.undecided(run) if plan.sides else run.undecided)
    reason = endings[-1] if endings else "the run was cut off"
    still = f"; {undecided} of {len(plan.cells)} cells are still undecided" if undecided else ""
    few = "; fewer than five passes decide nothing" if most < 5 else ""
    return [f"{begin}, then {reason}{still}{few} (± {short_percent(plan.precision)} would be precise enough)"]
