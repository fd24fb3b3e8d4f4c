"""Odd and damaged input, from a grid to a saved run."""

import re

import pytest

import bench
import implementations
from bench.analyse.run.run import Run
from bench.measure import journal
from bench.measure.records import RunStarted
from bench.measure.session import resumable
from bench.plan import grid, units
from bench.plan.cells import Cell, Contender
from bench.plan.grid import Grid, PlanError
from bench.plan.plan import Machine, resolve
from bench.report import files
from bench.report.run import markdown
from tests.bench.made import LARGE, TORCH, Story, plan_of_cells, records, story, write_files, write_journal


def test_two_limits_that_both_did_not_hold_do_not_break_the_report():
    contenders = [Contender(name, "cpu", "float32", threads) for name in ("numpy", "jax") for threads in (1, 2)]
    told = Story(plan_of_cells(contenders), busy={c: 1.9 for c in contenders if c.implementation == "jax"})
    assert "## Step time" in markdown.report(told.run())


def test_a_wrong_row_says_which_version_was_wrong():
    told = story()
    row = told.run().timings.iloc[told.plan.cells.index(Cell(TORCH, LARGE, "step"))]
    assert (row["backend"], row["backend_version"], row["precision"]) == ("torch", "1.2.3", "highest")


@pytest.mark.parametrize("implementation", ["all", ("numpy",)])
def test_auto_beside_another_device_is_no_device(implementation):
    with pytest.raises(PlanError):
        resolve(
            Grid("g", implementation=implementation, device=("auto", "cpu")),
            Machine(2),
            implementations.names(),
            implementations.device_kinds,
            1,
        )


@pytest.mark.parametrize("text", ["N = " + "9" * 5000, "N = " + "[" * 5000], ids=["digits", "nesting"])
def test_toml_that_python_gives_up_on_is_a_plan_error(text):
    with pytest.raises(PlanError):
        grid.parse(text, "g", "g.toml")


def test_a_grid_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbfN = [7]\r\n")
    assert grid.read(str(tmp_path / "marked.toml")).N == (7,)


def test_a_key_with_a_newline_is_complained_of_on_one_line():
    with pytest.raises(PlanError) as caught:
        grid.parse('"a\\nb" = 1', "g", "g.toml")
    assert "\n" not in str(caught.value)


def test_a_table_s_header_is_the_line_of_its_key():
    with pytest.raises(PlanError, match=r"^g.toml:3: N: "):
        grid.parse("# a\n\n[N]\nx = 1\n", "g", "g.toml")


def test_a_journal_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / journal.FILE).write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / journal.FILE))):
        bench.load(tmp_path)


@pytest.mark.parametrize(("read", "kind"), [(bench.load, ValueError), (resumable, PlanError)])
def test_a_journal_with_another_plan_schema_is_a_value_error(tmp_path, read, kind):
    write_journal(tmp_path, [RunStarted("r", "s", {}, {}, [])])
    with pytest.raises(kind):
        read(tmp_path)


def test_a_csv_with_a_word_for_a_number_is_named(tmp_path):
    text = files.timings_csv(Run.of(records()).timings).replace(",50,16,", ",50,sixteen,", 1)
    (tmp_path / "timings.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "timings.csv"))):
        bench.load(tmp_path)


def test_a_broken_run_json_is_named(tmp_path):
    (tmp_path / "timings.csv").write_text(files.timings_csv(Run.of(records()).timings))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "run.json"))):
        bench.load(tmp_path)


def test_a_write_that_fails_leaves_no_temporary_file(tmp_path, monkeypatch):
    import shutil

    folder = write_journal(tmp_path / "run")

    def break_off(source, target):
        target.write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr(shutil, "copyfile", break_off)
    with pytest.raises(OSError, match="full"):
        write_files(folder, tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_a_thousand_microseconds_are_a_millisecond():
    assert units.duration(0.00099951) == "1.00 ms"
