"""Tests of the times of made runs of many cells."""

import pytest

from bench.__main__ import main
from bench.report.machine import selfcheck as shown
from bench.verbs import selfcheck


def test_every_stage_of_a_small_made_run_is_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(selfcheck, "collecting", lambda folder, cells: 1.5)
    result = selfcheck.measure(tmp_path, 40)
    assert result["cells"] == 40
    assert result["samples"] == 40 * 5 * 2 * 5
    assert set(result["seconds"]) == set(shown.STAGES)
    assert all(seconds > 0 for seconds in result["seconds"].values())
    assert result["peak_bytes"] > 2**20


def test_table_has_a_line_for_each_size():
    results = [
        {"cells": cells, "samples": 9 * cells, "seconds": dict.fromkeys(shown.STAGES, 0.5), "peak_bytes": 2**30}
        for cells in (1000, 20_000)
    ]
    lines = shown.text(results).splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["1,000", "9,000"], ["20,000", "180,000"]]
    assert lines[2].count("500 ms") == len(shown.STAGES)


@pytest.mark.parametrize(("cells", "problem"), [("0", "0"), ("1000,x", "x"), ("1000001", "1000001"), ("1.5", "1.5")])
def test_bad_size_is_one_line(capsys, cells, problem):
    assert main(["selfcheck", "--cells", cells]) == 2
    error = capsys.readouterr().err
    assert error.startswith("python -m bench selfcheck: --cells: ")
    assert problem in error
    assert error.count("\n") == 1
