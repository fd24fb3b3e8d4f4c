import gzip
import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.analyse.run import csvfiles
from bench.analyse.run.run import Run
from bench.measure import journal
from bench.report import files
from bench.report.run.markdown import report
from tests.bench.made import Story, plan_of_cells, records, same_as_golden, write_files, write_journal

WRITTEN = ["run.json", "timings.csv", "samples.csv.gz", "report.md"]


@pytest.fixture
def folder(tmp_path):
    """A run with nothing but its journal."""
    return write_journal(tmp_path / "results" / "runs" / "one")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_timings_csv_is_the_golden_one():
    assert same_as_golden("timings.csv", files.timings_csv(Run.of(records()).timings))


def test_files_are_written_beside_the_journal(folder):
    before = (folder / journal.FILE).read_bytes()
    assert write_files(folder) == [folder / name for name in WRITTEN]
    assert set(contents(folder)) == {journal.FILE, *WRITTEN}
    assert (folder / journal.FILE).read_bytes() == before


def test_writing_twice_gives_the_same_bytes(folder, monkeypatch):
    write_files(folder)
    first = contents(folder)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    for name in WRITTEN:
        os.utime(folder / name, (1, 1))
    write_files(folder)
    assert contents(folder) == first


def test_same_journal_elsewhere_gives_the_same_bytes(folder, tmp_path):
    copy = write_journal(tmp_path / "elsewhere")
    write_files(folder)
    write_files(copy)
    assert contents(copy) == contents(folder)


def test_results_folder_gets_table_and_report(folder):
    results = folder.parent.parent
    (results / "report.md").write_text("old\n", encoding="utf-8")
    write_files(folder, results)
    assert contents(results) == {name: contents(folder)[name] for name in ("timings.csv", "report.md")}
    newer = write_journal(folder.parent / "two", Story(plan_of_cells(), name="two").records())
    write_files(newer, results)
    assert contents(results) == {name: contents(newer)[name] for name in ("timings.csv", "report.md")}


def test_run_json_is_the_info_of_the_run(folder):
    write_files(folder)
    assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == Run.of(records()).info


def test_report_md_is_the_page(folder):
    write_files(folder)
    assert (folder / "report.md").read_bytes() == report(Run.of(records())).encode()


def test_samples_are_exact(folder):
    write_files(folder)
    samples = csvfiles.read(folder / "samples.csv.gz")
    assert [*map(float, samples["seconds"])] == list(Run.of(records()).samples["seconds"])


def test_packed_samples_have_no_name_and_no_time(folder):
    write_files(folder)
    packed = (folder / "samples.csv.gz").read_bytes()
    assert packed[3] & 0b1000 == 0
    assert packed[4:8] == bytes(4)
    assert gzip.decompress(packed).startswith(b"run,pass,process,")


def test_run_that_was_cut_off_has_files(tmp_path):
    folder = write_journal(tmp_path, records(passes=0, complete=False))
    write_files(folder)
    assert len(pd.read_csv(folder / "timings.csv")) == 12
    assert pd.read_csv(folder / "samples.csv.gz").empty


def test_folder_without_a_journal_is_not_changed(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_files(tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("is_packed", [True, False])
def test_failed_write_keeps_the_old_file(folder, monkeypatch, is_packed):
    for name in WRITTEN:
        (folder / name).write_bytes(b"old")

    def break_off(path: Path, text: str, **options: str) -> None:
        path.write_bytes(text[: len(text) // 2].encode())
        raise OSError("no space left on device")

    def break_off_packed(run: Run, path: Path) -> None:
        break_off(path, "packed")

    monkeypatch.setattr(Path, "write_text", break_off)
    monkeypatch.setattr(files, "_write_samples", break_off_packed if is_packed else lambda run, path: path.touch())
    with pytest.raises(OSError, match="no space left"):
        write_files(folder)
    assert {contents(folder)[name] for name in WRITTEN if is_packed or name != "samples.csv.gz"} == {b"old"}


def test_failed_copy_keeps_the_old_file(folder, monkeypatch):
    results = folder.parent.parent
    (results / "timings.csv").write_bytes(b"old")

    def break_off(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:10])
        raise OSError("no space left on device")

    monkeypatch.setattr(shutil, "copyfile", break_off)
    with pytest.raises(OSError, match="no space left"):
        write_files(folder, results)
    assert (results / "timings.csv").read_bytes() == b"old"
    assert (folder / "timings.csv").read_bytes() == files.timings_csv(Run.of(records()).timings).encode()


def test_no_temporary_files_are_left(folder):
    write_files(folder, folder.parent.parent)
    assert not list(folder.parent.parent.rglob(".*"))
