"""Tests of real runs that are wait_for_end by signals, resumed after a change, or run beside others."""

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
"""A limit in seconds against hanging."""


@pytest.fixture
def cwd(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "small.toml").write_text(GRID)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def start(cwd, *options, **variables):
    command = (*RUN, *(options or ("--grid", "small.toml", "--implementations", "numpy,own:Net")))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=cwd, env=os.environ | variables, preexec_fn=signals.heard, **pipes)


def wait_for_end(process):
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return output


def wait_for(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert condition(), wait_for_end(process)


def run_of(cwd):
    [folder] = (cwd / "results" / "runs").iterdir()
    return folder


def blocks_of(cwd):
    return records_of(run_of(cwd), Block)


def is_measuring(cwd):
    return any(b'"Block"' in file.read_bytes() for file in cwd.glob("results/runs/*/journal.jsonl"))


def interrupted_run(cwd):
    """Start a run, end it midway by a signal, and return its folder."""
    (cwd / "slow").touch()
    process = start(cwd)
    wait_for(lambda: is_measuring(cwd), process)
    process.send_signal(signal.SIGTERM)
    output = wait_for_end(process)
    (cwd / "slow").unlink()
    assert process.returncode == 2, output
    assert 0 < len(blocks_of(cwd)) < 16
    return run_of(cwd)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_a_run_that_can_be_resumed(cwd, number):
    (cwd / "slow").touch()
    process = start(cwd)
    wait_for(lambda: is_measuring(cwd), process)
    process.send_signal(number)
    output = wait_for_end(process)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert f"go on with it by --resume {run_of(cwd).name}" in output
    assert {"timings.csv", "report.md", "samples.csv.gz"} <= {file.name for file in run_of(cwd).iterdir()}
    [run_ended] = records_of(run_of(cwd), RunEnded)
    assert not run_ended.complete
    (cwd / "slow").unlink()
    again = start(cwd, "--resume", run_of(cwd).name)
    output = wait_for_end(again)
    assert again.returncode == 0, output
    assert len(set(places(blocks_of(cwd)))) == len(blocks_of(cwd)) == 16


@pytest.mark.parametrize("seconds", [0.0, 0.02])
def test_thirty_signals_end_a_run_without_traceback_or_loss(cwd, seconds):
    (cwd / "slow").touch()
    process = start(cwd)
    wait_for(lambda: is_measuring(cwd), process)
    block_count = len(blocks_of(cwd))
    for number in range(30):
        if process.poll() is None:
            process.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[number % 3])
        time.sleep(seconds)
    output = wait_for_end(process)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert "Exception ignored" not in output
    assert len(blocks_of(cwd)) >= block_count
    assert len(records_of(run_of(cwd), RunEnded)) == 1


def test_a_run_under_nohup_survives_sighup(cwd):
    command = ("nohup", *RUN, "--grid", "small.toml", "--implementations", "numpy,own:Net")
    (cwd / "slow").touch()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, cwd=cwd, **pipes)
    wait_for(lambda: is_measuring(cwd), process)
    process.send_signal(signal.SIGHUP)
    (cwd / "slow").unlink()
    output = wait_for_end(process)
    assert process.returncode == 0, output
    assert len(blocks_of(cwd)) == 16


def test_interrupted_verification_leaves_no_temporary_folder(cwd):
    (cwd / "slow").touch()
    process = start(cwd, "--grid", "small.toml", "--implementations", "own:Net", "--benchmark-disable")
    wait_for((cwd / "begun").exists, process)
    process.send_signal(signal.SIGTERM)
    output = wait_for_end(process)
    assert process.returncode == 2, output
    assert "Traceback" not in output
    assert list((cwd / "temporary").iterdir()) == []
    assert not (cwd / "results").exists()


def test_resume_after_a_source_change_is_refused_or_verifies_again(cwd):
    folder = interrupted_run(cwd)
    journal_before = (folder / journal.FILE).read_bytes()
    (cwd / "own.py").write_text(WRONG)
    refused = start(cwd, "--resume", folder.name)
    output = wait_for_end(refused)
    assert refused.returncode == 4, output
    assert "the source of own:Net" in output
    assert "--resume-anyway" in output
    assert (folder / journal.FILE).read_bytes() == journal_before

    anyway = start(cwd, "--resume", folder.name, "--resume-anyway")
    output = wait_for_end(anyway)
    assert anyway.returncode == 1, output
    assert records_of(folder, RunResumed)[-1].changed == ["the source of own:Net"]
    table = (folder / "timings.csv").read_text()
    status = {(row["implementation"], row["phase"]): row["status"] for row in csv.DictReader(table.splitlines())}
    assert {status["own:Net", "forward"], status["own:Net", "step"]} == {"wrong"}
    assert {status["numpy", "forward"], status["numpy", "step"]} == {"ok"}
    assert "resumed after a change of the source of own:Net" in table
    assert "resumed after a change of the source of own:Net" in output
    assert "resumed after a change of the source of own:Net" in (folder / "report.md").read_text()


def test_a_second_run_is_refused_or_waits(cwd):
    own_lock = {lock.VARIABLE: str(cwd / "lock")}
    (cwd / "slow").touch()
    first = start(cwd, **own_lock)
    wait_for(lambda: is_measuring(cwd), first)
    os.kill(first.pid, signal.SIGSTOP)  # so that it does not end while the others are tried
    try:
        resumed = start(cwd, "--resume", run_of(cwd).name, **own_lock)
        output = wait_for_end(resumed)
        assert resumed.returncode == 4, output
        assert f"is being measured by another process (process {first.pid}" in output
        quick = ("--grid", "small.toml", "--implementations", "numpy", "--results", "others", "--when-busy")
        refused = start(cwd, *quick, "fail", **own_lock)
        output = wait_for_end(refused)
        assert refused.returncode == 4, output
        assert "another run measures on this machine" in output
        assert not list(cwd.glob("others/runs/*"))
        interrupted = start(cwd, *quick, "wait", **own_lock)
        line = next(line for line in interrupted.stdout if "waiting until it has ended" in line)
        assert str(first.pid) in line
        interrupted.send_signal(signal.SIGINT)
        output = wait_for_end(interrupted)
        assert interrupted.returncode == 2, output
        assert "Traceback" not in output
        ignored = start(cwd, *quick, "ignore", **own_lock)
        output = wait_for_end(ignored)
        assert ignored.returncode == 0, output
        waiting = start(cwd, *quick, "wait", **own_lock)
        next(line for line in waiting.stdout if "waiting until it has ended" in line)
    finally:
        os.kill(first.pid, signal.SIGCONT)
        (cwd / "slow").unlink()
    output = wait_for_end(first)
    assert first.returncode == 0, output
    output = wait_for_end(waiting)
    assert waiting.returncode == 0, output


def test_resume_restores_missing_files_of_a_complete_run(cwd):
    complete = start(cwd, "--grid", "small.toml", "--implementations", "numpy")
    output = wait_for_end(complete)
    assert complete.returncode == 0, output
    folder = run_of(cwd)
    journal_before, table = (folder / journal.FILE).read_bytes(), (folder / "timings.csv").read_text()
    (folder / "timings.csv").unlink()
    (folder / "report.md").unlink()
    resumed = start(cwd, "--resume", folder.name)
    output = wait_for_end(resumed)
    assert resumed.returncode == 0, output
    assert (folder / journal.FILE).read_bytes() == journal_before
    assert (folder / "timings.csv").read_text() == table
    assert (folder / "report.md").exists()
