import fcntl
import itertools
import json
import math
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.analyse.run.run import Run
from bench.history import store
from bench.history.entries import entry_of
from bench.measure import journal
from bench.measure.records import WorkerStarted
from bench.plan.cells import Side
from tests.bench import many
from tests.bench.made import NUMPY, TORCH, plan_of_cells, records, write_files


def contents(results: Path) -> dict:
    """All of an index, without the numbers of its rows."""
    with store.reading(results) as reader:
        versions = reader.versions()
        series = [reader.series(number) for number in reader.cells()]
        runs = reader.runs()
        return {
            "runs": runs.to_dict("records"),
            "failed": {run: sorted(map(repr, reader.failed(run))) for run in runs["name"]},
            "series": sorted(
                repr(
                    (
                        s.key,
                        s.cell,
                        s.conditions,
                        s.timings.assign(versions=s.timings["versions"].map(versions)).to_dict(),
                    )
                )
                for s in series
            ),
        }


def add(results: Path, *runs) -> None:
    for run in runs:
        store.add(results, entry_of(Run.of(run)))


def test_added_runs_are_read(tmp_path):
    add(tmp_path, many.run(0), many.run(1))
    with store.reading(tmp_path) as reader:
        assert reader.runs()["name"].tolist() == [many.name(0), many.name(1)]
        [number] = [number for number, key in reader.cells().items() if key.startswith("step[torch")]
        series = reader.series(number)
    assert series.timings["run"].tolist() == [many.name(0), many.name(1)]
    assert series.timings["seconds"].tolist() == [
        cell.seconds for run in (0, 1) for cell in entry_of(Run.of(many.run(run))).timed if "torch" in cell.key
    ]
    assert series.timings["started"].iloc[1] == pd.Timestamp(many.day(1))


def test_series_are_in_the_order_of_starts(tmp_path):
    add(tmp_path, many.run(2), many.run(0), many.run(1))
    with store.reading(tmp_path) as reader:
        assert [*reader.series(1).timings["run"]] == [many.name(number) for number in range(3)]


def test_adding_a_run_again_changes_nothing(tmp_path):
    add(tmp_path, many.run(0), many.run(1))
    before = contents(tmp_path)
    add(tmp_path, many.run(0))
    assert contents(tmp_path) == before


def test_adding_a_changed_run_replaces_it(tmp_path):
    add(tmp_path, many.run(0), many.run(0, lambda cell: 2.0))
    with store.reading(tmp_path) as reader:
        assert reader.series(1).timings["seconds"].tolist() == [
            entry_of(Run.of(many.run(0, lambda cell: 2.0))).timed[0].seconds
        ]


def test_rebuilt_index_equals_the_added_one(tmp_path):
    runs = [many.run(0), records(name="2026-01-01T00-00-00-made"), *many.stepping(9, 5)[1:]]
    many.write(tmp_path, runs)
    add(tmp_path, *reversed(runs))
    added = contents(tmp_path)
    assert store.rebuild(tmp_path).runs == len(runs)
    assert contents(tmp_path) == added
    (tmp_path / store.FILE).unlink()
    store.rebuild(tmp_path)
    assert contents(tmp_path) == added


def test_rebuild_leaves_no_other_file(tmp_path):
    many.write(tmp_path, [many.run(0)])
    store.rebuild(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", store.FILE, store.LOCK}


def test_rebuild_names_incomplete_and_unreadable_runs(tmp_path):
    many.write(tmp_path, [many.run(0), many.run(1, complete=False)])
    (tmp_path / "runs" / "odd").mkdir()
    (tmp_path / "runs" / "odd" / "journal.jsonl").write_text("{}\n")
    rebuilt = store.rebuild(tmp_path)
    assert (rebuilt.runs, rebuilt.cut_off) == (1, [many.name(1)])
    assert len(rebuilt.unreadable) == 1
    assert "odd" in rebuilt.unreadable[0]


def test_rebuild_without_runs_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run here"):
        store.rebuild(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_reading_without_an_index_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"history rebuild"), store.reading(tmp_path):
        pass
    assert not [*tmp_path.iterdir()]


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def overwritten(path: Path) -> None:
    path.write_bytes(b"these are no tables\n" * 1000)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def scribbled(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\x7f" * (len(content) - 4096))


def of_the_version_before(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {store.VERSION - 1}")
    connection.close()


@pytest.mark.parametrize("damage", [torn, overwritten, emptied, scribbled, of_the_version_before])
def test_damaged_file_gives_one_line_and_is_rebuilt(tmp_path, damage):
    many.write(tmp_path, [many.run(0), many.run(1)])
    store.rebuild(tmp_path)
    before = contents(tmp_path)
    damage(tmp_path / store.FILE)
    for attempt in (contents, lambda results: add(results, many.run(0))):
        with pytest.raises(
            ValueError, match=r"history\.sqlite: .*`python -m bench history rebuild --results"
        ) as caught:
            attempt(tmp_path)
        assert "\n" not in str(caught.value)
    store.rebuild(tmp_path)
    assert contents(tmp_path) == before


def test_rebuild_command_omits_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"`python -m bench history rebuild`"), store.reading(Path("results")):
        pass


def _add_runs(results: str, numbers: list[int]) -> None:
    add(Path(results), *(many.run(number) for number in numbers))


def test_concurrent_adds_lose_no_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_runs, args=(str(tmp_path), [*range(first, 24, 4)])) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    with store.reading(tmp_path) as reader:
        assert reader.runs()["name"].tolist() == [many.name(number) for number in range(24)]
        assert {len(reader.series(number).timings) for number in reader.cells()} == {24}


def test_runs_added_during_a_rebuild_are_not_lost(tmp_path):
    many.write(tmp_path, [many.run(number) for number in range(12)])
    context = multiprocessing.get_context("spawn")
    many.write(tmp_path, [many.run(number) for number in range(12, 18)])
    worker = context.Process(target=_add_runs, args=(str(tmp_path), [*range(12, 18)]))
    worker.start()
    while worker.is_alive():
        store.rebuild(tmp_path)
    worker.join()
    assert worker.exitcode == 0
    with store.reading(tmp_path) as reader:
        assert len(reader.runs()) == 18


def test_rebuild_includes_runs_that_end_meanwhile(tmp_path, monkeypatch):
    many.write(tmp_path, [many.run(0)])

    def add_while_reading(run):
        if run.name == many.name(0):
            many.write(tmp_path, [many.run(1)])
        return entry_of(run)

    monkeypatch.setattr(store, "entry_of", add_while_reading)
    assert store.rebuild(tmp_path).runs == 2
    with store.reading(tmp_path) as reader:
        assert len(reader.runs()) == 2


def test_open_file_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    many.write(tmp_path, [many.run(0)])
    store.rebuild(tmp_path)
    connection = sqlite3.connect(tmp_path / store.FILE)
    try:
        connection.execute("SELECT count(*) FROM runs").fetchone()
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM runs").fetchone()
        with pytest.raises(ValueError, match="another program has it open"):
            store.rebuild(tmp_path)
    finally:
        connection.close()
    assert {path.name for path in tmp_path.iterdir()} == {"runs", store.FILE, store.LOCK}
    assert store.rebuild(tmp_path).runs == 1


def test_locked_index_is_waited_for_with_a_line(tmp_path):
    lines = []
    many.write(tmp_path, [many.run(0)])
    with (tmp_path / store.LOCK).open("a") as file:

        def say(line):
            lines.append(line)
            fcntl.flock(file, fcntl.LOCK_UN)

        for write in (store.rebuild, lambda results, say: store.add(results, entry_of(Run.of(many.run(1))), say)):
            fcntl.flock(file, fcntl.LOCK_EX)
            write(tmp_path, say)
    assert lines == [f"{tmp_path / store.LOCK}: another process has it; waiting for at most 60 s"] * 2
    with store.reading(tmp_path) as reader:
        assert len(reader.runs()) == 2


def test_lock_wait_is_limited_and_reading_needs_none(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    many.write(tmp_path, [many.run(0)])
    add(tmp_path, many.run(0))
    before = contents(tmp_path)
    with (tmp_path / store.LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for write in (store.rebuild, lambda results: add(results, many.run(1))):
            with pytest.raises(ValueError, match=r"history\.lock: another process has used it for 0\.2 s; try again"):
                write(tmp_path)
        assert contents(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"runs", store.FILE, store.LOCK}


def test_rebuild_waits_for_a_reader(tmp_path):
    add(tmp_path, many.run(0))
    many.write(tmp_path, [many.run(0), many.run(1)])
    lines = []
    reading = store.reading(tmp_path)
    assert len(reading.__enter__().runs()) == 1

    def say(line):
        lines.append(line)
        reading.__exit__(None, None, None)

    assert store.rebuild(tmp_path, say).runs == 2
    assert lines == [f"{tmp_path / store.FILE}: another process has it; waiting for at most 60 s"]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", store.FILE, store.LOCK}


@pytest.mark.parametrize("name", [store.FILE, f"{store.FILE}-wal", f"{store.FILE}-shm"])
def test_link_out_of_the_folder_is_refused_and_replaced_by_rebuild(tmp_path, name):
    results, outside = tmp_path / "results", tmp_path / "outside"
    many.write(results, [many.run(0)])
    add(results, many.run(0))
    before = contents(results)
    (results / name).rename(outside) if name == store.FILE else outside.write_text("of someone else")
    content = outside.read_bytes()
    (results / name).symlink_to(outside)
    for attempt in (contents, lambda results: add(results, many.run(1))):
        with pytest.raises(ValueError, match="leads out of"):
            attempt(results)
    store.rebuild(results)
    assert outside.read_bytes() == content
    assert {path.name for path in results.iterdir()} == {"runs", store.FILE, store.LOCK}
    assert not (results / store.FILE).is_symlink()
    assert contents(results) == before


def test_lock_that_links_out_of_the_folder_is_refused(tmp_path):
    results, outside = tmp_path / "results", tmp_path / "outside"
    many.write(results, [many.run(0)])
    (results / store.LOCK).symlink_to(outside)
    for write in (store.rebuild, lambda results: add(results, many.run(1))):
        with pytest.raises(ValueError, match=r"history\.lock: a symbolic link that leads out of"):
            write(results)
    assert not outside.exists()
    assert {path.name for path in results.iterdir()} == {"runs", store.LOCK}


READ = "import sys, pathlib; from bench.history import store\n"
READ += "with store.reading(pathlib.Path(sys.argv[1])) as reader: print(*reader.runs()['name'])"
NOT_ABOVE_PERMISSIONS = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
"""The command by which root drops the capability to write to read-only folders."""


@pytest.mark.skipif(bool(NOT_ABOVE_PERMISSIONS) and not shutil.which("setpriv"), reason="root may write anywhere")
@pytest.mark.parametrize("files", ["the index alone", "a lock", "a log in use", "a log that was left"])
def test_index_is_read_in_a_read_only_folder(tmp_path, files):
    folder = tmp_path / "results"
    folder.mkdir()
    add(folder, many.run(0))
    connection = sqlite3.connect(folder / store.FILE)
    runs = [many.name(0)]
    if files == "a log in use":
        connection.execute("SELECT count(*) FROM runs").fetchone()
        add(folder, many.run(1))
        runs.append(many.name(1))
    else:
        connection.close()
    if files == "a log that was left":
        (folder / f"{store.FILE}-wal").write_bytes(b"")
    if files == "the index alone":
        (folder / store.LOCK).unlink()
    before = {path.name for path in folder.iterdir()}
    (folder / store.FILE).chmod(0o400)
    folder.chmod(0o500)
    try:
        command = [*NOT_ABOVE_PERMISSIONS, sys.executable, "-c", READ, str(folder)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o700)
        connection.close()
    assert (process.stdout.split(), process.stderr) == (runs, "")
    if files != "a log in use":
        assert {path.name for path in folder.iterdir()} == before


def emptied_journal(folder: Path) -> None:
    emptied(folder / journal.FILE)


def overwritten_journal(folder: Path) -> None:
    (folder / journal.FILE).write_bytes(b"\xff\xfe no JSON\n")


def folder_for_a_journal(folder: Path) -> None:
    (folder / journal.FILE).unlink()
    (folder / journal.FILE).mkdir()


def fifo_for_a_journal(folder: Path) -> None:
    (folder / journal.FILE).unlink()
    os.mkfifo(folder / journal.FILE)


def linked_journal(folder: Path) -> None:
    (folder / journal.FILE).rename(folder.parents[2] / "outside")
    (folder / journal.FILE).symlink_to(folder.parents[2] / "outside")


def linked_folder(folder: Path) -> None:
    folder.rename(folder.parents[2] / "outside")
    folder.symlink_to(folder.parents[2] / "outside")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (emptied_journal, "a journal begins with a RunStarted record"),
        (overwritten_journal, "a journal begins with a RunStarted record, but: "),
        (folder_for_a_journal, "Is a directory"),
        (fifo_for_a_journal, "not a regular file but a FIFO"),
        (linked_journal, "leads out of"),
        (linked_folder, "leads out of"),
    ],
)
def test_unreadable_journal_is_named_with_the_reason(tmp_path, damage, reason):
    results = tmp_path / "results"
    [_, folder, _] = many.write(results, [many.run(number) for number in range(3)])
    damage(folder)
    check_is_skipped(results, folder, reason)


def of_another_release(run):
    return [replace(run[0], plan={**run[0].plan, "novel": 1}), *run[1:]]


def without_worker(run):
    return [record for record in run if not isinstance(record, WorkerStarted)]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (without_worker(many.run(1)), "something unexpected happened: IndexError: "),
        (of_another_release(many.run(1)), "plan: novel is not of this version of relubench"),
        (many.run(1, workers={NUMPY: {"details": {"kernels": 3}}}), "something unexpected happened: AttributeError: "),
        (many.run(1, workers={TORCH: {"details": {"environment": 3}}}), "something unexpected happened: TypeError: "),
        (many.run(1, plan=plan_of_cells(passes=many.PASSES, min_effect=math.nan)), "IntegrityError: NOT NULL"),
    ],
    ids=["IndexError", "ValueError", "AttributeError", "TypeError of a worker", "IntegrityError"],
)
def test_invalid_journal_is_named_with_the_reason(tmp_path, run, reason):
    [_, folder, _] = many.write(tmp_path, [many.run(0), run, many.run(2)])
    check_is_skipped(tmp_path, folder, reason)


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), ValueError("odd"), MemoryError(), RecursionError()]
)
def test_error_in_one_run_keeps_the_others(tmp_path, monkeypatch, error):
    [_, folder, _] = many.write(tmp_path, [many.run(number) for number in range(3)])

    def failing(run):
        if run.name == folder.name:
            raise error
        return entry_of(run)

    monkeypatch.setattr(store, "entry_of", failing)
    check_is_skipped(tmp_path, folder, str(error) or type(error).__name__)


def check_is_skipped(results: Path, folder: Path, reason: str) -> None:
    rebuilt = store.rebuild(results)
    [line] = rebuilt.unreadable
    assert str(folder) in line
    assert reason in line
    assert "\n" not in line
    assert (rebuilt.runs, rebuilt.cut_off, rebuilt.two_sides) == (2, [], [])
    with store.reading(results) as reader:
        assert reader.runs()["name"].tolist() == [many.name(0), many.name(2)]


def test_full_disk_blames_no_run(tmp_path, monkeypatch):
    many.write(tmp_path, [many.run(0)])
    store.rebuild(tmp_path)
    before = contents(tmp_path)
    many.write(tmp_path, [many.run(number) for number in range(1, 20)])
    monkeypatch.setattr(store, "TABLES", f"{store.TABLES} PRAGMA max_page_count = 1;")
    with pytest.raises(
        ValueError, match=r"history\.sqlite: .* is full; make room there, then `.*` has every run in it"
    ):
        store.rebuild(tmp_path)
    assert contents(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"runs", store.FILE, store.LOCK}


def test_leftover_log_of_a_removed_file_is_ignored(tmp_path):
    add(tmp_path, many.run(0))
    with store.reading(tmp_path):
        add(tmp_path, many.run(1))
        log = (tmp_path / f"{store.FILE}-wal").read_bytes()
    assert log
    (tmp_path / store.FILE).unlink()
    (tmp_path / f"{store.FILE}-wal").write_bytes(log)
    add(tmp_path, many.run(2))
    with store.reading(tmp_path) as reader:
        assert reader.runs()["name"].tolist() == [many.name(2)]


def _read_repeatedly(results: str) -> None:
    for _ in range(60):
        with store.reading(Path(results)) as reader:
            runs = reader.runs()["name"].tolist()
            assert runs[:2] == [many.name(0), many.name(1)]
            assert {len(reader.series(number).timings) for number in reader.cells()} == {len(runs)}
        time.sleep(0.01)


def test_readers_see_complete_indexes_during_writes(tmp_path):
    many.write(tmp_path, [many.run(0), many.run(1)])
    store.rebuild(tmp_path)
    reader = multiprocessing.get_context("spawn").Process(target=_read_repeatedly, args=(str(tmp_path),))
    reader.start()
    for number in itertools.cycle(range(2, 5)):
        add(tmp_path, many.run(number))
        store.rebuild(tmp_path)
        if not reader.is_alive():
            break
    assert reader.exitcode == 0


def test_reader_sees_the_index_as_opened(tmp_path):
    add(tmp_path, many.run(0))
    with store.reading(tmp_path) as reader:
        assert len(reader.runs()) == 1
        add(tmp_path, many.run(1))
        assert len(reader.series(1).timings) == 1
    with store.reading(tmp_path) as reader:
        assert len(reader.runs()) == 2


def test_failed_add_leaves_nothing(tmp_path):
    add(tmp_path, many.run(0))
    before = contents(tmp_path)
    entry = entry_of(Run.of(many.run(1)))
    broken = replace(entry, timed=(entry.timed[0], entry.timed[0]))
    with pytest.raises(ValueError, match="UNIQUE"):
        store.add(tmp_path, broken)
    assert contents(tmp_path) == before


def test_rebuild_names_runs_of_two_sides(tmp_path):
    sides = tuple(Side(name, name, "python", ".", ("numpy",)) for name in ("base", "head"))
    contenders = [replace(NUMPY, variant=side.name) for side in sides]
    two_sided = many.run(1, plan=plan_of_cells(contenders, passes=many.PASSES, sides=sides))
    [one_sided_folder, two_sided_folder] = many.write(tmp_path, [many.run(0), two_sided])
    (two_sided_folder / "run.json").write_text(json.dumps(Run.of(two_sided).info))
    assert store.rebuild(tmp_path).two_sides == [two_sided_folder.name]
    with store.reading(tmp_path) as reader:
        assert reader.runs()["name"].tolist() == [one_sided_folder.name]
        assert reader.missing() == []
    with pytest.raises(ValueError, match="two sides"):
        entry_of(Run.of(two_sided))


def test_missing_has_complete_runs_not_in_the_index(tmp_path):
    for folder in many.write(tmp_path, [many.run(0), many.run(1), many.run(2, complete=False)]):
        write_files(folder)
    add(tmp_path, many.run(0))
    with store.reading(tmp_path) as reader:
        assert reader.missing() == [many.name(1)]


def test_many_runs_of_many_cells_are_stored(tmp_path):
    first = entry_of(Run.of(many.run(0)))
    cells = tuple(replace(cell, key=f"{number}{cell.key}") for number in range(100) for cell in first.timed)
    for number in range(30):
        store.add(tmp_path, replace(first, run=many.name(number), started=many.day(number), timed=cells))
    with store.reading(tmp_path) as reader:
        assert len(reader.cells()) == 200
        assert len(reader.series(200).timings) == 30


def test_add_removes_leftovers_of_a_killed_process(tmp_path):
    add(tmp_path, many.run(0))
    no_process = 2**22 + 1
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f".{store.FILE}.{no_process}{ending}").write_text("half")
    add(tmp_path, many.run(1))
    assert [file.name for file in tmp_path.glob(f".{store.FILE}.*")] == []
