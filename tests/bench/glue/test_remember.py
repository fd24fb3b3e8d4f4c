"""A run is added to the history when its session ends."""

import fcntl

import pytest

from bench.glue.options import Asked
from bench.glue.session import BenchSession
from bench.history import store
from bench.report import files
from tests.bench import many
from tests.bench.made import plan_of_cells


def finished(results, run, **options) -> BenchSession:
    """A session that has just measured a run."""
    session = BenchSession(Asked(plan_of_cells(passes=many.PASSES), results, None, ()), timed=True)
    [session.folder] = many.write(results, [run])
    session.finish(**options)
    return session


def test_complete_run_is_added_to_the_history(tmp_path):
    session = finished(tmp_path, many.run(0))
    with store.reading(tmp_path) as reader:
        assert reader.runs()["name"].tolist() == [many.name(0)]
        assert reader.missing() == []
    assert not [line for line in session.summary() if line.startswith("warning")]


def test_run_that_was_cut_off_is_not_added(tmp_path):
    session = finished(tmp_path, many.run(0, complete=False))
    assert not (tmp_path / store.FILE).exists()
    assert session.summary()[-1].startswith("cut off")


@pytest.mark.parametrize("content", [b"torn", b""])
def test_unwritable_history_gives_a_warning(tmp_path, content):
    (tmp_path / store.FILE).write_bytes(content)
    session = finished(tmp_path, many.run(0))
    [warning] = [line for line in session.summary() if line.startswith("warning")]
    assert "history rebuild" in warning
    assert (tmp_path / "timings.csv").exists()
    assert any(line.startswith("report ") for line in session.summary())


def test_unexpected_error_in_the_history_keeps_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "add", lambda *arguments: 1 / 0)
    session = finished(tmp_path, many.run(0))
    assert "division by zero" in session.summary()[-1]


def test_run_is_added_before_its_files_are_written(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(store, "add", lambda *arguments: calls.append("history"))
    monkeypatch.setattr(files, "write", lambda *arguments: calls.append("files"))
    finished(tmp_path, many.run(0))
    assert calls == ["history", "files"]


def test_locked_history_is_waited_for_with_a_line(tmp_path):
    lines = []
    with (tmp_path / store.LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def say(line):
            lines.append(line)
            fcntl.flock(file, fcntl.LOCK_UN)

        session = finished(tmp_path, many.run(0), say=say)
    [line] = lines
    assert "history.lock: another process" in line
    assert "waiting for at most 60 s" in line
    assert not [line for line in session.summary() if line.startswith("warning")]
    with store.reading(tmp_path) as reader:
        assert reader.runs()["name"].tolist() == [many.name(0)]
