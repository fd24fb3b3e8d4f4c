"""git is asked about this repository, despite the variables of a hook."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.measure import checkout, client, git, machine
from bench.plan.cells import Contender
from bench.report.exports import commits

ROOT = Path(__file__).parents[3]
IDENTITY = ("-c", "user.name=me", "-c", "user.email=me@here", "-c", "commit.gpgsign=false")


def command(folder, *arguments):
    completed = subprocess.run(["git", "-C", folder, *IDENTITY, *arguments], check=True, capture_output=True, text=True)
    return completed.stdout.strip()


def clean_command(folder, *arguments):
    completed = subprocess.run(
        ["git", "-C", folder, *arguments], env=git.environment(), check=True, capture_output=True, text=True
    )
    return completed.stdout.strip()


def repository_with(folder, text):
    """Make a repository with one commit that has implementations."""
    (folder / "implementations").mkdir(parents=True)
    (folder / "implementations" / "__init__.py").write_text(text)
    (folder / "implementations" / "numpy_.py").write_text("class Net: ...\n")
    command(folder, "init", "--quiet", "--initial-branch=main")
    command(folder, "add", "--all")
    command(folder, "commit", "--quiet", "--message", text)
    return folder


@pytest.fixture
def repository(tmp_path, monkeypatch):
    folder = repository_with(tmp_path / "ours", "# ours")
    monkeypatch.setattr(checkout, "ROOT", folder)
    return folder


@pytest.fixture
def misled(tmp_path, monkeypatch):
    """Another repository, and the variables of a hook that runs in it."""
    hook_repository = repository_with(tmp_path / "other", "# other")
    for name, value in misleading(hook_repository).items():
        monkeypatch.setenv(name, value)
    return hook_repository


def misleading(folder):
    return {
        "GIT_DIR": str(folder / ".git"),
        "GIT_WORK_TREE": str(folder),
        "GIT_INDEX_FILE": str(folder / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / ".git" / "objects"),
        "GIT_PREFIX": "implementations/",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_CONFIG_PARAMETERS": "'core.bare'='true'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.worktree",
        "GIT_CONFIG_VALUE_0": "/nowhere",
    }


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_local_variables_of_the_installed_git_are_removed():
    listed = command(ROOT, "rev-parse", "--local-env-vars").split()
    assert {"GIT_DIR", "GIT_INDEX_FILE"} <= set(listed)
    assert git.without_repository(dict.fromkeys([*listed, "PATH"], "x")) == {"PATH": "x"}


def test_local_variables_of_a_later_git_are_removed(monkeypatch, tmp_path):
    tool = tmp_path / "git"
    tool.write_text("#!/bin/sh\necho GIT_DIR\necho GIT_OF_TOMORROW\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    git._misleading.cache_clear()
    try:
        assert git.without_repository({"GIT_OF_TOMORROW": "x", "GIT_EDITOR": "vi"}) == {"GIT_EDITOR": "vi"}
    finally:
        git._misleading.cache_clear()


def test_variables_are_known_without_git(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    git._misleading.cache_clear()
    try:
        assert git.without_repository(dict.fromkeys(misleading(tmp_path), "x")) == {}
    finally:
        git._misleading.cache_clear()


def test_user_settings_without_a_repository_are_kept():
    kept = {"GIT_CONFIG_GLOBAL": "/home/me/config", "GIT_SSH_COMMAND": "ssh -i key", "HOME": "/home/me"}
    assert git.without_repository(kept | {"GIT_DIR": "/other"}) == kept


def test_forget_repository_removes_a_hook_s_variables():
    variables = {"GIT_DIR": "/other", "GIT_CONFIG_KEY_12": "core.bare", "HOME": "/home/me"}
    git.forget_repository(variables)
    assert variables == {"HOME": "/home/me"}


def test_revision_is_of_the_sources_despite_a_hook_s_variables(repository, misled):
    clean = clean_command(repository, "rev-parse", "--short", "HEAD")
    assert machine._revision(repository / "implementations") == clean


def test_revision_of_changed_sources_is_dirty_and_the_index_unwritten(repository):
    short = command(repository, "rev-parse", "--short", "HEAD")
    file = repository / "implementations" / "numpy_.py"
    os.utime(file, (1, 1))  # the index no longer tells whether the file changed, which git would record
    before = contents(repository / ".git")
    assert machine._revision(repository) == short
    (repository / "untracked").write_text("")
    assert machine._revision(repository) == short
    file.write_text("class Net: pass\n")
    assert machine._revision(repository) == f"{short}-dirty"
    assert contents(repository / ".git") == before
    command(repository, "add", "--all")
    assert machine._revision(repository) == f"{short}-dirty"


def test_commit_is_found_in_its_own_repository(repository, misled):
    head = clean_command(repository, "rev-parse", "HEAD")
    assert commits.find("HEAD", repository).hash == head


def test_commit_missing_in_a_shallow_clone_is_explained(repository, tmp_path):
    command(repository, "commit", "--quiet", "--allow-empty", "--message", "second")
    command(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "clone")
    with pytest.raises(ValueError, match=r"'HEAD~1' is no commit .*; this clone is shallow .*fetch-depth: 0"):
        commits.find("HEAD~1", tmp_path / "clone")
    with pytest.raises(ValueError, match=r"hexadecimal digits$"):
        commits.find("nowhere", repository)


def test_checkout_writes_in_no_repository(repository, misled, tmp_path):
    own, hook_s = contents(repository), contents(misled)
    with ExitStack() as stack:
        tree = Path(checkout.side("base", "main", "--against", stack, tmp_path).source)
        assert (tree / "implementations" / "__init__.py").read_text() == "# ours"
    assert contents(repository) == own
    assert contents(misled) == hook_s


def test_checkout_of_a_folder_below_a_ceiling(repository, monkeypatch, tmp_path):
    inner = repository_with(repository / "inner", "# inner").resolve()
    (inner / ".git").rename(tmp_path / "gone")
    command(repository, "add", "--all")
    command(repository, "commit", "--quiet", "--message", "inner")
    monkeypatch.setattr(checkout, "ROOT", inner)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository))
    with ExitStack() as stack:
        tree = Path(checkout.side("base", "main", "--against", stack, tmp_path).source)
        assert (tree / "implementations" / "__init__.py").read_text() == "# inner"


HOOK = """#!{python}
import pathlib, sys
from contextlib import ExitStack
sys.path.insert(0, {root!r})
from bench.measure import checkout, machine
checkout.ROOT = pathlib.Path({folder!r})
with ExitStack() as stack:
    tree = pathlib.Path(checkout.side("base", "base", "--against", stack, checkout.ROOT).source)
    text = (tree / "implementations" / "__init__.py").read_text()
pathlib.Path({seen!r}).write_text(text + " " + machine._revision(checkout.ROOT))
"""


@pytest.mark.parametrize("how", [(), ("--all",), ("--only", "implementations/numpy_.py")])
def test_commit_with_a_checkout_in_its_hook_is_unchanged(repository, tmp_path, how):
    command(repository, "tag", "base")
    for name in ("__init__", "staged_"):
        (repository / "implementations" / f"{name}.py").write_text("# later")
    command(repository, "add", "implementations/staged_.py")
    (repository / "implementations" / "numpy_.py").write_text("class Net: pass\n")
    expected = {
        (): ["implementations/staged_.py"],
        ("--all",): ["implementations/__init__.py", "implementations/numpy_.py", "implementations/staged_.py"],
    }.get(how, ["implementations/numpy_.py"])
    staged = command(repository, "diff", "--cached", "--name-only").splitlines()
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    seen = tmp_path / "seen"
    hook.write_text(HOOK.format(python=sys.executable, root=str(ROOT), folder=str(repository), seen=str(seen)))
    hook.chmod(0o755)
    command(repository, "commit", "--quiet", "--message", "head", *how)
    assert seen.read_text().startswith("# ours base")
    assert command(repository, "diff", "--name-only", "base", "HEAD").splitlines() == expected
    remaining = [name for name in staged if name not in expected]
    assert command(repository, "diff", "--cached", "--name-only").splitlines() == remaining
    assert len(command(repository, "worktree", "list").splitlines()) == 1


def test_worker_does_not_see_a_hook_s_repository(misled, tmp_path):
    (tmp_path / "spy.py").write_text(
        "import json, os\nfrom implementations.numpy_ import Net\n"
        "names = [name for name in os.environ if name.startswith(('GIT_DIR', 'GIT_INDEX', 'GIT_CONFIG', 'GIT_W'))]\n"
        "open(os.path.join(os.path.dirname(__file__), 'seen'), 'w').write(json.dumps(names))\n"
    )
    setting = client.Setting(Contender("spy:Net", "cpu", "float32"), 1, 60, tmp_path / "log", path=[str(tmp_path)])
    worker = client.ProcessWorker(setting)
    try:
        worker.ask("start")
    finally:
        worker.close()
    assert (tmp_path / "seen").read_text() == "[]"


def test_tests_change_nothing_in_a_hook_s_repository(tmp_path):
    hook_repository = repository_with(tmp_path / "other", "# other")
    (hook_repository / "staged").write_text("staged")
    command(hook_repository, "add", "staged")
    commands = [("ls-files", "--stage"), ("log", "--all", "--format=%H"), ("config", "--list", "--local")]
    commands.append(("worktree", "list"))
    before = [command(hook_repository, *words) for words in commands]
    names = ["tests/bench/measure/test_git.py::test_revision_of_changed_sources_is_dirty_and_the_index_unwritten"]
    names += ["tests/bench/measure/test_checkout.py::test_tree_may_be_a_linked_worktree"]
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names],
        cwd=ROOT,
        env={**os.environ, **misleading(hook_repository)},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert [command(hook_repository, *words) for words in commands] == before
