"""The outcomes of a session whose measuring ends early."""

import os
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from bench.glue.options import Asked
from bench.glue.progress import Silent
from bench.glue.session import BenchSession
from bench.measure import session as measuring
from bench.measure import writable
from bench.measure.progress import Progress
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, write_journal

PLAN = plan_of_cells((NUMPY, TORCH))


def session_of(results, **others):
    return BenchSession(Asked(PLAN, results, None, (), **others), timed=True)


def ending_by(error, records=()):
    """Replace measuring: write some records, then raise an error."""

    def measure(plan, folder, *rest, **others):
        if records:
            write_journal(folder, records)
        raise error

    return measure


def half_a_run():
    """The records of NumPy's first pass, before anything of PyTorch was measured."""
    records = Story(PLAN, complete=False, passes=1).records()
    first_of_torch = next(
        index for index, record in enumerate(records) if getattr(record, "contender", "") == str(TORCH)
    )
    return records[:first_of_torch]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug"), pytest.fail.Exception("Timeout")])
def test_cells_measured_before_an_error_keep_their_samples(tmp_path, monkeypatch, error):
    monkeypatch.setattr(measuring, "measure", ending_by(error, half_a_run()))
    session = session_of(tmp_path)
    with pytest.raises(pytest.fail.Exception if isinstance(error, RuntimeError) else type(error)) as caught:
        session.measure(Silent())
    assert session.ended_early == isinstance(error, RuntimeError)
    assert not session.ended_early or "something unexpected happened: RuntimeError: a bug" in str(caught.value)
    session.measure(Silent())  # as the next test does: nothing is measured again
    numpy, torch = (session.outcome(cell) for cell in PLAN.cells)
    assert (numpy.status, len(numpy.samples)) == ("ok", 10)
    assert torch.status == "not_run"
    session.finish()
    shown = "\n".join(session.summary())
    assert "numpy" in shown
    assert "torch: not_run" in shown


def test_table_of_a_run_that_goes_on_is_no_wider_than_the_terminal(tmp_path, monkeypatch):
    def measure(plan, folder, path, notify, **others):
        write_journal(folder, Story(PLAN, complete=False, passes=1).records())
        for pass_number in (1, 2):
            notify(Progress(pass_number, 5, "step", str(PLAN.cells[0].shape), str(NUMPY), 0.0, 60.0))

    monkeypatch.setattr(measuring, "measure", measure)
    tables = []
    display = SimpleNamespace(progress=lambda progress: None, table=lambda make: tables.append(make()))
    session_of(tmp_path).measure(display, width=lambda: 50)
    [table] = tables
    assert "step so far" in table
    assert max(map(len, table.splitlines())) <= 50


def test_full_disk_gives_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "measure", ending_by(OSError(28, "No space left on device")))
    session = session_of(tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"^measuring ended early: .*No space left on device; "):
        session.measure(Silent())
    assert session.outcome(PLAN.cells[0]).status == "not_run"
    session.finish()
    assert session.failed
    assert session.summary()[0].startswith("warning   the results could not be written: ")


@pytest.mark.parametrize("resumed", [False, True])
def test_unwritable_results_are_refused_before_measuring(tmp_path, monkeypatch, resumed):
    session = session_of(tmp_path / "results")
    session.check_writable()
    assert not (tmp_path / "results").exists()
    (tmp_path / "a run").mkdir()
    monkeypatch.setattr(
        writable.tempfile, "TemporaryFile", partial(in_folder, read_only=tmp_path / "a run", or_any=not resumed)
    )
    monkeypatch.chdir(tmp_path)
    if resumed:
        session = BenchSession(Asked(PLAN, tmp_path / "results", tmp_path / "a run", ()), timed=True)
    with pytest.raises(pytest.UsageError) as caught:
        session.check_writable()
    option, folder = ("--resume", "a run") if resumed else ("--results", "results")
    assert str(caught.value).startswith(f"{option}: cannot write to {folder}: Read-only file system")


def in_folder(dir, buffering, read_only, or_any):
    if or_any or dir == read_only:
        raise OSError(30, "Read-only file system")
    return open(os.devnull, "wb", buffering=buffering)


@pytest.mark.parametrize("results", ["results", "elsewhere"])
def test_command_for_more_passes_finds_the_run_from_here(tmp_path, monkeypatch, results):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / results / "runs" / "one"
    write_journal(folder, Story(replace(PLAN, passes=2)).records())
    session = session_of(tmp_path / "results")
    session.folder = folder
    session.finish()
    [command] = [line for line in session.summary() if "--resume" in line]
    assert f"--resume {'one' if results == 'results' else folder.relative_to(tmp_path)} --passes 5" in command
