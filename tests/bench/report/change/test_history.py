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
def look_at(tmp_path):
    """A function that adds runs to the history and looks at it."""

    def add_and_look(runs, *arguments):
        for run in runs:
            store.add(tmp_path, entry_of(Run.of(run)))
        with store.reading(tmp_path) as reader:
            return look(reader, *arguments)

    return add_and_look


def test_changes_have_date_size_and_explanation(look_at):
    text = history.text(look_at(many.stepping(30, 15)))
    [line] = [line for line in text.splitlines() if "before → after" in line]
    assert line.startswith("2026-01-16 12:00")
    assert "step[torch-" in line
    assert "+9." in line or "+10." in line
    assert "source before → after" in line
    assert many.name(15) in line


def test_runs_dated_later_than_now_are_named(look_at):
    now = pd.Timestamp(many.day(2))
    result = look_at([many.run(number) for number in range(4)], "*", None, now)
    text = history.text(result)
    assert f"dated later than now: {many.name(3)}; it counts as newer than every run of today: correct " in text
    assert "`python -m bench history rebuild`" in text
    assert history.data(result)["dated_later"] == [many.name(3)]
    assert f"{many.name(2)}, {many.name(3)}; they count" in history.text(
        look_at([], "*", None, now - pd.Timedelta("1s"))
    )


def test_without_later_dates_there_is_no_such_line(look_at):
    result = look_at([many.run(number) for number in range(4)])
    assert "dated later" not in history.text(result)
    assert history.data(result)["dated_later"] == []


def test_change_without_explanation_says_so(look_at):
    runs = [many.run(number, lambda cell, late=number >= 15: 1.1 if late else 1.0) for number in range(30)]
    assert "nothing that is recorded" in history.text(look_at(runs))


def test_nearby_explanation_has_its_distance(look_at):
    runs = [
        many.run(number, lambda cell, late=number >= 15: 1.2 if late else 1.0, {"source": "a" if number < 16 else "b"})
        for number in range(30)
    ]
    assert "source a → b (1 run later)" in history.text(look_at(runs))


def test_without_a_change_there_are_levels(look_at):
    text = history.text(look_at([many.run(number) for number in range(12)]))
    assert "No change of level." in text
    assert "2026-01-01" in text
    assert "2026-01-12" in text
    assert "0 of 2 cells slower, 2 same" in text


def test_changes_before_since_are_left_out(look_at):
    runs = many.stepping(30, 15)
    since = pd.Timestamp(many.day(20))
    text = history.text(look_at(runs, "*", since))
    assert "No change of level since 2026-01-21 12:00." in text
    assert "2026-01-01" not in text
    data = history.data(look_at([], "*", since))
    assert {cell["runs"] for cell in data["cells"]} == {10}
    assert all(not cell["changes"] and len(cell["levels"]) == 1 for cell in data["cells"])


def test_slower_newest_run_is_shown(look_at):
    text = history.text(look_at([*[many.run(number) for number in range(12)], many.run(12, lambda cell: 1.2)]))
    assert "2 of 2 cells slower" in text
    assert f"→ {many.name(12)}" in text


def test_new_series_have_one_line(look_at):
    runs = [many.run(number, machine={"cpu": "A" if number < 4 else "B"}) for number in range(8)]
    text = history.text(look_at(runs))
    assert "2 cells begin a new series on 2026-01-05: cpu A → B\n" in text


def test_cells_without_an_earlier_run_are_counted(look_at):
    assert f"2 cells of {many.name(0)} had no earlier run to be compared with" in history.text(look_at([many.run(0)]))


def test_data_is_plain_and_complete(look_at):
    data = history.data(look_at(many.stepping(30, 15)))
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
def test_trend_drawing(seconds, drawn):
    assert history._drawn(np.array(seconds)).replace("▅", "▄") == drawn


def test_small_noise_is_drawn_small():
    assert set(history._drawn(np.array([1.0, 1.01, 1.0, 0.99]))) <= set("▃▄▅▆")


def test_rebuilt_names_what_was_left_out():
    text = history.rebuilt(1, ["one"], ["two"], ["x/journal.jsonl:1: torn"])
    assert text.splitlines() == [
        "the history has 1 run",
        "left out, as they were cut off: one",
        "left out, as they compare two sides: two",
        "left out: x/journal.jsonl:1: torn",
    ]
