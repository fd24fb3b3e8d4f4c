"""The formats that no consumer of can be installed here, against what their documents ask for."""

import csv
import io
import json
import math
import re

import pandas as pd
import pytest

from bench.analyse.run.columns import TIMINGS, names
from bench.report import files
from bench.report.exports import FORMATS, bencher, cells, formats, github_action, tabular
from tests.bench.made import NUMPY, Story, plan_of_cells
from tests.bench.report.exports.exported import exported, timed

KEY = "step[numpy-cpu-float32-N64-D1000-H100]"


@pytest.fixture
def run() -> cells.Exported:
    return exported()


def is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def test_every_format_but_asv_s_tree_is_a_text():
    assert {*formats.TEXTS} == {*FORMATS} - {"asv"}


@pytest.mark.parametrize("form", formats.TEXTS)
def test_the_same_run_gives_the_same_text(form, run):
    assert formats.TEXTS[form](run) == formats.TEXTS[form](exported())


@pytest.mark.parametrize("form", [name for name in formats.TEXTS if name not in formats.WHOLE])
def test_a_format_of_times_has_every_timed_cell_and_no_other(form, run):
    text = formats.TEXTS[form](run)
    assert 0 < len(timed(run)) < len(run.cells)
    for one in run.cells:
        assert (f"[{one.cell.id}]" in text) == any(one.cell.id in key for key in timed(run))


def test_bencher_s_metrics_are_latencies_in_nanoseconds_with_their_bounds(run):
    found = json.loads(bencher.text(run))
    assert found.keys() == timed(run).keys()
    for key, row in timed(run).items():
        assert found[key].keys() == {"latency"}
        metric = found[key]["latency"]
        assert metric.keys() == {"value", "lower_value", "upper_value"}
        assert all(map(is_number, metric.values()))
        assert metric["value"] == pytest.approx(row["seconds"] * 1e9)
        assert metric["lower_value"] <= metric["value"] <= metric["upper_value"]


def test_bencher_s_names_are_within_its_lengths(run):
    found = json.loads(bencher.text(run))
    assert max(map(len, found)) <= 1024
    assert all(len(measure) <= 64 for measures in found.values() for measure in measures)


def test_github_action_s_entries_have_its_fields_and_kinds(run):
    found = json.loads(github_action.text(run))
    assert [entry["name"] for entry in found] == [*timed(run)]
    for entry in found:
        assert entry.keys() == {"name", "unit", "value", "range", "extra"}
        assert is_number(entry["value"])
        assert all(isinstance(entry[name], str) for name in ("name", "unit", "range", "extra"))
        assert entry["value"] == pytest.approx(timed(run)[entry["name"]]["seconds"] * 1e9)


def test_github_action_can_read_the_range(run):
    """As it does: by a sign, and then a number and nothing else."""
    for entry in json.loads(github_action.text(run)):
        row = timed(run)[entry["name"]]
        read = re.search(r"(\+-|±)\s*(?P<value>\d.+)", entry["range"])
        assert read
        assert float(read["value"]) == pytest.approx((row["seconds_high"] - row["seconds_low"]) / 2 * 1e9, abs=0.01)


def test_github_action_s_extra_tells_what_the_time_was_taken_with(run):
    entry = next(entry for entry in json.loads(github_action.text(run)) if entry["name"] == KEY)
    assert "backend: numpy\nbackend_version: 1.2.3\n" in entry["extra"]
    assert "threads: 2\npasses: 5" in entry["extra"]


@pytest.mark.parametrize("form", [bencher, github_action])
def test_a_single_pass_has_a_value_and_no_interval(form):
    text = form.text(exported(Story(plan_of_cells([NUMPY], passes=1))))
    assert "NaN" not in text
    assert "_value" not in text
    assert "range" not in text
    assert '"value"' in text


@pytest.mark.parametrize("form", [name for name in formats.TEXTS if name not in formats.WHOLE])
def test_a_run_without_a_time_is_refused_where_only_times_are_told(form):
    with pytest.raises(ValueError, match="has a time"):
        formats.TEXTS[form](exported(Story(plan_of_cells([NUMPY]), passes=0, complete=False)))


def test_the_csv_is_the_run_s_own(run):
    assert tabular.csv(run) == files.timings_csv(run.run.timings)
    rows = [*csv.DictReader(io.StringIO(tabular.csv(run)))]
    assert [row["status"] for row in rows] == [one.row["status"] for one in run.cells]


def test_each_json_line_is_a_cell_with_all_columns(run):
    lines = [json.loads(line) for line in tabular.jsonl(run).splitlines()]
    assert [line["cell"] for line in lines] == [one.cell.key for one in run.cells]
    assert all([*line] == ["cell", *names(TIMINGS)] for line in lines)


def test_json_lines_lose_no_digit(run):
    back = pd.read_json(io.StringIO(tabular.jsonl(run)), lines=True, precise_float=True)
    assert back["seconds"].dropna().tolist() == run.run.timings["seconds"].dropna().tolist()
