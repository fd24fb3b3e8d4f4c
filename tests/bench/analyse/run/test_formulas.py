"""Tests of texts that a spreadsheet would run as a formula."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.run import csvfiles, formulas
from bench.report import files
from tests.bench.made import steady


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "'=1", "''-2"])
def test_text_like_a_formula_is_marked(text):
    assert formulas.marked(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "numpy", "a=b", "'", "'quoted'", " ok"])
def test_other_texts_are_unchanged(text):
    assert formulas.marked(text) == formulas.unmarked(text) == text


@steady
@given(st.text() | st.text(alphabet="'=+-@\t\ra"))
def test_marked_text_round_trips(text):
    assert formulas.unmarked(formulas.marked(text)) == text


def test_csv_file_has_marked_texts_and_plain_numbers(tmp_path):
    table = pd.DataFrame({"reason": ["=cmd|' /C calc'!A0", None, "ok"], "seconds": [-1.5, 2.0, 3.0]})
    path = tmp_path / "made.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        files._write_csv(table, file)
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [row["reason"] for row in rows] == ["'=cmd|' /C calc'!A0", "", "ok"]
    assert rows[0]["seconds"] == "-1.5"
    assert csvfiles.read(path)["reason"].tolist() == ["=cmd|' /C calc'!A0", None, "ok"]
