"""Tests of made journals."""

import pytest

from bench.analyse.run.run import Run
from bench.measure import journal, synthetic
from bench.measure.records import Unread


@pytest.mark.parametrize("cells", [1, 49, 250])
def test_made_run_has_as_many_cells_and_is_well_formed(tmp_path, cells):
    with journal.Journal(tmp_path) as book:
        for record in synthetic.records(synthetic.plan_of(cells)):
            book.append(record)
    records, plan = journal.load(tmp_path)
    assert len(plan.cells) == cells
    assert not any(isinstance(record, Unread) for record in records)
    assert Run(records, plan).is_complete


def test_made_run_has_failures_ceilings_ranks_and_speedups():
    run = Run.of([*synthetic.records(synthetic.plan_of(620))])
    assert {"ok", "wrong", "crashed"} == set(run.timings["status"])
    assert run.limits
    assert run.ranks
    assert {"slower"} <= set(run.timings["verdict"].dropna())
