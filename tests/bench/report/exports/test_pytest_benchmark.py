"""The export for pytest-benchmark, checked with pytest-benchmark itself."""

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
    process = compare(tmp_path, "run.json", "--csv", "out.csv", "--columns", "median,iqr,rounds", "--sort", "name")
    assert process.returncode == 0, process.stderr
    assert "Failed to load" not in process.stdout + process.stderr
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        rows = {row["name"].partition("::")[2]: row for row in csv.DictReader(file)}
    assert rows.keys() == {f"test_{key}" for key in timed(run)}
    for measured in run.timed():
        row = rows[f"test_{measured.cell.key}"]
        assert float(row["median"]) == pytest.approx(statistics.median(measured.pooled()))
        assert int(row["rounds"]) == measured.row["samples"]


def test_compare_reads_two_exported_runs(tmp_path):
    write(tmp_path / "base.json", exported())
    slower = Story(story().plan, lambda cell, pass_number: 0.002, story().outcomes)
    write(tmp_path / "head.json", exported(slower))
    process = compare(tmp_path, "base.json", "head.json", "--between", "median")
    assert process.returncode == 0, process.stderr
    assert "ERROR" not in process.stdout
    assert "test_step[numpy-cpu-float32-N64-D1000-H100]" in process.stdout


def test_compare_groups_by_the_parameters_of_the_benchmarks(tmp_path):
    write(tmp_path / "run.json", exported())
    process = compare(tmp_path, "run.json", "--group-by", "func,param:N,param:implementation")
    assert process.returncode == 0, process.stderr
    assert "test_step N=64 implementation=numpy" in process.stdout


def test_json_equals_that_of_pytest_benchmark(pytester):
    """Compare keys and statistics with those of a test that takes exactly the samples of a cell."""
    measured = exported(Story(plan_of_cells())).timed()[0]
    pytester.makepyfile(
        f"""
        import pytest
        SAMPLES = {measured.pooled()!r}

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
    process = pytester.runpytest_subprocess("--benchmark-json=native.json", "-p", "no:cacheprovider")
    process.assert_outcomes(passed=1)
    native = json.loads((pytester.path / "native.json").read_text())
    exported_json = json.loads(pytest_benchmark.text(exported(Story(plan_of_cells()))))
    assert exported_json.keys() == native.keys()
    assert exported_json["benchmarks"][0].keys() == native["benchmarks"][0].keys()
    assert exported_json["benchmarks"][0]["stats"] == native["benchmarks"][0]["stats"]
    assert exported_json["commit_info"].keys() <= native["commit_info"].keys() | {"error"}
    assert exported_json["machine_info"].keys() <= native["machine_info"].keys()
    assert exported_json["version"] == native["version"]
