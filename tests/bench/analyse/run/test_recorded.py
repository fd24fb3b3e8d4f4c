"""What is read from a run's records: what it may spend, and which starts count."""

from __future__ import annotations

from dataclasses import replace

from bench.analyse.run.run import Run
from bench.measure.records import RunEnded, RunResumed, WorkerStarted
from bench.plan.looks import Spending
from tests.bench.made import NUMPY, Story, plan_of_cells


def test_a_run_spends_all_that_is_left_once_it_has_ended():
    story = Story(plan_of_cells((NUMPY,), time_budget=60.0))
    whole = story.records()
    assert Run.of(whole).spending is Spending.AT_END
    assert Run.of(whole[:-1]).spending is Spending.AT_LOOK, "it may go on"
    resumed = [*whole[:-1], RunEnded(False, 1.0), RunResumed("2026-01-02T03:04:05+00:00", [])]
    assert Run.of(resumed).spending is Spending.AT_LOOK
    assert Run.of(Story(plan_of_cells((NUMPY,))).records()).spending is Spending.WHOLE


def test_starts_beside_other_processes_are_not_what_a_start_costs():
    records = Story(plan_of_cells((NUMPY,))).records()
    later = [
        replace(record, concurrent=True) if isinstance(record, WorkerStarted) and record.pass_number > 3 else record
        for record in records
    ]
    cell = next(iter(Run.of(later).cells.values()))
    assert [worker.pass_number for worker in cell.started_alone] == [1, 2, 3]
    all_concurrent = [replace(r, concurrent=True) if isinstance(r, WorkerStarted) else r for r in records]
    assert len(next(iter(Run.of(all_concurrent).cells.values())).started_alone) == 5, "better than nothing"
