"""CSV files of runs, read without their journal."""

from __future__ import annotations

import gzip
import json
import math
import re
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bench
from bench.analyse.run import columns, csvfiles
from bench.analyse.run.run import Run
from bench.measure import journal
from bench.measure.records import Block, WorkerStarted
from bench.measure.worker.one_line import one_line
from bench.report import files
from bench.report.exports import cells, formats
from tests.bench.made import (
    MACHINE,
    NUMPY,
    Outcome,
    Story,
    plan_of_cells,
    records,
    steady,
    story,
    write_files,
    write_journal,
)

LOOKS_LIKE_A_NUMBER = ("21102e0", "12e4567", "0012345", "1_000", "0x1f", "inf", "-1")
LOOKS_LIKE_NOTHING = ("NA", "nan", "null", "None", "N/A", "<NA>", "#N/A", "True")
LOOKS_LIKE_CSV = ('a,"b",c', "several\nlines", "a\rb\r\nc", " spaces ", "'", '"', "#", "\ufeff", "\\n", "é…")
TEXTS = (*LOOKS_LIKE_A_NUMBER, *LOOKS_LIKE_NOTHING, *LOOKS_LIKE_CSV)
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
any_seconds = st.floats(min_value=0, allow_infinity=False)


def records_with_text(text, implementation="numpy"):
    """A run whose every text from outside is this one, with a cell that crashed for that reason."""
    timed = replace(NUMPY, implementation=implementation)
    failed = replace(NUMPY, implementation="torch")
    plan = plan_of_cells((timed, failed), baseline=implementation)
    outcomes = {cell: Outcome("crashed", text) for cell in plan.cells if cell.contender == failed}
    described = {"backend_version": text, "interpreter": text, "device_name": text, "precision": text}
    return Story(plan, outcomes=outcomes, workers={timed: described}, machine={**MACHINE, "source": text}).records()


def without_journal(folder, made):
    """The run as its tables alone tell it."""
    (folder / "timings.csv").write_text(files.timings_csv(Run.of(made).timings), encoding="utf-8", newline="")
    files._write_packed(Run.of(made).samples, folder / "samples.csv.gz")
    return bench.load(folder)


def texts_of(timings):
    """Of every column that has texts from outside; None for a missing or empty one."""
    texts = timings[["run", "source", "reason", "backend_version", "interpreter", "device_name", "precision"]]
    return texts.astype(object).where(texts.notna() & (texts != ""), None).to_dict("records")


@settings(steady, max_examples=40)
@given(text=any_text)
@example(text="")
def test_any_text_is_read_as_it_was_written(tmp_path_factory, text):
    made = records_with_text(text)
    run = without_journal(tmp_path_factory.mktemp("run"), made)
    assert texts_of(run.timings) == texts_of(Run.of(made).timings)


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_looks_like_something_else_is_read_as_text(tmp_path, text):
    made = records_with_text(text)
    read = texts_of(without_journal(tmp_path, made).timings)
    assert read == texts_of(Run.of(made).timings)
    assert (read[0]["source"], read[1]["reason"]) == (text, one_line(text))


@pytest.mark.parametrize("text", ["21102e0", "nan", "007"])
def test_an_implementation_may_be_called_like_a_number(tmp_path, text):
    run = without_journal(tmp_path, records_with_text("", implementation=text))
    assert [*run.timings["implementation"]] == [text, "torch"]
    assert {*run.samples["implementation"]} == {text}
    assert cells.of_tables(run).sampled()


@pytest.mark.parametrize(("text", "written"), [("a\0b", "a\\x00b"), ("caf\udce9", "caf\\udce9")])
def test_what_a_file_cannot_hold_is_written_as_an_escape(tmp_path, text, written):
    run = without_journal(tmp_path, records_with_text(text))
    assert [*run.timings["source"]] == [written, written]
    assert run.timings["reason"][1] == written


@steady
@given(seconds=st.lists(any_seconds, min_size=1, max_size=20))
@example(seconds=[0.1 + 0.2, 5e-324, 1.7976931348623157e308, 3.0000000000000004e-05, 1 / 3])
def test_any_sample_is_read_bit_for_bit(tmp_path_factory, seconds):
    made = [
        replace(record, seconds=seconds) if isinstance(record, Block) else record
        for record in Story(plan_of_cells((NUMPY,), passes=1, rounds=1)).records()
    ]
    table = Run.of(made).samples
    path = tmp_path_factory.mktemp("samples") / "samples.csv.gz"
    files._write_packed(table, path)
    numeric = {each.name: each.dtype == columns.WHOLE for each in columns.SAMPLES if each.dtype in columns.NUMERIC}
    read = csvfiles.numbers(path, csvfiles.read(path), numeric)
    assert read["seconds"].tolist() == seconds


@steady
@given(value=st.floats(allow_nan=False))
def test_any_number_of_a_table_is_read_bit_for_bit(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    pd.DataFrame({"x": [value], "y": ["text"]}).to_csv(path, index=False)
    [read] = csvfiles.numbers(path, csvfiles.read(path), {"x": False})["x"]
    assert (read, math.copysign(1, read)) == (value, math.copysign(1, value))


@steady
@given(value=st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_keep_every_digit_beside_missing_ones(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(f"x,y\n{value},a\n,b\n3.0,c\n")
    read = csvfiles.numbers(path, csvfiles.read(path), {"x": True})["x"]
    assert read.tolist() == [value, pd.NA, 3]
    assert read.dtype == "Int64"


def same(one, other):
    """Two exports, whose numbers may differ by the digits that timings.csv leaves out."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return one == pytest.approx(other, rel=1e-8)
    return one == other


@pytest.mark.parametrize("form", formats.TEXTS)
def test_an_export_says_the_same_without_the_journal(tmp_path, form):
    made = [
        replace(record, backend_version="2.10") if isinstance(record, WorkerStarted) else record
        for record in records(machine={**MACHINE, "source": "21102e0"})
    ]
    folder = write_journal(tmp_path, made)
    write_files(folder)
    with_journal = formats.TEXTS[form](cells.of_run(Run.of(made)))
    (folder / journal.FILE).unlink()
    without = formats.TEXTS[form](cells.of_tables(bench.load(folder)))
    if form == "csv":
        assert without == with_journal
    elif form == "jsonl":
        assert same(*([*map(json.loads, text.split("\n")[:-1])] for text in (without, with_journal)))
    else:
        assert same(json.loads(without), json.loads(with_journal))


def test_a_value_that_is_no_number_is_named_with_its_line_and_column(tmp_path):
    folder = write_journal(tmp_path, records_with_text("two\nlines"))
    write_files(folder)
    table = pd.read_csv(folder / "timings.csv", dtype=str, keep_default_na=False)
    table.loc[0, "source"] = "two\nlines"
    table.loc[1, "N"] = "6.5"
    table.to_csv(folder / "timings.csv", index=False)
    path = folder / "timings.csv"
    # The source of the first row has two lines.
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:4: column 'N' has '6.5', which is no whole number"):
        bench.load(path)


def test_samples_that_lack_a_column_are_named_with_it(tmp_path):
    folder = write_journal(tmp_path, story().records())
    write_files(folder)
    path = folder / "samples.csv.gz"
    path.write_bytes(gzip.compress(b"run,seconds\na,1\n"))
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: .* no column 'pass'$"):
        bench.load(folder / "timings.csv")


def test_a_row_with_too_many_fields_is_named(tmp_path):
    path = tmp_path / "timings.csv"
    path.write_text("a,b\n1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:2: .* more fields than line 1 has columns$"):
        csvfiles.read(path)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_file_that_a_spreadsheet_saved_is_read(tmp_path, ending):
    path = tmp_path / "timings.csv"
    path.write_bytes(b"\xef\xbb\xbf" + ending.join(["x,y", "1,a", "2,NA", ""]).encode())
    read = csvfiles.numbers(path, csvfiles.read(path), {"x": True})
    assert read.to_dict("list") == {"x": [1, 2], "y": ["a", "NA"]}
