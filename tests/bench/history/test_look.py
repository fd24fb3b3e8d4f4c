from datetime import UTC, datetime

import pandas as pd
import pytest

from bench.analyse.change.history import Look
from bench.analyse.run.run import Run
from bench.history import store
from bench.history.entries import entry_of
from bench.history.look import look, since
from tests.bench import many
from tests.bench.made import CUPY, NUMPY, TORCH, Outcome, plan_of_cells

NUMPY_KEY, TORCH_KEY = "step[numpy-cpu-float32-N64-D1000-H100]", "step[torch-cpu-float32-N64-D1000-H100]"
WRONG = Outcome("wrong", "w1 after update is off", error=0.25, tolerance=0.001)


def looked(results, runs, *asked) -> Look:
    for run in runs:
        store.add(results, entry_of(Run.of(run)))
    with store.reading(results) as kept:
        return look(kept, *asked)


def test_each_cell_has_its_trend_and_what_its_change_may_come_from(tmp_path):
    told = looked(tmp_path, many.stepping(30, 15))
    numpy, torch = told.trends
    assert (numpy.key, numpy.shifts, len(numpy.levels)) == (NUMPY_KEY, [], 1)
    [shift], [[explained]] = torch.shifts, torch.explained
    assert torch.runs[shift.at] == many.name(15)
    assert torch.seconds.index[shift.at] == pd.Timestamp(many.day(15))
    assert shift.ratio.value == pytest.approx(1.1, abs=0.01)
    assert (explained.name, explained.before, explained.after) == ("source", "before", "after")
    assert told.newest == many.name(29)


def test_the_newest_run_is_held_against_the_level_it_follows(tmp_path):
    told = looked(tmp_path, many.stepping(30, 15))
    assert [change.verdict for change in told.changes] == ["same", "same"]
    told = looked(tmp_path, [many.run(30, lambda cell: 1.21)])
    assert [change.verdict for change in told.changes] == ["slower", "slower"]
    assert [round(change.ratio.value, 2) for change in told.changes] == [1.21, 1.1]


def test_another_machine_is_a_series_of_its_own_even_if_runs_take_turns(tmp_path):
    runs = [
        many.run(number, lambda cell, slow=number % 2: 2.0 if slow else 1.0, {"cpu": "AB"[number % 2]})
        for number in range(20)
    ]
    told = looked(tmp_path, runs)
    assert len(told.trends) == 4
    assert all(not trend.shifts and len(trend.runs) == 10 for trend in told.trends)
    [first, second, *_] = told.trends
    assert first.key == second.key
    assert not first.begins
    assert ("cpu", "A", "B") in [(one.name, one.before, one.after) for one in second.begins]


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("*", [NUMPY_KEY, TORCH_KEY]),
        ("*torch*", [TORCH_KEY]),
        (TORCH_KEY, [TORCH_KEY]),
        ("step[torch-*]", [TORCH_KEY]),
        ("step*torch*-H100", [TORCH_KEY]),
        ("torch-cpu-float32-N64-D1000-H100", [TORCH_KEY]),
        ("?orch-*", [TORCH_KEY]),
    ],
)
def test_cells_are_named_by_patterns_in_which_brackets_are_brackets(tmp_path, pattern, keys):
    assert [trend.key for trend in looked(tmp_path, [many.run(0)], pattern).trends] == keys


def test_a_pattern_that_no_cell_is_like_is_complained_of_with_one_that_is_there(tmp_path):
    with pytest.raises(ValueError, match=r"--cell: .*'step\[tork\]'; there is step\[torch"):
        looked(tmp_path, [many.run(0)], "step[tork]")


def test_cells_without_a_run_since_then_are_left_out_and_changes_before_it_still_count(tmp_path):
    runs = many.stepping(30, 15)
    runs[29] = many.run(29, plan=plan_of_cells((TORCH,), passes=many.PASSES), machine={"source": "after"})
    told = looked(tmp_path, runs, "*", pd.Timestamp(many.day(29)))
    assert [trend.key for trend in told.trends] == [TORCH_KEY]
    assert len(told.trends[0].runs) == 30


def test_cells_that_no_run_had_before_are_told(tmp_path):
    assert looked(tmp_path, [many.run(0)]).first == [NUMPY_KEY, TORCH_KEY]
    assert not looked(tmp_path, [many.run(1)]).first


def test_cells_that_lost_their_time_are_missing_or_wrong(tmp_path):
    plan = plan_of_cells((NUMPY, TORCH, CUPY), passes=many.PASSES)
    lost = {cell: Outcome("unavailable", "no CuPy") for cell in plan.cells if cell.contender == CUPY}
    runs = [many.run(number, plan=plan, outcomes=lost) for number in range(8)]
    wrong = {cell: WRONG for cell in plan.cells if cell.contender == TORCH}
    crashed = {cell: Outcome("crashed", "signal 11") for cell in plan.cells if cell.contender == NUMPY}
    told = looked(tmp_path, [*runs, many.run(8, plan=plan, outcomes=lost | wrong | crashed)])
    assert {change.cell.contender.implementation: change.verdict for change in told.changes} == {
        "numpy": "missing",
        "torch": "wrong",
    }


def test_a_cell_that_lost_its_time_on_another_machine_is_not_missed(tmp_path):
    plan = plan_of_cells(passes=many.PASSES)
    crashed = {cell: Outcome("crashed", "signal 11") for cell in plan.cells}
    runs = [many.run(number) for number in range(4)]
    assert not looked(tmp_path, [*runs, many.run(4, machine={"cpu": "Another"}, outcomes=crashed)]).changes


def test_an_empty_history_says_so(tmp_path):
    told = entry_of(Run.of(many.run(0)))
    store.add(tmp_path, told)
    with store.reading(tmp_path) as kept:
        kept._connection.execute("DELETE FROM runs")
        with pytest.raises(ValueError, match="no runs"):
            look(kept)


NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01", "2026-01-01T00:00Z"),
        ("2026-01-01T06:30", "2026-01-01T06:30Z"),
        ("2026-01-01T06:30+02:00", "2026-01-01T04:30Z"),
        ("30d", "2026-03-01T12:00Z"),
        ("12h", "2026-03-31T00:00Z"),
        (" 2w ", "2026-03-17T12:00Z"),
    ],
)
def test_a_time_is_a_date_or_so_long_ago(text, moment):
    assert since(text, NOW) == pd.Timestamp(moment)


@pytest.mark.parametrize("text", ["", "yesterday", "30", "d", "-3d", "2026-13-01", "9999999999d", "1.5d"])
def test_what_is_no_time_is_complained_of(text):
    with pytest.raises(ValueError, match="neither a date like"):
        since(text, NOW)
