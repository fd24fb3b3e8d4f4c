"""What becomes of a run in the history when its session ends."""

import fcntl

import pytest

from bench.glue.options import Asked
from bench.glue.session import BenchSession
from bench.history import store
from bench.report import files
from tests.bench import many
from tests.bench.made import plan_of_cells


def finished(results, run, **how) -> BenchSession:
    """A session that has just measured a run."""
    session = BenchSession(Asked(plan_of_cells(passes=many.PASSES), results, None, ()), timed=True)
    [session.folder] = many.write(results, [run])
    session.finish(**how)
    return session


def test_a_whole_run_is_in_the_history_when_its_session_ends(tmp_path):
    session = finished(tmp_path, many.run(0))
    with store.reading(tmp_path) as kept:
        assert kept.runs()["name"].tolist() == [many.name(0)]
        assert kept.missing() == []
    assert not [line for line in session.summary() if line.startswith("warning")]


def test_a_run_that_was_cut_off_is_not(tmp_path):
    session = finished(tmp_path, many.run(0, complete=False))
    assert not (tmp_path / store.FILE).exists()
    assert session.summary()[-1].startswith("cut off")


@pytest.mark.parametrize("content", [b"torn", b""])
def test_a_history_that_cannot_be_written_costs_a_warning_and_not_the_run(tmp_path, content):
    (tmp_path / store.FILE).write_bytes(content)
    session = finished(tmp_path, many.run(0))
    [warning] = [line for line in session.summary() if line.startswith("warning")]
    assert "history rebuild" in warning
    assert (tmp_path / "timings.csv").exists()
    assert any(line.startswith("report ") for line in session.summary())


def test_not_even_a_mistake_in_it_costs_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "add", lambda *asked: 1 / 0)
    session = finished(tmp_path, many.run(0))
    assert "division by zero" in session.summary()[-1]


def test_a_run_is_added_before_its_files_say_that_it_is_whole(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(store, "add", lambda *asked: calls.append("history"))
    monkeypatch.setattr(files, "write", lambda *asked: calls.append("files"))
    finished(tmp_path, many.run(0))
    assert calls == ["history", "files"]


def test_a_history_that_another_process_has_is_waited_for_with_a_word(tmp_path):
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
    with store.reading(tmp_path) as kept:
        assert kept.runs()["name"].tolist() == [many.name(0)]
