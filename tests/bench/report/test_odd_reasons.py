"""A reason of several lines, with special characters, in every place that shows reasons."""

import csv
import json
import re

import pytest

import bench
from bench.analyse.run.run import Run
from bench.history import entries
from bench.measure import lines
from bench.measure.records import Ceiling, Failed, WorkerStarted
from bench.plan.cells import Cell
from bench.plan.sides import BASE, HEAD
from bench.report import files, page
from bench.report.change import paired, unpaired
from bench.report.exports import formats
from bench.report.run import ceilings, markdown, terminal
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells, write_files, write_journal
from tests.bench.report.exports.exported import exported
from tests.bench.sides import compared

ODD = "first | line\nsecond `line`\r\n\x1b[31mthird\x1b[0m\rfourth\x00 <b> \\"
LINE = "first | line second `line` third fourth\\x00 <b> \\"
ESCAPED = "first \\| line second \\`line\\` third fourth\\\\x00 &lt;b> \\\\"


@pytest.fixture
def odd():
    """A run in which every cell of one contender failed for that reason."""
    plan = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE))
    lost = {Cell(TORCH, shape, "step"): Outcome("crashed", ODD) for shape in (SMALL, LARGE)}
    return Story(plan, outcomes=lost)


def cells_of(row):
    """The cells of a row of a Markdown table, as GitHub splits it."""
    return re.split(r"(?<!\\)(?:\\\\)*\|", row.strip().strip("|"))


def test_records_have_one_line_when_made_and_when_read():
    assert Failed(1, ["a"], "crashed", ODD).reason == LINE
    assert Ceiling(1, 1, "a", reason=ODD).reason == LINE
    older = json.dumps({"record": "Failed", "passage": 1, "cells": ["a"], "status": "crashed", "reason": ODD})
    assert lines.decode(older.encode())[1] == Failed(1, ["a"], "crashed", LINE)


def test_facts_of_a_worker_have_one_line():
    record = WorkerStarted(1, 1, "a", "my\nbackend", "1\n2", "CPython", "a\r\nGPU", "high\x00", 1, 0.1, 0.2)
    assert (record.backend, record.backend_version, record.device_name) == ("my backend", "1 2", "a GPU")
    assert record.precision == "high\\x00"


def test_tables_and_terminal_have_one_line(odd, tmp_path):
    write_files(write_journal(tmp_path, odd.records()))
    text = (tmp_path / "timings.csv").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1 + len(odd.plan.cells)
    assert [row["reason"] for row in csv.DictReader(text.splitlines())] == ["", LINE, "", LINE]
    assert f"torch: crashed, {LINE} (2 cells)" in terminal.page(odd.run()).splitlines()
    [row] = [line for line in markdown.report(odd.run()).splitlines() if "third fourth" in line]
    assert ESCAPED in row
    assert len(cells_of(row)) == 4


def test_table_without_its_journal_has_one_line(odd, tmp_path):
    table = odd.run().timings
    table["reason"] = table["reason"].astype(str).replace(LINE, ODD)
    (tmp_path / "timings.csv").write_text(files.timings_csv(table), encoding="utf-8", newline="")
    assert set(bench.load(tmp_path).timings["reason"].dropna()) - {""} == {LINE}


def test_comparison_has_one_row():
    records = compared(outcomes={(HEAD, "numpy"): Outcome("crashed", ODD)})
    comparison = paired.comparison(Run.of(records))
    [row] = [line for line in unpaired.section(comparison).splitlines() if "third fourth" in line]
    assert ESCAPED in row
    assert len(cells_of(row)) == len(
        cells_of(next(line for line in unpaired.section(comparison).splitlines() if "|:" in line))
    )
    assert sum("second" in line for line in unpaired.text(comparison).splitlines()) == 1
    both = dict.fromkeys([(BASE, "numpy"), (HEAD, "numpy")], Outcome("crashed", ODD))
    untimed = paired.comparison(Run.of(compared(outcomes=both)))
    assert f"* numpy: crashed: {ESCAPED} (1 cell)" in unpaired.markdown(untimed).splitlines()


def test_missing_ceilings_have_one_item(odd):
    record = Ceiling(1, 1, "numpy-cpu-float32", reason=ODD)
    assert ceilings._missing(Run.of([*odd.records(), record])) == f"* Not from numpy-cpu-float32: {ESCAPED}"


def test_history_and_exports_have_one_line(odd):
    assert {row.reason for row in entries.entry_of(odd.run()).untimed} == {LINE}
    run = exported(odd)
    rows = [json.loads(line) for line in formats.TEXTS["jsonl"](run).splitlines()]
    assert [row["reason"] for row in rows if row["status"] == "crashed"] == [LINE, LINE]
    assert len(formats.TEXTS["csv"](run).splitlines()) == 1 + len(odd.plan.cells)


def test_facts_have_one_row():
    table = page.facts({"command": page.code("pytest -k 'a\nor b'"), "host": "a|b"})
    assert len(table.splitlines()) == 4
    assert "`pytest -k 'a or b'`" in table
    assert "a\\|b" in table
