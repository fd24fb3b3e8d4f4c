"""Tests of `pytest bench/` in real processes, on a minimal grid."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time

import pandas as pd
import pytest

from bench.analyse.run import csvfiles, loading
from bench.measure import journal
from bench.measure.client import ROOT
from bench.measure.records import Block, Ceiling, PassChosen, RunEnded, RunResumed, RunStarted, WorkerStarted
from bench.plan.cells import PHASES
from tests.bench.fakes import places, records_of

TESTS = ROOT / "bench" / "test_two_layer_net.py"
PYTEST = (sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider")
TINY = """
N = [4]
D_in = [5]
H = [3]
D_out = [2]
device = ["cpu"]
passes = 2
rounds = 1
samples = 2
steps = 2
ceilings = false
"""
OWN = '''
import os, time
from implementations.numpy_ import Net as Numpy


class Net(Numpy):
    """A user's own class."""


class Wrong(Numpy):
    def backward(self):
        super().backward()
        self.grad_w1 = 2 * self.grad_w1


class Crashing(Numpy):
    def forward(self):
        os._exit(3)


class Hanging(Numpy):
    def forward(self):
        time.sleep(600)


class Failing(Numpy):
    def update(self):
        raise ValueError("no update today")
'''
WATCH = """
import sys

def pytest_unconfigure(config):
    with open("imported.txt", "w") as file:
        file.write(" ".join(sorted({"torch", "jax", "cupy", "pandas"} & sys.modules.keys())))
"""
SHAPE = "cpu-float32-N4-D5-H3-O2"


@pytest.fixture
def folder(pytester, monkeypatch):
    """Return a pytester whose folder has a tiny grid, users' classes and a plugin that records imports."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # these tests may themselves be run by pytest-xdist
    pytester.makefile(".toml", tiny=TINY)
    pytester.makepyfile(own=OWN, watch=WATCH)
    return pytester


def run(folder, *arguments, tests=(str(ROOT / "bench"),), implementations="numpy,own:Net"):
    """Run pytest on the benchmarks with the tiny grid."""
    options = ("--grid", "tiny.toml", "--implementations", implementations, "--seed", "1")
    return folder.run(*PYTEST, "-p", "watch", *tests, *options, *arguments)


def timings_of(folder):
    return loading.load_run(folder.path / "results").timings


def measured_cells(folder):
    """Return (phase, implementation) of the newest run's rows, all of which have a time."""
    timings = pd.read_csv(folder.path / "results" / "timings.csv")
    assert set(timings["status"]) == {"ok"}
    assert (timings["seconds"] > 0).all()
    return set(zip(timings["phase"], timings["implementation"], strict=True))


def test_pytest_its_json_and_the_results_agree(folder):
    result = run(folder, "-v", "--benchmark-json", "out.json", "--benchmark-autosave")
    assert result.ret == 0
    result.assert_outcomes(passed=10)
    for phase in PHASES:
        for name in ("numpy", "own:Net"):
            result.stdout.fnmatch_lines(f"*::test_{phase}[[]{name}-{SHAPE}[]] PASSED*")
    result.stdout.fnmatch_lines("relubench: grid tiny, 2 contenders × 1 shapes, 10 cells, 2 passes, seed 1")
    result.stdout.fnmatch_lines("*speed-ups are over numpy")
    result.stdout.fnmatch_lines("report *results/runs/*-tiny/report.md")
    result.stdout.no_fnmatch_line("*Warning*")

    [run_folder] = (folder.path / "results" / "runs").iterdir()
    names = {path.name for path in run_folder.iterdir()}
    assert names == {"journal.jsonl", "run.json", "timings.csv", "samples.csv.gz", "report.md", "logs"}
    for name in ("timings.csv", "report.md"):
        assert (folder.path / "results" / name).read_bytes() == (run_folder / name).read_bytes()
    starts = records_of(run_folder, WorkerStarted)
    assert [start.number for start in starts] == [1, 2, 3, 4]
    assert [start.pass_number for start in starts] == [1, 1, 2, 2]
    blocks = records_of(run_folder, Block)
    assert len(blocks) == len(set(places(blocks))) == 20

    benchmarks = json.loads((folder.path / "out.json").read_text())["benchmarks"]
    assert len(benchmarks) == 10
    timings = timings_of(folder).set_index(["phase", "implementation"])
    assert set(timings["status"]) == {"ok"}
    for benchmark in benchmarks:
        key = benchmark["name"].removeprefix("test_")
        seconds = [second for block in blocks if block.cell == key for second in block.seconds]
        assert benchmark["stats"]["data"] == seconds, "bit for bit"
        assert benchmark["params"]["N"] == 4
        row = timings.loc[key.partition("[")[0], benchmark["params"]["implementation"]]
        assert benchmark["extra_info"]["run"] == run_folder.name
        assert benchmark["extra_info"]["seconds"] == pytest.approx(row["seconds"])
        assert row["samples"] == len(seconds) == 4
    samples = csvfiles.read(run_folder / "samples.csv.gz")
    assert [*map(float, samples["seconds"])] == [second for block in blocks for second in block.seconds]

    node = f"{TESTS}::test_step[own:Net-{SHAPE}]"
    again = run(folder, "--benchmark-compare", "--benchmark-group-by=param:N", tests=(node,))
    again.assert_outcomes(passed=1)
    again.stdout.fnmatch_lines("*benchmark 'N=4': 2 tests*")
    again.stdout.fnmatch_lines("*test_step*(NOW)*")
    again.stdout.fnmatch_lines("*test_step*(0001_*")
    assert measured_cells(folder) == {("step", "own:Net")}
    assert len(list((folder.path / "results" / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "tests", "cells"),
    [
        (["-k", "(step or train) and numpy"], (), {("step", "numpy"), ("train", "numpy")}),
        (
            ["-m", "forward or (update and own_Net)"],
            (),
            {("forward", "numpy"), ("forward", "own:Net"), ("update", "own:Net")},
        ),
        (
            [],
            (f"{TESTS}::test_backward", f"{TESTS}::test_step[numpy-{SHAPE}]"),
            {("backward", "numpy"), ("backward", "own:Net"), ("step", "numpy")},
        ),
    ],
    ids=["-k", "-m", "node"],
)
def test_only_selected_cells_are_measured(folder, arguments, tests, cells):
    result = run(folder, *arguments, tests=tests or (str(ROOT / "bench"),))
    result.assert_outcomes(passed=len(cells), deselected=0 if tests else 10 - len(cells))
    assert measured_cells(folder) == cells


def test_collecting_measures_nothing_and_imports_no_backend(folder):
    options = ("--collect-only", "-q", "--benchmark-disable-gc")
    result = folder.run(*PYTEST, "-p", "watch", str(ROOT / "bench"), "--grid", "full", *options)
    assert result.ret == 0
    ids = [line for line in result.outlines if "::test_" in line]
    assert len(ids) == len(set(ids)) > 100
    for name in ("numpy", "torch", "jax", "cupy"):
        assert any(f"[{name}-" in test_id for test_id in ids)
    assert not any("[numpy-cuda" in test_id for test_id in ids)
    assert (folder.path / "imported.txt").read_text() == ""
    assert not (folder.path / "results").exists()


def test_an_unsupported_device_is_a_row_only_if_requested_by_name(folder):
    collect = ("--collect-only", "-q", "--devices", "cpu,cuda", "--phases", "step")
    collected = folder.run(*PYTEST, str(ROOT / "bench"), "--grid", "smoke", *collect)
    assert "test_step[torch-cuda-float32" in collected.stdout.str()
    assert "test_step[numpy-cpu-float32" in collected.stdout.str()
    assert "numpy-cuda" not in collected.stdout.str()
    result = run(folder, "--devices", "cpu,cuda", "--phases", "step", "-rs", implementations="numpy")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines("SKIPPED*unsupported: numpy runs on cpu only, not on cuda")
    timings = timings_of(folder)
    assert timings["status"].tolist() == ["ok", "unsupported"]
    assert (
        timings["reason"].tolist()[1] == "numpy runs on cpu only, not on cuda"
    )  # the reason of the first may be that it is unsteady


def test_auto_passes_are_five_for_a_single_contender(folder):
    options = ("--phases", "step", "--passes", "auto", "--time-budget", "1m", "--min-effect", "3%")
    result = run(folder, *options, implementations="numpy")
    assert result.ret == 0
    result.stdout.fnmatch_lines("relubench: grid tiny, *, 5 passes or more within 60 s, seed 1")
    result.stdout.fnmatch_lines("5 passes, then all cells are decided or precise enough (*")
    [run_folder] = (folder.path / "results" / "runs").iterdir()
    assert {block.pass_number for block in records_of(run_folder, Block)} == {1, 2, 3, 4, 5}
    assert [record.pass_number for record in records_of(run_folder, PassChosen)] == [1, 2, 3, 4, 5]
    assert records_of(run_folder, RunEnded)[0].reason
    assert "wholly beyond (or within) 3 %" in (run_folder / "report.md").read_text()


def test_numpy_measures_the_ceilings_of_a_class_of_someone_s_own(folder):
    result = run(folder, "-k", "step", "--passes", "1", "--ceilings", "yes", implementations="own:Net")
    assert result.ret == 0
    [run_folder] = (folder.path / "results" / "runs").iterdir()
    [ceiling] = records_of(run_folder, Ceiling)
    assert (ceiling.contender, ceiling.reason) == ("numpy-cpu-float32", "")
    assert ceiling.products
    [fraction] = timings_of(folder)["ceiling_fraction"]
    assert 0 < fraction < 1.05
    assert set(timings_of(folder)["bound"]) <= {"call", "overhead"}


def test_failures_do_not_affect_other_contenders(folder):
    implementations = "numpy,cupy,own:Wrong,own:Crashing,own:Hanging,own:Failing"
    arguments = ("--phases", "forward,step", "--devices", "auto", "--cell-timeout", "3", "--passes", "1")
    result = run(folder, *arguments, "-rs", "--benchmark-json", "out.json", implementations=implementations)
    assert result.ret == 1
    result.assert_outcomes(passed=2, skipped=2, failed=8)
    result.stdout.fnmatch_lines("SKIPPED*unavailable: CuPy is not installed*")
    result.stdout.fnmatch_lines("wrong: gradient of w1: error *, tolerance *")
    result.stdout.fnmatch_lines("crashed: the worker process exited with status 3; see *.log")
    result.stdout.fnmatch_lines("timeout: no answer within 3 s")
    result.stdout.fnmatch_lines("crashed: ValueError: no update today (*own.py:*")
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*not used at all*")
    benchmarks = json.loads((folder.path / "out.json").read_text())["benchmarks"]
    assert {benchmark["params"]["implementation"] for benchmark in benchmarks} == {"numpy"}
    timings = timings_of(folder)
    statuses = timings.groupby("implementation", observed=True)["status"].agg(set).to_dict()
    assert statuses == {
        "numpy": {"ok"},
        "cupy": {"unavailable"},
        "own:Wrong": {"wrong"},
        "own:Crashing": {"crashed"},
        "own:Hanging": {"timeout"},
        "own:Failing": {"crashed"},
    }
    assert len(timings) == 12
    untimed = timings[timings["status"] != "ok"]
    assert untimed[["seconds", "speedup", "gflops"]].isna().all(axis=None)
    assert untimed["reason"].str.len().min() > 0
    wrong = timings[timings["status"] == "wrong"]
    assert (wrong["error"] > wrong["tolerance"]).all()
    output = result.stdout.str()
    assert "Not timed:" in output
    assert "own:Wrong: wrong, gradient of w1" in output
    logs = [path.name for path in (folder.path / "results" / "runs").glob("*/logs/*")]
    assert len(logs) == 6


def test_disabled_benchmarks_are_verified_and_write_nothing(folder):
    result = run(folder, "--benchmark-disable", "--phases", "forward,step", implementations="numpy,own:Wrong")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines("wrong: gradient of w1: error *, tolerance *")
    assert not (folder.path / "results").exists()
    skipped = run(folder, "--benchmark-skip")
    skipped.assert_outcomes(skipped=10)
    assert not (folder.path / "results").exists()


def test_a_killed_run_is_resumed_and_completed(folder):
    command = (*PYTEST, str(ROOT / "bench"), "--grid", "tiny.toml", "--implementations", "numpy,own:Net")
    log = folder.path / "killed.log"
    with log.open("wb") as output:
        killed = subprocess.Popen(command, cwd=folder.path, stdout=output, stderr=output)
    try:
        wait_for(lambda: len(blocks_so_far(folder)) >= 6 or killed.poll() is not None)
        assert killed.poll() is None, log.read_text()
    finally:
        killed.kill()
        killed.wait()
    [run_folder] = (folder.path / "results" / "runs").iterdir()
    text = run_folder.joinpath(journal.FILE).read_text()
    assert '"RunEnded"' not in text
    complete_lines = text[: text.rindex("\n") + 1]
    assert 6 <= len(blocks_so_far(folder)) < 20

    resumed = folder.run(*PYTEST, str(ROOT / "bench"), "--resume", run_folder.name)
    resumed.assert_outcomes(passed=10)
    assert run_folder.joinpath(journal.FILE).read_text().startswith(complete_lines)
    blocks = records_of(run_folder, Block)
    assert len(blocks) == len(set(places(blocks))) == 20
    assert [len(records_of(run_folder, kind)) for kind in (RunStarted, RunResumed, RunEnded)] == [1, 1, 1]
    assert set(timings_of(folder)["passes"]) == {2}
    assert len(measured_cells(folder)) == 10
    assert len(list((folder.path / "results" / "runs").iterdir())) == 1

    complete = folder.run(*PYTEST, str(ROOT / "bench"), "--resume", run_folder.name)
    assert complete.ret == 4
    assert "is complete; there is nothing to go on with" in complete.stderr.str()


def blocks_so_far(folder):
    """Return the blocks in the journal of the only run; none before it exists."""
    for path in (folder.path / "results" / "runs").glob(f"*/{journal.FILE}"):
        if "\n" in path.read_text():
            return records_of(path.parent, Block)
    return []


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(("quiet", "is_shown"), [((), True), (("-q",), False)], ids=["normal", "quiet"])
def test_progress_is_shown_on_a_terminal_unless_quiet(folder, quiet, is_shown):
    options = ("--grid", "tiny.toml", "--implementations", "numpy", "--phases", "step", "--passes", "1", *quiet)
    text = on_a_terminal((*PYTEST, str(ROOT / "bench"), *options), folder.path)
    assert "1 passed" in text
    assert ("pass 1/1" in text) is is_shown


def on_a_terminal(command, cwd):
    """Return what a command writes to a terminal of its own."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal, env=environment):
        os.close(terminal)
        written = b""
        while True:
            try:
                chunk = os.read(controller, 1 << 16)
            except OSError:  # the terminal's other end is closed
                break
            if not chunk:
                break
            written += chunk
    os.close(controller)
    return written.decode()
