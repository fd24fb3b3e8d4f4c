"""Each cell with the estimate of its time, what bounds it, and whether it can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.analyse.estimates.statistics import UNKNOWN, Estimate, confidence_after, estimate
from bench.measure.worker.limits import BUSY_BEYOND_LIMIT
from bench.plan.cells import Cell, Contender
from bench.plan.looks import Spending
from bench.plan.plan import Plan
from bench.plan.units import fixed

from . import disturbance
from .ceilings import NOT_BOUND, Closeness, Limits, closeness
from .comparable import Terms
from .disturbance import Disturbance
from .recorded import CellRecords


@dataclass(frozen=True)
class MeasuredCell:
    """A cell of a run. The estimates are UNKNOWN where it has no time."""

    records: CellRecords
    status: str
    """One of STATUSES, or `suspect` for a time that cannot be true."""
    reason: str
    threads: int
    """Host threads in force."""
    terms: Terms | None = None
    """What the time depends on, by which it is compared; None for a cell that has no time, or one that is suspect."""
    time: Estimate = UNKNOWN
    """Typical seconds over the passes."""
    errors: Mapping[int, float] = field(default_factory=dict)
    """The standard error of the log of each pass's typical time, by pass."""
    closeness: Closeness = NOT_BOUND
    disturbance: Disturbance | None = None
    min_effect: float = 0.0
    """The relative difference too small to matter, as a fraction."""

    @property
    def cell(self) -> Cell:
        """The plan's cell."""
        return self.records.cell

    @property
    def key(self) -> str:
        """The cell's key in the journal."""
        return self.cell.key

    @property
    def is_timed(self) -> bool:
        """Whether it has a time that can be true."""
        return self.terms is not None


def cells(
    records: Sequence[CellRecords],
    plan: Plan,
    limits: Mapping[tuple[str, str, str], Mapping[int, Limits]],
    unsteadiness: Mapping[tuple[str, str, str], Mapping[int, float]],
    call_seconds: Mapping[Contender, Mapping[str, float]],
    spending: Spending,
) -> list[MeasuredCell]:
    """Return every cell of a run, in the plan's order. Times that cannot be true are marked later, by `suspicion`.

    `unsteadiness` is by how much the machine's pace moved in a pass, in logs, and adds to the errors of its times. It
    and `limits` are by device, dtype and thread limit, and by pass. `call_seconds` are those of a call without any
    work, by contender and phase.
    """
    return [
        _measured(
            cell_records,
            plan,
            limits.get(cell_records.cell.contender.place, {}),
            unsteadiness.get(cell_records.cell.contender.place, {}),
            call_seconds.get(cell_records.cell.contender, {}).get(cell_records.cell.phase, 0.0),
            spending,
        )
        for cell_records in records
    ]


def _measured(
    records: CellRecords,
    plan: Plan,
    limits: Mapping[int, Limits],
    unsteadiness: Mapping[int, float],
    call: float,
    spending: Spending,
) -> MeasuredCell:
    cell, thread_limit = records.cell, plan.threads(records.cell.contender)
    if records.status != "ok":
        return MeasuredCell(records, records.status, records.untimed_reason, thread_limit)
    typicals, threads = records.typicals, _threads_in_force(records, thread_limit)
    errors = {
        pass_number: math.hypot(error, unsteadiness.get(pass_number, 0.0))
        for pass_number, error in records.block_errors.items()
    }
    time = estimate(
        [*typicals.values()],
        [*records.block_errors.values()],
        confidence_after(len(typicals), spending),
        [unsteadiness.get(pass_number, 0.0) for pass_number in typicals],
    )
    disturbed_by, min_effect = disturbance.of_cell(records.blocks), plan.min_effect_of(cell)
    reasons = _reasons(records, plan, threads, thread_limit)
    if disturbed_by and disturbance.is_unsteady(disturbed_by, time.half_width, min_effect):
        reasons.append(disturbance.reason_of(disturbed_by))
    return MeasuredCell(
        records,
        "ok",
        "; ".join(reasons),
        threads,
        _terms(records, threads, thread_limit),
        time,
        errors,
        closeness(cell, typicals, errors, limits, plan.steps, call) if limits else NOT_BOUND,
        disturbed_by,
        min_effect,
    )


def _threads_in_force(records: CellRecords, thread_limit: int) -> int:
    if records.busy > thread_limit * BUSY_BEYOND_LIMIT:
        return math.ceil(records.busy - (BUSY_BEYOND_LIMIT - 1))  # a quarter of a thread is the clocks' error
    return thread_limit


def _reasons(records: CellRecords, plan: Plan, threads: int, thread_limit: int) -> list[str]:
    """Return descriptions of what is odd about a time."""
    reasons: list[str] = []
    if threads != thread_limit:
        reasons.append(f"asked to use {thread_limit} threads, it kept {fixed(records.busy, 1)} busy")
    if records.passes < plan.passes:
        reasons.append(f"{records.passes} of {plan.passes} passes")
    if records.changed:
        reasons.append(f"resumed after a change of {', '.join(dict.fromkeys(records.changed))}")
    return reasons


def _terms(records: CellRecords, threads: int, thread_limit: int) -> Terms:
    cell, contender = records.cell, records.cell.contender
    precision = records.workers[-1].precision if records.workers else ""
    facts = contender.device, contender.dtype, precision, thread_limit, threads
    return Terms(*facts, cell.shape, cell.phase, contender.variant)
