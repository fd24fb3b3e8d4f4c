"""The pages of a run of two sides."""

from __future__ import annotations

import pytest

from bench.analyse.change import sides
from bench.analyse.predict.recommend import Question, recommend
from bench.analyse.run import loading
from bench.analyse.run.run import Run
from bench.report.change import paired
from bench.report.run import markdown, terminal
from bench.report.run.rows import contender_names
from tests.bench.made import SMALL, records, write_files, write_journal
from tests.bench.sides import compared, slower


def test_rows_are_named_by_side():
    timings = Run.of(compared()).timings
    assert list(contender_names(timings)) == ["numpy, base", "numpy, head", "torch, base", "torch, head"]
    assert list(timings["source"]) == ["base 9bd0a46 (origin/main)", "head this tree"] * 2
    assert timings["speedup"].notna().all()
    assert list(timings["speedup"][:2]) == [1.0, 1.0]  # each side has a baseline of its own


def test_run_of_one_side_has_no_section():
    assert paired.section(Run.of(records())) == ""


def test_page_has_changes_and_no_ranking():
    page = markdown.report(Run.of(compared(slower("numpy", 0.3), confirmed=5)))
    assert "Did it get slower?" in page
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[:2] == ["## What changed", "## Step time"]
    assert not {"## Fastest", "## Speed-up over numpy", "## Start-up and break-even"} & set(headings)
    [changed] = [line for line in page.splitlines() if line.startswith("| numpy") and "slower" in line]
    assert "+30.0 % [" in changed
    assert "again slower, +30.0 %" in changed
    for row in ("numpy, base", "numpy, head", "numpy-cpu-float32~base", "numpy-cpu-float32~head"):
        assert f"| {row} " in page
    assert "9bd0a46 (origin/main), by /bin/python" in page
    assert "what seemed slower had up to 5 fresh ones to confirm it: 1 of 2 cells slower" in page


def test_terminal_page_has_the_changes():
    page = terminal.page(Run.of(compared(slower("numpy", 0.3))))
    assert page.startswith("9bd0a46 (origin/main) → this tree")
    assert page.splitlines()[-1].startswith("1 of 2 cells slower, worst +30.0 % [")


def test_run_that_was_cut_off_is_not_resumable():
    cut_off = [record for record in compared() if type(record).__name__ != "RunEnded"]
    page = markdown.report(Run.of(cut_off))
    assert "**This run was cut off.** What it had measured is here." in page
    assert "--resume" not in page


@pytest.mark.parametrize("left", ["journal", "tables"])
def test_compare_and_recommend_refuse_two_sides(tmp_path, left):
    folder = write_journal(tmp_path / "run", compared())
    write_files(folder)
    if left == "tables":
        (folder / "journal.jsonl").unlink()
    with pytest.raises(ValueError, match="compares two sides itself"):
        sides.load(folder)
    with pytest.raises(ValueError, match="compares two sides, not who is fastest"):
        recommend(loading.load_run(folder), Question(SMALL))


@pytest.mark.parametrize("passes", [0, 1, 5])
def test_files_are_written_after_any_number_of_passes(tmp_path, passes):
    run_records = compared(passes=passes) if passes else compared()[:1]
    folder = write_journal(tmp_path / "run", run_records)
    assert {path.name for path in write_files(folder)} == {"run.json", "timings.csv", "samples.csv.gz", "report.md"}
