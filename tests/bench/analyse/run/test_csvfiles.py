"""Tests of runs that are read from CSV files, without a journal."""

from __future__ import annotations

import gzip
import io
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
    """Return records of a run in which `text` is every external text, and the reason of a crashed cell."""
    timed = replace(NUMPY, implementation=implementation)
    failed = replace(NUMPY, implementation="torch")
    plan = plan_of_cells((timed, failed), baseline=implementation)
    outcomes = {cell: Outcome("crashed", text) for cell in plan.cells if cell.contender == failed}
    described = {"backend_version": text, "interpreter": text, "device_name": text, "precision": text}
    return Story(plan, outcomes=outcomes, workers={timed: described}, machine={**MACHINE, "source": text}).records()


def without_journal(folder, run_records):
    """Return the run that is loaded from its tables alone."""
    (folder / "timings.csv").write_text(files.timings_csv(Run.of(run_records).timings), encoding="utf-8", newline="")
    files._write_samples(Run.of(run_records), folder / "samples.csv.gz")
    return bench.load(folder)


def texts_of(timings):
    """Return the values of every column with external texts; None for a missing or empty one."""
    texts = timings[["run", "source", "reason", "backend_version", "interpreter", "device_name", "precision"]]
    return texts.astype(object).where(texts.notna() & (texts != ""), None).to_dict("records")


@settings(steady, max_examples=40)
@given(text=any_text)
@example(text="")
def test_any_text_round_trips(tmp_path_factory, text):
    run_records = records_with_text(text)
    run = without_journal(tmp_path_factory.mktemp("run"), run_records)
    assert texts_of(run.timings) == texts_of(Run.of(run_records).timings)


@pytest.mark.parametrize("text", TEXTS)
def test_text_like_another_type_stays_text(tmp_path, text):
    run_records = records_with_text(text)
    read = texts_of(without_journal(tmp_path, run_records).timings)
    assert read == texts_of(Run.of(run_records).timings)
    assert (read[0]["source"], read[1]["reason"]) == (text, one_line(text))


@pytest.mark.parametrize("text", ["21102e0", "nan", "007"])
def test_implementation_name_can_look_like_a_number(tmp_path, text):
    run = without_journal(tmp_path, records_with_text("", implementation=text))
    assert [*run.timings["implementation"]] == [text, "torch"]
    assert {*run.samples["implementation"]} == {text}
    assert cells.of_tables(run).sampled()


@pytest.mark.parametrize(("text", "written"), [("a\0b", "a\\x00b"), ("caf\udce9", "caf\\udce9")])
def test_unencodable_text_is_escaped(tmp_path, text, written):
    run = without_journal(tmp_path, records_with_text(text))
    assert [*run.timings["source"]] == [written, written]
    assert run.timings["reason"][1] == written


@steady
@given(seconds=st.lists(any_seconds, min_size=1, max_size=20))
@example(seconds=[0.1 + 0.2, 5e-324, 1.7976931348623157e308, 3.0000000000000004e-05, 1 / 3])
def test_samples_round_trip_bit_for_bit(tmp_path_factory, seconds):
    run_records = [
        replace(record, seconds=seconds) if isinstance(record, Block) else record
        for record in Story(plan_of_cells((NUMPY,), passes=1, rounds=1)).records()
    ]
    path = tmp_path_factory.mktemp("samples") / "samples.csv.gz"
    files._write_samples(Run.of(run_records), path)
    numeric = {each.name: each.dtype == columns.WHOLE for each in columns.SAMPLES if each.dtype in columns.NUMERIC}
    read = csvfiles.numbers(path, csvfiles.read(path), numeric)
    assert read["seconds"].tolist() == seconds


@pytest.mark.parametrize("run_name", ["plain", "several\nlines", "a\rb", 'a,"b"'])
def test_samples_have_the_bytes_of_their_table(tmp_path, run_name):
    run = story(name=run_name).run()
    files._write_samples(run, tmp_path / "samples.csv.gz")
    text = io.StringIO()
    files._write_csv(run.samples, text)
    assert gzip.decompress((tmp_path / "samples.csv.gz").read_bytes()).decode() == text.getvalue()


@steady
@given(value=st.floats(allow_nan=False))
def test_numbers_round_trip_bit_for_bit(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    pd.DataFrame({"x": [value], "y": ["text"]}).to_csv(path, index=False)
    [read] = csvfiles.numbers(path, csvfiles.read(path), {"x": False})["x"]
    assert (read, math.copysign(1, read)) == (value, math.copysign(1, value))


@steady
@given(value=st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_exact_beside_missing_ones(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(f"x,y\n{value},a\n,b\n3.0,c\n")
    read = csvfiles.numbers(path, csvfiles.read(path), {"x": True})["x"]
    assert read.tolist() == [value, pd.NA, 3]
    assert read.dtype == "Int64"


def same(first, second):
    """Return whether two exports are equal, except for the digits that timings.csv leaves out."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, float) or isinstance(second, float):
        return first == pytest.approx(second, rel=1e-8)
    return first == second


@pytest.mark.parametrize("form", formats.TEXTS)
def test_export_is_the_same_without_the_journal(tmp_path, form):
    run_records = [
        replace(record, backend_version="2.10") if isinstance(record, WorkerStarted) else record
        for record in records(machine={**MACHINE, "source": "21102e0"})
    ]
    folder = write_journal(tmp_path, run_records)
    write_files(folder)
    with_journal_text = formats.TEXTS[form](cells.of_run(Run.of(run_records)))
    (folder / journal.FILE).unlink()
    without_journal_text = formats.TEXTS[form](cells.of_tables(bench.load(folder)))
    if form == "csv":
        assert without_journal_text == with_journal_text
    elif form == "jsonl":
        assert same(*([*map(json.loads, text.split("\n")[:-1])] for text in (without_journal_text, with_journal_text)))
    else:
        assert same(json.loads(without_journal_text), json.loads(with_journal_text))


def test_invalid_number_is_named_with_line_and_column(tmp_path):
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


def test_samples_without_a_column_are_named(tmp_path):
    folder = write_journal(tmp_path, story().records())
    write_files(folder)
    path = folder / "samples.csv.gz"
    path.write_bytes(gzip.compress(b"run,seconds\na,1\n"))
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: .* no column 'pass'$"):
        bench.load(folder / "timings.csv")


def test_row_with_too_many_fields_is_named(tmp_path):
    path = tmp_path / "timings.csv"
    path.write_text("a,b\n1,2,3\n4,5,6\n")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:2: .* more fields than line 1 has columns$"):
        csvfiles.read(path)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_file_saved_by_a_spreadsheet_is_read(tmp_path, ending):
    path = tmp_path / "timings.csv"
    path.write_bytes(b"\xef\xbb\xbf" + ending.join(["x,y", "1,a", "2,NA", ""]).encode())
    read = csvfiles.numbers(path, csvfiles.read(path), {"x": True})
    assert read.to_dict("list") == {"x": [1, 2], "y": ["a", "NA"]}
