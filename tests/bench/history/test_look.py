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


def add_and_look(results, runs, *arguments) -> Look:
    for run in runs:
        store.add(results, entry_of(Run.of(run)))
    with store.reading(results) as reader:
        return look(reader, *arguments)


def test_look_has_trends_and_explained_changes(tmp_path):
    history = add_and_look(tmp_path, many.stepping(30, 15))
    numpy, torch = history.trends
    assert (numpy.key, numpy.shifts, len(numpy.levels)) == (NUMPY_KEY, [], 1)
    [shift], [[explained]] = torch.shifts, torch.explained
    assert torch.runs[shift.at] == many.name(15)
    assert torch.seconds.index[shift.at] == pd.Timestamp(many.day(15))
    assert shift.ratio.value == pytest.approx(1.1, abs=0.01)
    assert (explained.name, explained.before, explained.after) == ("source", "before", "after")
    assert history.newest == many.name(29)


def test_newest_run_is_compared_with_the_last_level(tmp_path):
    history = add_and_look(tmp_path, many.stepping(30, 15))
    assert [change.verdict for change in history.changes] == ["same", "same"]
    history = add_and_look(tmp_path, [many.run(30, lambda cell: 1.21)])
    assert [change.verdict for change in history.changes] == ["slower", "slower"]
    assert [round(change.ratio.value, 2) for change in history.changes] == [1.21, 1.1]


def test_another_machine_is_another_series(tmp_path):
    runs = [
        many.run(number, lambda cell, slow=number % 2: 2.0 if slow else 1.0, {"cpu": "AB"[number % 2]})
        for number in range(20)
    ]
    history = add_and_look(tmp_path, runs)
    assert len(history.trends) == 4
    assert all(not trend.shifts and len(trend.runs) == 10 for trend in history.trends)
    [first, second, *_] = history.trends
    assert first.key == second.key
    assert not first.begins
    assert ("cpu", "A", "B") in [(difference.name, difference.before, difference.after) for difference in second.begins]


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
def test_patterns_match_keys_with_literal_brackets(tmp_path, pattern, keys):
    assert [trend.key for trend in add_and_look(tmp_path, [many.run(0)], pattern).trends] == keys


def test_unmatched_pattern_is_refused_with_a_hint(tmp_path):
    with pytest.raises(ValueError, match=r"--cell: .*'step\[tork\]'; there is step\[torch"):
        add_and_look(tmp_path, [many.run(0)], "step[tork]")


def test_since_leaves_out_cells_but_not_earlier_runs(tmp_path):
    runs = many.stepping(30, 15)
    runs[29] = many.run(29, plan=plan_of_cells((TORCH,), passes=many.PASSES), machine={"source": "after"})
    history = add_and_look(tmp_path, runs, "*", pd.Timestamp(many.day(29)))
    assert [trend.key for trend in history.trends] == [TORCH_KEY]
    assert len(history.trends[0].runs) == 30


def test_first_has_the_new_cells(tmp_path):
    assert add_and_look(tmp_path, [many.run(0)]).first == [NUMPY_KEY, TORCH_KEY]
    assert not add_and_look(tmp_path, [many.run(1)]).first


def test_untimed_cells_are_missing_or_wrong(tmp_path):
    plan = plan_of_cells((NUMPY, TORCH, CUPY), passes=many.PASSES)
    lost = {cell: Outcome("unavailable", "no CuPy") for cell in plan.cells if cell.contender == CUPY}
    runs = [many.run(number, plan=plan, outcomes=lost) for number in range(8)]
    wrong = {cell: WRONG for cell in plan.cells if cell.contender == TORCH}
    crashed = {cell: Outcome("crashed", "signal 11") for cell in plan.cells if cell.contender == NUMPY}
    history = add_and_look(tmp_path, [*runs, many.run(8, plan=plan, outcomes=lost | wrong | crashed)])
    assert {change.cell.contender.implementation: change.verdict for change in history.changes} == {
        "numpy": "missing",
        "torch": "wrong",
    }


def test_untimed_cell_of_another_machine_is_not_missing(tmp_path):
    plan = plan_of_cells(passes=many.PASSES)
    crashed = {cell: Outcome("crashed", "signal 11") for cell in plan.cells}
    runs = [many.run(number) for number in range(4)]
    assert not add_and_look(tmp_path, [*runs, many.run(4, machine={"cpu": "Another"}, outcomes=crashed)]).changes


def test_empty_history_is_refused(tmp_path):
    store.add(tmp_path, entry_of(Run.of(many.run(0))))
    with store.reading(tmp_path) as reader:
        reader._connection.execute("DELETE FROM runs")
        with pytest.raises(ValueError, match="no runs"):
            look(reader)


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
def test_since_parses_dates_and_durations(text, moment):
    assert since(text, NOW) == pd.Timestamp(moment)


@pytest.mark.parametrize("text", ["", "yesterday", "30", "d", "-3d", "2026-13-01", "9999999999d", "1.5d"])
def test_since_refuses_other_texts(text):
    with pytest.raises(ValueError, match="neither a date like"):
        since(text, NOW)
