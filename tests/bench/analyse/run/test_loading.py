import re

import pandas as pd
import pytest

import bench
from bench.analyse.run import columns, loading
from bench.analyse.run.run import Run
from bench.measure import journal
from bench.plan.plain import to_plain
from tests.bench.made import MACHINE, records, story, write_files, write_journal

EARLY, LATE = "2026-01-02T03-04-05-smoke", "2026-01-03T00-00-00-full"


def run_of(folder, name: str):
    """Write a complete run into a results folder, and return its folder."""
    return write_journal(folder / "runs" / name, records(name=name))


def test_run_is_read_from_its_folder(tmp_path):
    run = bench.load(write_journal(tmp_path))
    assert run.name == story().name
    pd.testing.assert_frame_equal(run.timings, Run.of(records()).timings)
    pd.testing.assert_frame_equal(run.samples, Run.of(records()).samples)


def test_path_can_be_text(tmp_path):
    assert bench.load(str(write_journal(tmp_path))).name == story().name


def test_info_has_options_machine_plan_and_end(tmp_path):
    info = bench.load(write_journal(tmp_path / "complete")).info
    assert (info["run"], info["complete"], info["options"]) == (story().name, True, ["bench/", "-q"])
    assert info["machine"] == MACHINE
    assert {**info["plan"], "cells": None} == {**to_plain(story().plan), "cells": None}
    assert not bench.load(write_journal(tmp_path / "cut", records(complete=False))).info["complete"]


def test_run_is_read_from_its_journal_file(tmp_path):
    folder = write_journal(tmp_path)
    assert bench.load(folder / journal.FILE).name == story().name


def test_results_folder_is_its_newest_run(tmp_path):
    run_of(tmp_path, LATE)
    run_of(tmp_path, EARLY)
    assert bench.load(tmp_path).name == LATE
    assert loading.find(tmp_path) == tmp_path / "runs" / LATE


def test_empty_folder_among_runs_is_ignored(tmp_path):
    run_of(tmp_path, EARLY)
    (tmp_path / "runs" / LATE).mkdir()
    assert bench.load(tmp_path).name == EARLY


def test_run_folder_is_found(tmp_path):
    folder = run_of(tmp_path, EARLY)
    assert loading.find(folder) == folder
    assert loading.find(folder / journal.FILE) == folder


@pytest.fixture
def written(tmp_path):
    """The folder of a run with all its files."""
    folder = write_journal(tmp_path / "run")
    write_files(folder)
    return folder


def assert_timings(run, timings: pd.DataFrame):
    """Assert that a run's timings are those of the journal, to nine digits, and with empty texts missing."""
    expected = timings.assign(reason=timings["reason"].replace("", pd.NA))
    pd.testing.assert_frame_equal(run.timings, expected, check_exact=False, rtol=1e-8, check_categorical=False)


def test_csv_alone_is_a_run_without_samples(tmp_path, written):
    alone = tmp_path / "alone.csv"
    alone.write_bytes((written / "timings.csv").read_bytes())
    run = bench.load(alone)
    assert run.name == story().name
    assert_timings(run, Run.of(records()).timings)
    assert list(run.samples.columns) == columns.names(columns.SAMPLES)
    assert run.samples.empty
    assert run.info == {}


def test_csv_has_the_samples_and_info_beside_it(written):
    (written / journal.FILE).unlink()
    for path in (written, written / "timings.csv"):
        run = bench.load(path)
        assert_timings(run, Run.of(records()).timings)
        assert list(run.samples["seconds"]) == list(Run.of(records()).samples["seconds"])
        assert run.info == Run.of(records()).info


def test_results_folder_with_only_a_csv_is_a_run(tmp_path, written):
    results = tmp_path / "results"
    results.mkdir()
    (results / "timings.csv").write_bytes((written / "timings.csv").read_bytes())
    assert bench.load(results).name == story().name


def test_dtypes_of_csv_and_journal_are_equal(written):
    from_journal = bench.load(written).timings
    from_csv = bench.load(written / "timings.csv").timings
    for name in from_journal:
        kinds = type(from_journal[name].dtype), type(from_csv[name].dtype)
        assert kinds[0] is kinds[1], name
    assert from_csv["phase"].dtype == from_journal["phase"].dtype
    assert from_csv["verdict"].dtype == from_journal["verdict"].dtype


@pytest.mark.parametrize("name", ["nothing", "nothing.csv"])
def test_missing_path_is_reported(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=rf"^{re.escape(str(tmp_path / name))}: no run here"):
        bench.load(tmp_path / name)


def test_folder_without_a_run_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{journal.FILE}, a results folder runs/"):
        bench.load(tmp_path)


def test_invalid_journal_is_named_with_its_line(tmp_path):
    path = tmp_path / journal.FILE
    path.write_text("nonsense\n", encoding="utf-8")
    for asked in (tmp_path, path):
        with pytest.raises(
            ValueError, match=rf"^{re.escape(str(path))}:1: a journal begins with a RunStarted record, but: "
        ):
            bench.load(asked)


def test_csv_without_a_column_is_named(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("run,N\na,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: .* no column 'implementation'$"):
        bench.load(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n1,2\n"3,4,5\n6'])
def test_invalid_csv_is_named(tmp_path, content):
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: not a CSV file"):
        bench.load(path)


@pytest.mark.parametrize("kept", [0.9, 0.01])
def test_truncated_samples_are_named(written, kept):
    path = written / "samples.csv.gz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: not a CSV file"):
        bench.load(written / "timings.csv")


def test_uncompressed_samples_are_named(written):
    path = written / "samples.csv.gz"
    path.write_bytes(b"run,seconds\n")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: not a CSV file"):
        bench.load(written / "timings.csv")


def test_truncated_row_is_named_with_its_line(written):
    path = written / "timings.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:3]) + "\n" + lines[3][:60], encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:4: the row has no status; those are ok, "):
        bench.load(path)


def test_csv_of_earlier_version_has_empty_new_columns(tmp_path, written):
    optional = [column.name for column in columns.TIMINGS if column.is_optional]
    earlier = pd.read_csv(written / "timings.csv").drop(columns=optional)
    earlier.to_csv(tmp_path / "earlier.csv", index=False)
    timings = bench.load(tmp_path / "earlier.csv").timings
    assert list(timings.columns) == columns.names(columns.TIMINGS)
    assert timings[optional].isna().all(axis=None)
    kept = [name for name in columns.names(columns.TIMINGS) if name not in optional]
    current = bench.load(written / "timings.csv").timings
    pd.testing.assert_frame_equal(timings[kept], current[kept])
    assert timings["rank"].dtype == current["rank"].dtype
