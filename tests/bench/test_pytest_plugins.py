"""Tests of `pytest bench/` with other plugins' options: each works, or a line says what to use instead."""

from __future__ import annotations

import json
import sys

import pytest

from bench.measure.client import ROOT
from tests.bench.test_pytest_front import folder, run, timings_of

__all__ = ["folder"]
STEP = ("--phases", "step", "--passes", "1")
OPTION_OF_XDIST = """
def pytest_addoption(parser):
    parser.addoption("--numprocesses", type=int)
    parser.addoption("--dist", default="no")

def pytest_cmdline_main(config):
    if config.option.numprocesses:
        config.option.dist = "load"
"""
"""The part of pytest-xdist that other plugins see."""
LIMIT_OF_A_TEST = """
import pytest

class Hooks:
    @pytest.hookspec(firstresult=True)
    def pytest_timeout_set_timer(item, settings): ...

class Settings:
    timeout = 0.001

def pytest_addhooks(pluginmanager):
    pluginmanager.add_hookspecs(Hooks)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if item.config.hook.pytest_timeout_set_timer(item=item, settings=Settings) is None:
        item.session.shouldfail = "a timer was set"
    return (yield)
"""
"""The call of pytest-timeout that sets its timer."""


def assert_refused(folder, result, line):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {line}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not (folder.path / "results").exists()


@pytest.mark.parametrize("given", ["option", "environment"])
def test_distributing_benchmarks_over_processes_is_refused(folder, monkeypatch, given):
    folder.makepyfile(distributing=OPTION_OF_XDIST)
    if given == "environment":
        monkeypatch.setenv("PYTEST_ADDOPTS", "--numprocesses 2")
    result = run(
        folder, "-p", "no:xdist", "-p", "distributing", *STEP, *(("--numprocesses", "2") if given == "option" else ())
    )
    assert_refused(folder, result, "-n, --dist: * add -n 0")


def test_pytest_xdist_itself_is_refused(folder):
    pytest.importorskip("xdist")
    assert_refused(folder, run(folder, *STEP, "-n", "2"), "-n, --dist: * add -n 0")


def test_distributing_is_accepted_for_no_processes_or_collection(folder):
    folder.makepyfile(distributing=OPTION_OF_XDIST)
    run(
        folder, "-p", "no:xdist", "-p", "distributing", *STEP, "--numprocesses", "0", implementations="numpy"
    ).assert_outcomes(passed=1)
    collected = run(
        folder,
        "-p",
        "no:xdist",
        "-p",
        "distributing",
        *STEP,
        "--numprocesses",
        "2",
        "--collect-only",
        "-q",
        implementations="numpy",
    )
    assert collected.ret == 0


def test_profiling_is_refused(folder):
    assert_refused(folder, run(folder, *STEP, "--benchmark-cprofile", "tottime"), "--benchmark-cprofile: *leave it out")


def test_missing_pytest_benchmark_is_one_line(folder):
    folder.makefile(".ini", empty="[pytest]")
    result = folder.run(
        *(sys.executable, "-m", "pytest", "-p", "no:benchmark", "--import-mode=importlib"),
        *("--rootdir", str(ROOT), "-c", "empty.ini", str(ROOT / "bench")),
    )
    assert_refused(folder, result, "pytest-benchmark: the benchmarks need this plugin, *")


def test_reenabled_benchmarks_are_measured(folder):
    result = run(folder, *STEP, "--benchmark-disable", "--benchmark-enable", "--benchmark-json", "out.json")
    result.assert_outcomes(passed=2)
    benchmarks = json.loads((folder.path / "out.json").read_text())["benchmarks"]
    assert all(min(benchmark["stats"]["data"]) > 0 for benchmark in benchmarks)
    assert set(timings_of(folder)["status"]) == {"ok"}


def test_the_table_is_shown_despite_a_pytest_benchmark_regression(folder):
    run(folder, *STEP, "--benchmark-save", "first", implementations="numpy")
    [saved] = (folder.path / ".benchmarks").rglob("*_first.json")
    faster = json.loads(saved.read_text())
    for name in ("min", "median"):
        faster["benchmarks"][0]["stats"][name] = 1e-12
    saved.write_text(json.dumps(faster))
    options = ("--benchmark-compare", "0001", "--benchmark-compare-fail", "min:1%")
    result = run(folder, *STEP, *options, implementations="numpy")
    assert result.ret != 0
    result.stdout.fnmatch_lines("*speed-ups are over numpy")
    result.stdout.fnmatch_lines("report *results/runs/*-tiny/report.md")
    assert "Performance has regressed" in result.stdout.str() + result.stderr.str()


def test_a_plugin_failing_at_the_end_costs_no_results(folder):
    folder.makepyfile(failing="def pytest_sessionfinish():\n    raise RuntimeError('no end')\n")
    result = run(folder, "-p", "failing", *STEP, implementations="numpy")
    assert "no end" in result.stdout.str() + result.stderr.str()
    assert timings_of(folder)["status"].tolist() == ["ok"]
    assert (folder.path / "results" / "report.md").exists()


def test_a_tests_time_limit_is_not_applied_to_benchmarks(folder):
    folder.makepyfile(limiting=LIMIT_OF_A_TEST)
    result = run(folder, "-p", "limiting", *STEP, "-q")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        "timeout   pytest-timeout's limit of 0.001 s is not applied *use --cell-timeout (120 s*"
    )


def test_pytest_timeout_itself_sets_no_timer(folder):
    pytest.importorskip("pytest_timeout")
    result = run(folder, *STEP, "--timeout", "0.01")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines("timeout   pytest-timeout's limit of 0.01 s *")


def test_an_ascii_terminal_gets_ascii_characters(folder, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = run(folder, *STEP, "--passes", "2", implementations="numpy")
    assert result.ret == 0
    result.stdout.fnmatch_lines("relubench: grid tiny, 1 contenders x 1 shapes, *")
    result.stdout.fnmatch_lines("numpy * us +/- *")


def test_an_unwritable_results_folder_is_refused_in_one_line(folder):
    (folder.path / "file").write_text("")
    result = run(folder, *STEP, "--results", "file/below")
    assert_refused(folder, result, "--results: cannot write to file/below: Not a directory; *")
