"""`pytest bench/` with options of other plugins: each works, or one line says what to use instead."""

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
"""As far as it is seen by other plugins."""
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
"""As pytest-timeout asks for its timer."""


def is_refused(folder, result, line):
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
    is_refused(folder, result, "-n, --dist: * add -n 0")


def test_pytest_xdist_itself_is_refused(folder):
    pytest.importorskip("xdist")
    is_refused(folder, run(folder, *STEP, "-n", "2"), "-n, --dist: * add -n 0")


def test_distributing_over_no_processes_or_a_collection_is_fine(folder):
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


def test_a_profile_of_replayed_samples_is_refused(folder):
    is_refused(folder, run(folder, *STEP, "--benchmark-cprofile", "tottime"), "--benchmark-cprofile: *leave it out")


def test_without_pytest_benchmark_one_line_says_what_is_missing(folder):
    folder.makefile(".ini", empty="[pytest]")
    result = folder.run(
        *(sys.executable, "-m", "pytest", "-p", "no:benchmark", "--import-mode=importlib"),
        *("--rootdir", str(ROOT), "-c", "empty.ini", str(ROOT / "bench")),
    )
    is_refused(folder, result, "pytest-benchmark: the benchmarks need this plugin, *")


def test_benchmarks_that_are_disabled_and_enabled_again_are_measured(folder):
    result = run(folder, *STEP, "--benchmark-disable", "--benchmark-enable", "--benchmark-json", "out.json")
    result.assert_outcomes(passed=2)
    found = json.loads((folder.path / "out.json").read_text())["benchmarks"]
    assert all(min(one["stats"]["data"]) > 0 for one in found)
    assert set(timings_of(folder)["status"]) == {"ok"}


def test_a_regression_by_pytest_benchmark_s_own_measure_leaves_the_table_in_sight(folder):
    run(folder, *STEP, "--benchmark-save", "first", implementations="numpy")
    [saved] = (folder.path / ".benchmarks").rglob("*_first.json")
    faster = json.loads(saved.read_text())
    for name in ("min", "median"):
        faster["benchmarks"][0]["stats"][name] = 1e-12
    saved.write_text(json.dumps(faster))
    options = ("--benchmark-compare", "0001", "--benchmark-compare-fail", "min:1%")
    result = run(folder, *STEP, *options, implementations="numpy")
    assert result.ret != 0
    result.stdout.fnmatch_lines("*speed-up over numpy*")
    result.stdout.fnmatch_lines("report *results/runs/*-tiny/report.md")
    assert "Performance has regressed" in result.stdout.str() + result.stderr.str()


def test_another_plugin_that_fails_at_the_end_costs_no_results(folder):
    folder.makepyfile(failing="def pytest_sessionfinish():\n    raise RuntimeError('no end')\n")
    result = run(folder, "-p", "failing", *STEP, implementations="numpy")
    assert "no end" in result.stdout.str() + result.stderr.str()
    assert timings_of(folder)["status"].tolist() == ["ok"]
    assert (folder.path / "results" / "report.md").exists()


def test_a_limit_for_a_test_is_not_applied_to_what_is_measured_in_the_first_one(folder):
    folder.makepyfile(limiting=LIMIT_OF_A_TEST)
    result = run(folder, "-p", "limiting", *STEP, "-q")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        "timeout   pytest-timeout's limit of 0.001 s is not applied *use --cell-timeout (120 s*"
    )


def test_pytest_timeout_itself_sets_no_limit(folder):
    pytest.importorskip("pytest_timeout")
    result = run(folder, *STEP, "--timeout", "0.01")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines("timeout   pytest-timeout's limit of 0.01 s *")


def test_an_ascii_terminal_is_written_to_in_other_characters(folder, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = run(folder, *STEP, implementations="numpy")
    assert result.ret == 0
    result.stdout.fnmatch_lines("relubench: grid tiny, 1 contenders x 1 shapes, *")
    result.stdout.fnmatch_lines("numpy * us +/- *")


def test_results_that_cannot_be_written_are_one_line_before_anything_is_measured(folder):
    (folder.path / "file").write_text("")
    result = run(folder, *STEP, "--results", "file/below")
    is_refused(folder, result, "--results: cannot write to file/below: Not a directory; *")
