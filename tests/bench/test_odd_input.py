"""Tests of odd and damaged input, from a grid to a saved run."""

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


def test_two_exceeded_thread_limits_are_reported():
    contenders = [Contender(name, "cpu", "float32", threads) for name in ("numpy", "jax") for threads in (1, 2)]
    busy = {contender: 1.9 for contender in contenders if contender.implementation == "jax"}
    made = Story(plan_of_cells(contenders), busy=busy)
    assert "## Step time" in markdown.report(made.run())


def test_a_wrong_row_has_the_backends_version():
    made = story()
    row = made.run().timings.iloc[made.plan.cells.index(Cell(TORCH, LARGE, "step"))]
    assert (row["backend"], row["backend_version"], row["precision"]) == ("torch", "1.2.3", "highest")


@pytest.mark.parametrize("implementation", ["all", ("numpy",)])
def test_auto_beside_another_device_is_refused(implementation):
    with pytest.raises(PlanError):
        resolve(
            Grid("g", implementation=implementation, device=("auto", "cpu")),
            Machine(2),
            implementations.names(),
            implementations.device_kinds,
            1,
        )


@pytest.mark.parametrize("text", ["N = " + "9" * 5000, "N = " + "[" * 5000], ids=["digits", "nesting"])
def test_extreme_toml_is_a_plan_error(text):
    with pytest.raises(PlanError):
        grid.parse(text, "g", "g.toml")


def test_a_grid_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbfN = [7]\r\n")
    assert grid.read(str(tmp_path / "marked.toml")).N == (7,)


def test_a_complaint_about_a_key_with_a_newline_is_one_line():
    with pytest.raises(PlanError) as caught:
        grid.parse('"a\\nb" = 1', "g", "g.toml")
    assert "\n" not in str(caught.value)


def test_a_complaint_about_a_table_names_its_header_line():
    with pytest.raises(PlanError, match=r"^g.toml:3: N: "):
        grid.parse("# a\n\n[N]\nx = 1\n", "g", "g.toml")


def test_a_journal_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / journal.FILE).write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / journal.FILE))):
        bench.load(tmp_path)


@pytest.mark.parametrize(("read", "kind"), [(bench.load, ValueError), (resumable, PlanError)])
def test_a_journal_with_an_invalid_plan_is_refused(tmp_path, read, kind):
    write_journal(tmp_path, [RunStarted("r", "s", {}, {}, [])])
    with pytest.raises(kind):
        read(tmp_path)


def test_a_csv_with_an_invalid_number_is_named(tmp_path):
    text = files.timings_csv(Run.of(records()).timings).replace(",50,16,", ",50,sixteen,", 1)
    (tmp_path / "timings.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "timings.csv"))):
        bench.load(tmp_path)


def test_a_broken_run_json_is_named(tmp_path):
    (tmp_path / "timings.csv").write_text(files.timings_csv(Run.of(records()).timings))
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "run.json"))):
        bench.load(tmp_path)


def test_a_failed_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    import shutil

    folder = write_journal(tmp_path / "run")

    def copy_half(source, target):
        target.write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr(shutil, "copyfile", copy_half)
    with pytest.raises(OSError, match="full"):
        write_files(folder, tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_a_thousand_microseconds_are_a_millisecond():
    assert units.duration(0.00099951) == "1.00 ms"
