"""The tree for asv, checked with asv's own commands where it is installed."""

import json
import math
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.report.exports import asv
from bench.report.exports.commits import Commit, find
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells, settled, story, write_journal
from tests.bench.report.exports.exported import exported

BASE = Commit("a" * 40, 1_700_000_000_000)
MACHINE = "Model-Processor-2"
STEP = "two_layer_net.time_step"


def results_of(texts: dict[str, str]) -> dict:
    return json.loads(next(text for name, text in texts.items() if name.startswith(f"{MACHINE}/a")))


def column(texts: dict[str, str], name: str, benchmark: str = STEP) -> list:
    results = results_of(texts)
    return dict(zip(results["result_columns"], results["results"][benchmark], strict=True))[name]


def test_tree_has_the_files_that_asv_reads():
    environment = "relubench-py3.11-numpy1.2.3-torch1.2.3"
    assert {*asv.files(exported(), BASE, {})} == {
        "benchmarks.json",
        f"{MACHINE}/machine.json",
        f"{MACHINE}/aaaaaaaa-{environment}.json",
    }


def test_long_environment_is_named_by_its_hash():
    many = {f"backend{number}": "1.2.3" for number in range(12)}
    name = asv._shortened(asv._environment("3.11", many))
    assert name.startswith("env-")
    assert len(name) == 4 + 32


def test_failed_cells_are_null_and_skipped_ones_nan():
    times = dict(
        zip(product(*column(texts := asv.files(exported(), BASE, {}), "params")), column(texts, "result"), strict=True)
    )
    for measured in exported().cells:
        if measured.cell.phase == "step":
            seconds = times[repr(measured.cell.contender.label), repr(str(measured.cell.shape))]
            status = "wrong" if seconds is None else "unavailable" if math.isnan(seconds) else "ok"
            assert status == measured.row["status"]
    assert len(times) == 6


def test_samples_are_passes_and_intervals_are_wider():
    run = exported(Story(plan_of_cells([NUMPY])))
    texts, row = asv.files(run, BASE, {}), run.cells[0].row
    assert column(texts, "samples") == [run.cells[0].per_pass()]
    assert column(texts, "stats_repeat") == [5]
    assert column(texts, "result") == [row["seconds"]]
    assert column(texts, "stats_ci_99_a")[0] < row["seconds_low"]
    assert column(texts, "stats_ci_99_b")[0] > row["seconds_high"]


def test_adaptive_run_has_wider_intervals():
    fixed = asv.files(exported(Story(plan_of_cells([NUMPY], passes=7))), BASE, {})
    adaptive = asv.files(exported(Story(plan_of_cells([NUMPY], passes=7, time_budget=60.0))), BASE, {})
    assert column(adaptive, "stats_ci_99_b")[0] > column(fixed, "stats_ci_99_b")[0]


def test_single_pass_has_an_infinite_interval():
    texts = asv.files(exported(Story(plan_of_cells([NUMPY], passes=1))), BASE, {})
    assert column(texts, "stats_ci_99_a") == [-math.inf]
    assert column(texts, "stats_ci_99_b") == [math.inf]


def test_other_benchmarks_of_the_tree_are_kept():
    first = asv.files(exported(Story(plan_of_cells([NUMPY, TORCH], [SMALL]))), BASE, {})
    known = asv.read_benchmarks(first["benchmarks.json"], "benchmarks.json")
    known["own.time_other"] = {"name": "own.time_other", "params": [], "param_names": []}
    again = json.loads(
        asv.files(exported(Story(plan_of_cells([NUMPY], [LARGE], ["forward"]))), BASE, known)["benchmarks.json"]
    )
    assert {*again} == {"own.time_other", STEP, "two_layer_net.time_forward", "version"}
    assert again[STEP]["params"] == [
        ["'numpy-cpu-float32'", "'torch-cpu-float32'"],
        ["'N64-D1000-H100'"],
    ]
    wider = json.loads(asv.files(exported(Story(plan_of_cells([NUMPY], [LARGE]))), BASE, known)["benchmarks.json"])
    assert wider[STEP]["params"][1] == ["'N64-D1000-H100'", "'N512-D1000-H100'"]


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"version": 1}', f'{{"version": 2, "{STEP}": {{"params": [["x"]]}}}}']
)
def test_invalid_list_of_benchmarks_is_refused(text):
    with pytest.raises(ValueError, match=r"^tree/benchmarks\.json: "):
        asv.read_benchmarks(text, "tree/benchmarks.json")


# The tests below use a repository of their own and asv's commands.


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    process = subprocess.run(
        ["git", "-C", str(repository), *identity, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return process.stdout.strip()


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A repository with two commits, `base` and `head`, and asv's configuration beside it."""
    repository = tmp_path / "project"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    for name in ("base", "head"):
        git(repository, "commit", "--quiet", "--allow-empty", "-m", name)
        git(repository, "tag", name)
    configuration = {
        "version": 1,
        "project": "made",
        "project_url": "#",
        "repo": str(repository),
        "branches": ["main"],
        "results_dir": str(tmp_path / "tree"),
        "html_dir": str(tmp_path / "html"),
    }
    (tmp_path / "asv.conf.json").write_text(json.dumps(configuration))
    monkeypatch.chdir(repository)
    return tmp_path


def export(project: Path, story: Story, commit: str) -> None:
    folder = write_journal(project / "runs" / commit, story.records())
    arguments = ["export", str(folder), "--format", "asv", "--output", str(project / "tree"), "--commit", commit]
    assert main(arguments) == 0


def run_asv(project: Path, *arguments: str) -> str:
    pytest.importorskip("asv")
    environment = {**os.environ, "HOME": str(project), "COLUMNS": "200"}
    process = subprocess.run(
        [sys.executable, "-m", "asv", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


def twice_as_slow(cell, pass_number):
    return settled(cell, pass_number) * (2 if cell.contender == TORCH else 1)


def test_asv_compare_finds_only_the_slower_cells(project):
    export(project, story(), "base")
    export(project, story(seconds=twice_as_slow), "head")
    lines = run_asv(project, "compare", "base", "head").splitlines()
    table = {line.rpartition("time_")[2].rstrip(" |"): line.split("|")[1:5] for line in lines if "time_" in line}
    shape = "'N64-D1000-H100'"
    assert table[f"step('torch-cpu-float32', {shape})"][0].strip() == "+"
    assert float(table[f"step('torch-cpu-float32', {shape})"][3]) == 2.0
    assert table[f"step('numpy-cpu-float32', {shape})"][0].strip() == ""
    assert sum(cells[0].strip() == "+" for cells in table.values()) == 2
    assert len(table) == len(story().plan.cells)


def test_asv_compare_marks_failed_cells(project):
    plan = plan_of_cells([NUMPY, TORCH])
    wrong = {cell: Outcome("wrong", "off") for cell in plan.cells if cell.contender == TORCH}
    export(project, Story(plan), "base")
    export(project, Story(plan, outcomes=wrong), "head")
    marked = [line for line in run_asv(project, "compare", "base", "head").splitlines() if "torch" in line]
    assert [line.split("|")[1].strip() for line in marked] == ["!"]
    assert "failed" in marked[0]


def test_asv_publish_makes_graphs_of_every_commit(project):
    export(project, story(), "base")
    export(project, story(seconds=twice_as_slow), "head")
    output = run_asv(project, "publish", "--no-pull")
    assert "Couldn't find" not in output
    assert "Skipping" not in output
    index = json.loads((project / "html" / "index.json").read_text())
    assert {*index["benchmarks"]} == {STEP, "two_layer_net.time_forward"}
    assert [*index["machines"]] == [MACHINE]
    assert {*index["revision_to_hash"].values()} == {
        git(project / "project", "rev-parse", name) for name in ("base", "head")
    }
    graph = json.loads(next((project / "html" / "graphs").rglob(f"machine-{MACHINE}/**/{STEP}.json")).read_text())
    assert [len(point[1]) for point in graph] == [6, 6]


def test_asv_show_lists_times_of_a_commit(project):
    export(project, story(), "base")
    assert "torch-cpu-float32" in run_asv(project, "show", "base", "--details")


def test_find_takes_names_that_git_describe_prints(project):
    repository = project / "project"
    full = git(repository, "rev-parse", "head")
    for name in ("head", full, full[:10], f"base-1-g{full[:8]}"):
        commit = find(name, repository)
        assert commit.hash == full
        assert commit.milliseconds == int(git(repository, "log", "-1", "--format=%at")) * 1000


def test_full_hash_needs_no_repository(tmp_path):
    assert find("b" * 40, tmp_path) == Commit("b" * 40)


@pytest.mark.parametrize("name", ["", "nothing", "--all", "b" * 39, "a\0b"])
def test_invalid_commit_is_refused(project, name):
    with pytest.raises(ValueError, match=r"^--commit: .* is no commit"):
        find(name, project / "project")
