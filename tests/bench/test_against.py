"""Tests of base against head in real processes: revisions of a repository, and environments."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from bench.measure.client import ROOT

TINY = """
N = [4]
D_in = [5]
H = [3]
phase = ["step"]
threads = [1]
rounds = 4
samples = 5
min_effect = "20%"
"""
STEP = """
    def step(self):
        started = perf_counter()
        super().step()
        end = started + 2 * (perf_counter() - started)
        while perf_counter() < end:
            pass
"""
"""The step of a net that takes twice as long: far more than processes of the same code differ on a busy machine."""
CRASHING = "\n    def step(self):\n        raise ValueError('not yet')\n"
NEEDS_MODULE = '"""NumPy, if another module is installed."""\nimport backend_of_ours\nfrom .numpy_ import Net\n'
ENV = {name: text for name, text in os.environ.items() if not name.startswith(("GIT_", "PYTEST_"))}


class Repository:
    """This tree with NumPy as its only implementation, in a repository of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in ("bench", "implementations"):
            shutil.copytree(ROOT / folder, path / folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in (path / "implementations").iterdir():
            if file.name not in ("__init__.py", "interface.py", "numpy_.py"):
                file.unlink()
        shutil.copy(ROOT / "pyproject.toml", path)
        (path / ".gitignore").write_text("results/\n__pycache__/\n")
        (path / "tiny.toml").write_text(TINY)
        self.git("init", "--quiet")
        self.commit("good")

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=me", "-c", "user.email=me@here", *arguments]
        return subprocess.run(command, cwd=self.path, env=ENV, check=True, capture_output=True, text=True).stdout

    def commit(self, tag: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", tag)
        self.git("tag", "--force", tag)

    def net(self, step: str) -> None:
        """Give head's NumPy another step."""
        path = self.path / "implementations" / "numpy_.py"
        self.git("checkout", "--quiet", "good", "--", str(path))
        replacement = f"\nfrom time import perf_counter\n\nNumpy = Net\n\n\nclass Net(Numpy):{step}"
        path.write_text(path.read_text() + (replacement if step else ""))

    def pytest(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "pytest", "bench", "--benchmark-only", "--grid", "tiny.toml", *options)

    def ab(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "bench", "ab", "--grid", "tiny.toml", *options)

    def python(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.path, env=ENV | variables, capture_output=True, text=True)

    def comparison(self) -> dict:
        """Return the newest comparison."""
        return json.loads(max(self.path.glob("results/runs/*/comparison.json")).read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("against") / "tree")


@pytest.fixture
def repository(made):
    """Yield the repository, check that no worktree is left, and restore it."""
    yield made
    assert len(made.git("worktree", "list").splitlines()) == 1
    made.git("reset", "--quiet", "--hard", "good")
    made.git("clean", "--quiet", "--force", "-d")


def test_a_tree_like_its_base_passes(repository):
    done = repository.pytest("--against", "good")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 1 cell slower" in done.stdout
    assert ", against " in done.stdout
    comparison = repository.comparison()
    assert (comparison["base"].endswith("(good)"), comparison["head"]) == (True, "this tree")
    [cell] = comparison["cells"]
    assert (cell["base_passes"], cell["head_passes"]) == (5, 5)
    assert "What changed" in (repository.path / "results" / "report.md").read_text()


def test_a_slower_step_is_a_regression_of_its_cell(repository):
    repository.net(STEP)
    page = repository.path / "page.md"
    outputs = ("--markdown", str(page), "--json", str(repository.path / "ab.json"))
    done = repository.ab("--base", "good", "--min-effect", "5%", *outputs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 1 cell slower, worst +" in done.stdout
    assert page.read_text().startswith("### ❌ 1 of 1 cell slower")
    comparison = json.loads((repository.path / "ab.json").read_text())
    assert comparison["failing"] == ["step[numpy-cpu-float32-N4-D5-H3-T1]"]
    assert comparison["cells"][0]["reason"].startswith("again slower, +")
    assert comparison["confirming_passes"] == 5
    assert comparison["cells"][0]["ratio_low"] > 1.05


def test_cells_that_head_lacks_are_missing_and_fail(repository):
    implementations = repository.path / "implementations"
    (implementations / "old_.py").write_text("from .numpy_ import Net\n")
    (repository.path / "tiny.toml").write_text(TINY.replace("[4]", "[4, 8]"))
    repository.commit("more")
    (implementations / "old_.py").rename(implementations / "new_.py")
    (repository.path / "tiny.toml").write_text(TINY)
    done = repository.pytest("--against", "more", "--fail-on", "missing")
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = {cell["cell"]: (cell["verdict"], cell["reason"]) for cell in repository.comparison()["cells"]}
    assert verdicts.pop("step[numpy-cpu-float32-N4-D5-H3-T1]")[0] not in ("missing", "wrong")
    assert verdicts == {
        "step[new-cpu-float32-N4-D5-H3-T1]": ("missing", "only in head"),
        "step[old-cpu-float32-N4-D5-H3-T1]": ("missing", "only in base"),
        "step[old-cpu-float32-N8-D5-H3-T1]": ("missing", "only in base"),
        "step[numpy-cpu-float32-N8-D5-H3-T1]": ("missing", "only in base"),
    }
    for key in verdicts:
        assert f"FAILED bench/test_two_layer_net.py::test_{key}" in done.stdout
    assert "1 passed" in done.stdout
    assert "4 failed" in done.stdout


def test_a_base_that_crashes_leaves_nothing_to_compare(repository):
    repository.net(CRASHING)
    repository.commit("broken")
    repository.net("")
    done = repository.pytest("--against", "broken")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No cell has a time on both sides: nothing could be compared." in done.stdout
    [cell] = repository.comparison()["cells"]
    assert cell["verdict"] == "fixed"
    assert cell["reason"].startswith("in base crashed: ValueError: not yet (")
    assert repository.comparison()["exit_code"] == 3


def environment(path: Path, *modules: str) -> Path:
    """Make an environment with NumPy and modules of these names."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    [packages] = path.glob("lib/python*/site-packages")
    for package in Path(numpy.__file__).parent.parent.glob("numpy*"):
        (packages / package.name).symlink_to(package)
    for module in modules:
        (packages / f"{module}.py").write_text("")
    return path


def test_a_backend_missing_from_an_environment_is_missing(repository, tmp_path):
    (repository.path / "implementations" / "needing_.py").write_text(NEEDS_MODULE)
    base, head = environment(tmp_path / "base", "backend_of_ours"), environment(tmp_path / "head")
    done = repository.ab("--base", str(base), "--head", str(head), "--implementations", "needing")
    assert done.returncode == 1, done.stdout + done.stderr
    [cell] = repository.comparison()["cells"]
    assert (cell["verdict"], cell["base_status"], cell["base_passes"]) == ("missing", "ok", 5)
    assert cell["reason"] == "in head unavailable: needing needs the module 'backend_of_ours', which is not installed"


@pytest.mark.parametrize(
    ("base", "message", "front"),
    [
        ("nowhere", "'nowhere' is neither a Python environment nor a git revision of this repository", "ab"),
        ("empty", "(empty) has no implementations/", "pytest"),
        ("./nowhere/bin/python", "./nowhere/bin/python is no Python interpreter or environment", "pytest"),
        ("./nowhere/bin/python", "./nowhere/bin/python is no Python interpreter or environment", "ab"),
    ],
)
def test_an_invalid_base_is_a_usage_error(repository, base, message, front):
    if base == "empty":
        tree = repository.git("hash-object", "-t", "tree", "-w", "/dev/null").strip()
        repository.git("tag", "--force", "empty", repository.git("commit-tree", tree, "-m", "empty").strip())
    runs_before = len(list(repository.path.glob("results/runs/*")))
    done = repository.pytest("--against", base) if front == "pytest" else repository.ab("--base", base)
    assert done.returncode == (pytest.ExitCode.USAGE_ERROR if front == "pytest" else 2)
    [line] = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert line.startswith("ERROR: --against: " if front == "pytest" else "python -m bench ab: --base: ")
    assert message in line
    assert len(list(repository.path.glob("results/runs/*"))) == runs_before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--against", "good", "--fail-on", "sadness"], "--fail-on: 'sadness' is nothing to fail on; list some of"),
        (["--against", "good", "--benchmark-disable"], "--against: nothing is compared while benchmarks are disabled"),
        (["--fail-on", "slower"], "--fail-on: there is nothing to fail on without --against"),
        (["--against", "good", "--implementations", "nope"], "--implementations: neither side has 'nope'"),
    ],
)
def test_an_invalid_option_is_a_usage_error_and_leaves_nothing(repository, options, message):
    done = repository.pytest(*options)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    [line] = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert line.startswith(f"ERROR: {message}")


def test_a_comparison_in_a_commit_hook_does_not_change_the_commit(repository):
    hook = repository.path / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    options = "--benchmark-only --grid tiny.toml --against good --fail-on wrong"
    hook.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m pytest bench {options} > hook.log 2>&1\n")
    hook.chmod(0o755)
    (repository.path / "staged.txt").write_text("staged\n")
    repository.git("add", "staged.txt")
    (repository.path / "staged.txt").write_text("and then changed\n")
    (repository.path / "implementations" / "interface.py").open("a").write("# not staged\n")
    try:
        repository.git("commit", "--quiet", "--message", "with a hook")
    finally:
        hook.unlink()
    log = (repository.path / "hook.log").read_text()
    assert ", against " in log, log
    assert repository.git("diff", "--name-status", "good", "HEAD").splitlines() == ["A\tstaged.txt"]
    assert repository.git("show", "HEAD:staged.txt") == "staged\n"
    assert repository.git("diff", "--cached", "--name-only") == ""
    assert repository.git("diff", "--name-only").splitlines() == ["implementations/interface.py", "staged.txt"]


def test_a_run_names_its_own_revision_despite_git_variables(repository, tmp_path):
    another = tmp_path / "another"
    repository.git("init", "--quiet", str(another))
    repository.git("-C", str(another), "commit", "--quiet", "--allow-empty", "--message", "of another")
    json_file = tmp_path / "benchmark.json"
    command = ("-m", "pytest", "bench", "--benchmark-only", "--grid", "tiny.toml", f"--benchmark-json={json_file}")
    done = repository.python(*command, GIT_DIR=str(another / ".git"), GIT_WORK_TREE=str(another))
    assert done.returncode == 0, done.stdout + done.stderr
    head = repository.git("rev-parse", "HEAD").strip()
    assert json.loads(json_file.read_text())["commit_info"]["id"] == head
    newest = max(repository.path.glob("results/runs/*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    assert json.loads(newest.read_text())["machine"]["source"] == "good"
