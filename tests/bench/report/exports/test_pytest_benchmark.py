"""Against pytest-benchmark itself."""

import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report.exports import cells, pytest_benchmark
from tests.bench.made import Story, plan_of_cells, story
from tests.bench.report.exports.exported import exported, timed


def compare(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest_benchmark", "--storage", "saved", "compare", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def write(path: Path, run: cells.Exported) -> Path:
    path.write_text(pytest_benchmark.text(run), encoding="utf-8")
    return path


def test_compare_shows_every_timed_cell(tmp_path):
    run = exported()
    write(tmp_path / "run.json", run)
    done = compare(tmp_path, "run.json", "--csv", "out.csv", "--columns", "median,iqr,rounds", "--sort", "name")
    assert done.returncode == 0, done.stderr
    assert "Failed to load" not in done.stdout + done.stderr
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        rows = {row["name"].partition("::")[2]: row for row in csv.DictReader(file)}
    assert rows.keys() == {f"test_{key}" for key in timed(run)}
    for one in run.timed():
        row = rows[f"test_{one.cell.key}"]
        assert float(row["median"]) == pytest.approx(statistics.median(one.pooled()))
        assert int(row["rounds"]) == one.row["samples"]


def test_compare_sets_two_exported_runs_beside_each_other(tmp_path):
    write(tmp_path / "base.json", exported())
    slower = Story(story().plan, lambda cell, pass_number: 0.002, story().outcomes)
    write(tmp_path / "head.json", exported(slower))
    done = compare(tmp_path, "base.json", "head.json", "--between", "median")
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stdout
    assert "test_step[numpy-cpu-float32-N64-D1000-H100]" in done.stdout


def test_compare_groups_by_the_parameters_of_the_benchmarks(tmp_path):
    write(tmp_path / "run.json", exported())
    done = compare(tmp_path, "run.json", "--group-by", "func,param:N,param:implementation")
    assert done.returncode == 0, done.stderr
    assert "test_step N=64 implementation=numpy" in done.stdout


def test_the_json_has_what_pytest_benchmark_s_own_has(pytester):
    """Keys and statistics, from a test that takes exactly the samples of a cell."""
    one = exported(Story(plan_of_cells())).timed()[0]
    pytester.makepyfile(
        f"""
        import pytest
        SAMPLES = {one.pooled()!r}

        class Clock:
            now, following = 0.0, iter(SAMPLES)
            def __call__(self):
                return self.now
            def reset(self):
                self.now = 0.0
            def advance(self):
                self.now = next(self.following)

        CLOCK = Clock()

        @pytest.mark.benchmark(timer=CLOCK)
        @pytest.mark.parametrize("N", [64])
        def test_step(benchmark, N):
            benchmark.pedantic(CLOCK.advance, setup=CLOCK.reset, rounds=len(SAMPLES))
        """
    )
    done = pytester.runpytest_subprocess("--benchmark-json=own.json", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1)
    own = json.loads((pytester.path / "own.json").read_text())
    ours = json.loads(pytest_benchmark.text(exported(Story(plan_of_cells()))))
    assert ours.keys() == own.keys()
    assert ours["benchmarks"][0].keys() == own["benchmarks"][0].keys()
    assert ours["benchmarks"][0]["stats"] == own["benchmarks"][0]["stats"]
    assert ours["commit_info"].keys() <= own["commit_info"].keys() | {"error"}
    assert ours["machine_info"].keys() <= own["machine_info"].keys()
    assert ours["version"] == own["version"]
