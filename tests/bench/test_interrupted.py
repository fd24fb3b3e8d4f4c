"""Real runs that signals end, that go on after a change, and that are not alone."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from bench.measure import journal, lock
from bench.measure.client import ROOT
from bench.measure.records import Block, RunEnded, RunResumed
from tests.bench import signals
from tests.bench.fakes import places, records_of

RUN = (
    *(sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"),
    str(ROOT / "bench"),
)
GRID = """
N = [4]
D_in = [5]
H = [3]
D_out = [2]
device = ["cpu"]
phase = ["forward", "step"]
passes = 2
rounds = 2
samples = 2
ceilings = false
"""
OWN = """
import pathlib, time
from implementations.numpy_ import Net as Numpy


class Net(Numpy):
    calls = 0

    def forward(self):
        super().forward()
        if pathlib.Path("slow").exists():
            pathlib.Path("begun").touch()
            time.sleep(0.05)
"""
WRONG = OWN.replace("super().forward()", "super().forward(); self.y_pred = self.y_pred + 1")
PATIENCE = 60.0
"""Seconds that guard against hanging."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "small.toml").write_text(GRID)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def started(place, *options, **variables):
    command = (*RUN, *(options or ("--grid", "small.toml", "--implementations", "numpy,own:Net")))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=place, env=os.environ | variables, preexec_fn=signals.heard, **pipes)


def ended(process):
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return output


def wait_for(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert condition(), ended(process)


def run_of(place):
    [folder] = (place / "results" / "runs").iterdir()
    return folder


def blocks_of(place):
    return records_of(run_of(place), Block)


def is_measuring(place):
    return any(b'"Block"' in file.read_bytes() for file in place.glob("results/runs/*/journal.jsonl"))


def cut_off(place):
    """A run that a signal has ended in its middle."""
    (place / "slow").touch()
    process = started(place)
    wait_for(lambda: is_measuring(place), process)
    process.send_signal(signal.SIGTERM)
    output = ended(process)
    (place / "slow").unlink()
    assert process.returncode == 2, output
    assert 0 < len(blocks_of(place)) < 16
    return run_of(place)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_a_run_with_its_files_and_how_to_go_on(place, number):
    (place / "slow").touch()
    process = started(place)
    wait_for(lambda: is_measuring(place), process)
    process.send_signal(number)
    output = ended(process)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert f"go on with it by --resume {run_of(place).name}" in output
    assert {"timings.csv", "report.md", "samples.csv.gz"} <= {file.name for file in run_of(place).iterdir()}
    [end] = records_of(run_of(place), RunEnded)
    assert not end.complete
    (place / "slow").unlink()
    again = started(place, "--resume", run_of(place).name)
    output = ended(again)
    assert again.returncode == 0, output
    assert len(set(places(blocks_of(place)))) == len(blocks_of(place)) == 16


@pytest.mark.parametrize("seconds", [0.0, 0.02])
def test_thirty_signals_in_a_row_end_a_run_without_a_traceback_and_lose_nothing(place, seconds):
    (place / "slow").touch()
    process = started(place)
    wait_for(lambda: is_measuring(place), process)
    before = len(blocks_of(place))
    for turn in range(30):
        if process.poll() is None:
            process.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[turn % 3])
        time.sleep(seconds)
    output = ended(process)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert "Exception ignored" not in output
    assert len(blocks_of(place)) >= before
    assert len(records_of(run_of(place), RunEnded)) == 1


def test_under_nohup_a_run_goes_on_when_its_terminal_is_closed(place):
    command = ("nohup", *RUN, "--grid", "small.toml", "--implementations", "numpy,own:Net")
    (place / "slow").touch()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=place, **pipes)
    wait_for(lambda: is_measuring(place), process)
    process.send_signal(signal.SIGHUP)
    (place / "slow").unlink()
    output = ended(process)
    assert process.returncode == 0, output
    assert len(blocks_of(place)) == 16


def test_verifying_that_is_interrupted_leaves_no_temporary_folder(place):
    (place / "slow").touch()
    process = started(place, "--grid", "small.toml", "--implementations", "own:Net", "--benchmark-disable")
    wait_for((place / "begun").exists, process)
    process.send_signal(signal.SIGTERM)
    output = ended(process)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert list((place / "temporary").iterdir()) == []
    assert not (place / "results").exists()


def test_a_run_whose_source_changed_is_refused_and_verified_again_when_it_goes_on_anyway(place):
    folder = cut_off(place)
    before = (folder / journal.FILE).read_bytes()
    (place / "own.py").write_text(WRONG)
    refused = started(place, "--resume", folder.name)
    output = ended(refused)
    assert refused.returncode == 4, output
    assert "the source of own:Net" in output
    assert "--resume-anyway" in output
    assert (folder / journal.FILE).read_bytes() == before

    anyway = started(place, "--resume", folder.name, "--resume-anyway")
    output = ended(anyway)
    assert anyway.returncode == 1, output
    assert records_of(folder, RunResumed)[-1].changed == ["the source of own:Net"]
    table = (folder / "timings.csv").read_text()
    status = {(row["implementation"], row["phase"]): row["status"] for row in csv.DictReader(table.splitlines())}
    assert {status["own:Net", "forward"], status["own:Net", "step"]} == {"wrong"}
    assert {status["numpy", "forward"], status["numpy", "step"]} == {"ok"}
    assert "resumed after a change of the source of own:Net" in table
    assert "resumed after a change of the source of own:Net" in output
    assert "resumed after a change of the source of own:Net" in (folder / "report.md").read_text()


def test_a_run_that_is_measured_is_not_resumed_and_a_second_one_fails_or_waits(place):
    own_lock = {lock.VARIABLE: str(place / "lock")}
    (place / "slow").touch()
    first = started(place, **own_lock)
    wait_for(lambda: is_measuring(place), first)
    os.kill(first.pid, signal.SIGSTOP)  # lest it ends while the others are tried
    try:
        resumed = started(place, "--resume", run_of(place).name, **own_lock)
        output = ended(resumed)
        assert resumed.returncode == 4, output
        assert f"is being measured by another process (process {first.pid}" in output
        quick = ("--grid", "small.toml", "--implementations", "numpy", "--results", "others", "--when-busy")
        refused = started(place, *quick, "fail", **own_lock)
        output = ended(refused)
        assert refused.returncode == 4, output
        assert "another run measures on this machine" in output
        assert not list(place.glob("others/runs/*"))
        interrupted = started(place, *quick, "wait", **own_lock)
        line = next(line for line in interrupted.stdout if "waiting until it has ended" in line)
        assert str(first.pid) in line
        interrupted.send_signal(signal.SIGINT)
        output = ended(interrupted)
        assert interrupted.returncode == 2, output
        assert "Traceback" not in output
        ignored = started(place, *quick, "ignore", **own_lock)
        output = ended(ignored)
        assert ignored.returncode == 0, output
        waiting = started(place, *quick, "wait", **own_lock)
        next(line for line in waiting.stdout if "waiting until it has ended" in line)
    finally:
        os.kill(first.pid, signal.SIGCONT)
        (place / "slow").unlink()
    output = ended(first)
    assert first.returncode == 0, output
    output = ended(waiting)
    assert waiting.returncode == 0, output


def test_a_complete_run_that_lacks_its_files_gets_them_by_a_resume(place):
    whole = started(place, "--grid", "small.toml", "--implementations", "numpy")
    output = ended(whole)
    assert whole.returncode == 0, output
    folder = run_of(place)
    before, table = (folder / journal.FILE).read_bytes(), (folder / "timings.csv").read_text()
    (folder / "timings.csv").unlink()
    (folder / "report.md").unlink()
    resumed = started(place, "--resume", folder.name)
    output = ended(resumed)
    assert resumed.returncode == 0, output
    assert (folder / journal.FILE).read_bytes() == before
    assert (folder / "timings.csv").read_text() == table
    assert (folder / "report.md").exists()
