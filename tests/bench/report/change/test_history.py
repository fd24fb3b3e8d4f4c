import json

import numpy as np
import pandas as pd
import pytest

from bench.analyse.run.run import Run
from bench.history import store
from bench.history.entries import entry_of
from bench.history.look import look
from bench.report.change import history
from tests.bench import many


@pytest.fixture
def told(tmp_path):
    def of(runs, *asked):
        for run in runs:
            store.add(tmp_path, entry_of(Run.of(run)))
        with store.reading(tmp_path) as kept:
            return look(kept, *asked)

    return of


def test_a_change_is_told_with_when_by_how_much_and_what_else_changed(told):
    text = history.text(told(many.stepping(30, 15)))
    [line] = [line for line in text.splitlines() if "before → after" in line]
    assert line.startswith("2026-01-16 12:00")
    assert "step[torch-" in line
    assert "+9." in line or "+10." in line
    assert "source before → after" in line
    assert many.name(15) in line


def test_runs_dated_later_than_now_are_named_with_what_to_do(told):
    now = pd.Timestamp(many.day(2))
    looked = told([many.run(number) for number in range(4)], "*", None, now)
    text = history.text(looked)
    assert f"dated later than now: {many.name(3)}; it counts as newer than every run of today: correct " in text
    assert "`python -m bench history rebuild`" in text
    assert history.data(looked)["dated_later"] == [many.name(3)]
    assert f"{many.name(2)}, {many.name(3)}; they count" in history.text(told([], "*", None, now - pd.Timedelta("1s")))


def test_without_a_run_dated_later_than_now_nothing_is_told_of_it(told):
    looked = told([many.run(number) for number in range(4)])
    assert "dated later" not in history.text(looked)
    assert history.data(looked)["dated_later"] == []


def test_a_change_without_an_explanation_says_so(told):
    runs = [many.run(number, lambda cell, late=number >= 15: 1.1 if late else 1.0) for number in range(30)]
    assert "nothing that is recorded" in history.text(told(runs))


def test_an_explanation_that_lies_beside_a_change_says_how_far(told):
    runs = [
        many.run(number, lambda cell, late=number >= 15: 1.2 if late else 1.0, {"source": "a" if number < 16 else "b"})
        for number in range(30)
    ]
    assert "source a → b (1 run later)" in history.text(told(runs))


def test_without_a_change_the_levels_are_told(told):
    text = history.text(told([many.run(number) for number in range(12)]))
    assert "No change of level." in text
    assert "2026-01-01" in text
    assert "2026-01-12" in text
    assert "0 of 2 cells slower, 2 same" in text


def test_changes_before_what_is_of_interest_are_not_told(told):
    runs = many.stepping(30, 15)
    since = pd.Timestamp(many.day(20))
    text = history.text(told(runs, "*", since))
    assert "No change of level since 2026-01-21 12:00." in text
    assert "2026-01-01" not in text
    data = history.data(told([], "*", since))
    assert {cell["runs"] for cell in data["cells"]} == {10}
    assert all(not cell["changes"] and len(cell["levels"]) == 1 for cell in data["cells"])


def test_a_newest_run_that_is_slower_is_told(told):
    text = history.text(told([*[many.run(number) for number in range(12)], many.run(12, lambda cell: 1.2)]))
    assert "2 of 2 cells slower" in text
    assert f"→ {many.name(12)}" in text


def test_a_new_series_is_told_once_for_all_cells_that_begin_it(told):
    runs = [many.run(number, machine={"cpu": "A" if number < 4 else "B"}) for number in range(8)]
    text = history.text(told(runs))
    assert "2 cells begin a new series on 2026-01-05: cpu A → B\n" in text


def test_cells_with_a_first_run_are_told(told):
    assert f"2 cells of {many.name(0)} had no earlier run to be compared with" in history.text(told([many.run(0)]))


def test_the_data_is_plain_and_has_what_the_text_has(told):
    data = history.data(told(many.stepping(30, 15)))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    numpy, torch = data["cells"]
    assert (numpy["changes"], len(numpy["levels"]), numpy["runs"]) == ([], 1, 30)
    [change] = torch["changes"]
    assert (change["run"], change["last_run_before"]) == (many.name(15), many.name(14))
    assert change["ratio_low"] < 1.1 < change["ratio_high"]
    assert change["versions"] == [{"name": "source", "before": "before", "after": "after", "runs_later": 0}]
    assert [level["runs"] for level in torch["levels"]] == [15, 15]
    assert data["newest"]["head"] == many.name(29)
    assert [cell["verdict"] for cell in data["newest"]["cells"]] == ["same", "same"]


@pytest.mark.parametrize(
    ("seconds", "drawn"),
    [
        ([1.0, 1.0, 1.0], "▄▄▄"),
        ([1.0, 2.0], "▁█"),
        ([1.0], "▄"),
        (np.repeat([1.0, 4.0], 300), "▁" * 8 + "█" * 8),
    ],
)
def test_a_trend_is_drawn(seconds, drawn):
    assert history._drawn(np.array(seconds)).replace("▅", "▄") == drawn


def test_small_noise_is_not_drawn_large():
    assert set(history._drawn(np.array([1.0, 1.01, 1.0, 0.99]))) <= set("▃▄▅▆")


def test_a_new_index_says_what_it_has_not():
    text = history.rebuilt(1, ["one"], ["two"], ["x/journal.jsonl:1: torn"])
    assert text.splitlines() == [
        "the history has 1 run",
        "left out, as they were cut off: one",
        "left out, as they compare two sides: two",
        "left out: x/journal.jsonl:1: torn",
    ]
