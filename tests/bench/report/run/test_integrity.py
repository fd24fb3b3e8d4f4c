"""Lines about what a run lacks, or was given later."""

from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.measure.records import RunEnded, RunResumed
from bench.plan.plain import to_plain
from bench.report.run import integrity
from tests.bench.made import Story, plan_of_cells

SEEN = "; its intervals are wider, since it had verdicts before"


def extended(*passes: int) -> Run:
    """A run that was extended from the first of these numbers of passes to the others, one after the other."""
    first, *rest, _ = Story(plan_of_cells(passes=passes[-1])).records()
    first = replace(first, plan=to_plain(plan_of_cells(passes=passes[0])))
    resumed = [RunResumed("2026-01-02T04:04:05+00:00", [], passes=number) for number in passes[1:]]
    return Run.of([first, RunEnded(True, 1.0), *resumed, *rest, RunEnded(True, 1.0)])


def test_run_as_it_was_asked_for_has_no_line():
    assert integrity.lines(Story(plan_of_cells()).run()) == []


@pytest.mark.parametrize(
    ("passes", "line"),
    [
        ((2, 5), "The run was extended from 2 passes to 5"),
        ((5, 8), f"The run was extended from 5 passes to 8{SEEN}"),
        ((2, 5, 8), f"The run was extended from 2 passes to 5, then to 8{SEEN}"),
    ],
)
def test_extended_run_says_so(passes, line):
    assert integrity.lines(extended(*passes)) == [line]


def test_run_with_a_longer_budget_says_so():
    first, *rest = Story(plan_of_cells(time_budget=60.0)).records()
    resumed = RunResumed("2026-01-02T04:04:05+00:00", [], time_budget=600.0)
    assert integrity.lines(Run.of([first, resumed, *rest])) == ["The run's time was extended from 60 s to 600 s"]
