"""Formats whose consumers cannot be installed here, checked against their documentation."""

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


def test_every_format_but_asv_is_a_text():
    assert {*formats.TEXTS} == {*FORMATS} - {"asv"}


@pytest.mark.parametrize("format_name", formats.TEXTS)
def test_same_run_gives_the_same_text(format_name, run):
    assert formats.TEXTS[format_name](run) == formats.TEXTS[format_name](exported())


@pytest.mark.parametrize("format_name", [name for name in formats.TEXTS if name not in formats.WHOLE])
def test_formats_of_times_have_all_timed_cells_and_no_others(format_name, run):
    text = formats.TEXTS[format_name](run)
    assert 0 < len(timed(run)) < len(run.cells)
    for measured in run.cells:
        assert (f"[{measured.cell.id}]" in text) == any(measured.cell.id in key for key in timed(run))


def test_bencher_metrics_are_latencies_in_nanoseconds(run):
    metrics = json.loads(bencher.text(run))
    assert metrics.keys() == timed(run).keys()
    for key, row in timed(run).items():
        assert metrics[key].keys() == {"latency"}
        metric = metrics[key]["latency"]
        assert metric.keys() == {"value", "lower_value", "upper_value"}
        assert all(map(is_number, metric.values()))
        assert metric["value"] == pytest.approx(row["seconds"] * 1e9)
        assert metric["lower_value"] <= metric["value"] <= metric["upper_value"]


def test_bencher_names_are_short_enough(run):
    metrics = json.loads(bencher.text(run))
    assert max(map(len, metrics)) <= 1024
    assert all(len(measure) <= 64 for measures in metrics.values() for measure in measures)


def test_github_action_entries_have_the_right_fields(run):
    entries = json.loads(github_action.text(run))
    assert [entry["name"] for entry in entries] == [*timed(run)]
    for entry in entries:
        assert entry.keys() == {"name", "unit", "value", "range", "extra"}
        assert is_number(entry["value"])
        assert all(isinstance(entry[name], str) for name in ("name", "unit", "range", "extra"))
        assert entry["value"] == pytest.approx(timed(run)[entry["name"]]["seconds"] * 1e9)


def test_github_action_can_read_the_range(run):
    """Read the range as the action does: a sign, then a number and nothing else."""
    for entry in json.loads(github_action.text(run)):
        row = timed(run)[entry["name"]]
        match = re.search(r"(\+-|±)\s*(?P<value>\d.+)", entry["range"])
        assert match
        assert float(match["value"]) == pytest.approx((row["seconds_high"] - row["seconds_low"]) / 2 * 1e9, abs=0.01)


def test_github_action_extra_has_versions_and_settings(run):
    entry = next(entry for entry in json.loads(github_action.text(run)) if entry["name"] == KEY)
    assert "backend: numpy\nbackend_version: 1.2.3\n" in entry["extra"]
    assert "threads: 2\npasses: 5" in entry["extra"]


@pytest.mark.parametrize("module", [bencher, github_action])
def test_single_pass_has_a_value_and_no_interval(module):
    text = module.text(exported(Story(plan_of_cells([NUMPY], passes=1))))
    assert "NaN" not in text
    assert "_value" not in text
    assert "range" not in text
    assert '"value"' in text


@pytest.mark.parametrize("format_name", [name for name in formats.TEXTS if name not in formats.WHOLE])
def test_formats_of_times_refuse_a_run_without_times(format_name):
    with pytest.raises(ValueError, match="has a time"):
        formats.TEXTS[format_name](exported(Story(plan_of_cells([NUMPY]), passes=0, complete=False)))


def test_csv_is_that_of_the_run(run):
    assert tabular.csv(run) == files.timings_csv(run.run.timings)
    rows = [*csv.DictReader(io.StringIO(tabular.csv(run)))]
    assert [row["status"] for row in rows] == [measured.row["status"] for measured in run.cells]


def test_json_lines_are_cells_with_all_columns(run):
    lines = [json.loads(line) for line in tabular.jsonl(run).splitlines()]
    assert [line["cell"] for line in lines] == [measured.cell.key for measured in run.cells]
    assert all([*line] == ["cell", *names(TIMINGS)] for line in lines)


def test_json_lines_lose_no_digit(run):
    table = pd.read_json(io.StringIO(tabular.jsonl(run)), lines=True, precise_float=True)
    assert table["seconds"].dropna().tolist() == run.run.timings["seconds"].dropna().tolist()
