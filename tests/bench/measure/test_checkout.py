"""The names of a comparison's sides: revisions, interpreters and environments."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import implementations
from bench.measure import checkout
from bench.plan.grid import PlanError

GIT = ("git", "-c", "user.name=me", "-c", "user.email=me@here", "-c", "init.defaultBranch=main")


def git(folder, *arguments):
    return subprocess.run([*GIT, "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(folder, message, tag):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    git(folder, "tag", tag)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A repository that has no implementations at first, and then others than this project."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "--quiet")
    (folder / "readme").write_text("soon")
    commit(folder, "nothing yet", "empty")
    (folder / "implementations").mkdir()
    for name in ("__init__", "interface", "old_", "numpy_"):
        (folder / "implementations" / f"{name}.py").write_text('DEVICE_KINDS = ("cpu", "cuda")\nclass Net: ...\n')
    commit(folder, "two", "v1")
    (folder / "implementations" / "old_.py").rename(folder / "implementations" / "new_.py")
    commit(folder, "renamed", "v2")
    return folder


@pytest.fixture
def repository(history, monkeypatch):
    monkeypatch.setattr(checkout, "ROOT", history)
    return history


@pytest.fixture
def stack():
    with ExitStack() as exit_stack:
        yield exit_stack


def contents(folder):
    """Return every file of a repository's folder, with its content and time of change."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signalled_run_removes_its_checkout(history, number):
    before = contents(history)
    code = f"""
import pathlib, signal, time
from contextlib import ExitStack
from bench.measure import checkout
checkout.ROOT = pathlib.Path({str(history)!r})
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored by what nohup runs, as SIGINT by what a shell runs with &
signal.signal(signal.SIGINT, signal.default_int_handler)
with ExitStack() as stack:
    print(checkout.side("base", "v1", "--against", stack, checkout.ROOT).source, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        tree = Path(process.stdout.readline().strip())
        assert (tree / "implementations").is_dir()
        process.send_signal(number)
    assert process.returncode != 0
    assert not tree.exists()
    assert contents(history) == before


def test_signal_handlers_are_restored(repository, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with ExitStack() as stack:
        checkout.side("base", "v1", "--against", stack, tmp_path)
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_ignored_signal_stays_ignored(repository, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ExitStack() as stack:
            checkout.side("base", "v1", "--against", stack, tmp_path)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def complaint(spec, tmp_path, stack):
    with pytest.raises(PlanError) as caught:
        checkout.side("base", spec, "--against", stack, tmp_path)
    message = str(caught.value)
    assert message.startswith("--against: ")
    assert "\n" not in message
    return message.removeprefix("--against: ")


def test_dot_is_this_tree_and_interpreter(tmp_path, stack):
    side = checkout.side("head", ".", "--head", stack, tmp_path)
    assert (side.name, side.label, side.interpreter) == ("head", "this tree", sys.executable)
    assert side.source == str(checkout.ROOT)
    assert side.implementations == tuple(implementations.names())


@pytest.mark.parametrize("spec", ["v1", "v2~1", "HEAD~1"])
def test_revision_is_checked_out_while_the_stack_is_open(repository, tmp_path, spec):
    before = contents(repository)
    with ExitStack() as stack:
        side = checkout.side("base", spec, "--against", stack, tmp_path)
        assert side.label == f"{git(repository, 'rev-parse', 'v1')[:9]} ({spec})"
        assert side.interpreter == sys.executable
        assert side.implementations == ("numpy", "old")
        assert {path.name for path in (checkout.Path(side.source) / "implementations").iterdir()} >= {"old_.py"}
        assert contents(repository) == before
    assert not checkout.Path(side.source).exists()
    assert contents(repository) == before


@pytest.mark.parametrize("name", ["post-checkout", "post-index-change"])
def test_hooks_do_not_run(repository, tmp_path, stack, name):
    hook = repository / ".git" / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    checkout.side("base", "v1", "--against", stack, tmp_path)
    hook.unlink()
    assert not (tmp_path / "ran").exists()


def test_tree_may_be_a_folder_of_its_repository(repository, monkeypatch, tmp_path, stack):
    inner = repository / "inner"
    (inner / "implementations").mkdir(parents=True)
    (inner / "implementations" / "__init__.py").write_text("")
    (inner / "implementations" / "third_.py").write_text("class Net: ...\n")
    commit(repository, "inner", "v3")
    monkeypatch.setattr(checkout, "ROOT", inner)
    side = checkout.side("base", "v3", "--against", stack, tmp_path)
    assert side.implementations == ("third",)
    assert side.source.endswith("/inner")
    assert complaint("v2", tmp_path, stack).endswith("(v2) has no implementations/")


def test_revision_without_implementations_is_named(repository, tmp_path, stack):
    revision = git(repository, "rev-parse", "empty")[:9]
    assert complaint("empty", tmp_path, stack) == f"revision {revision} (empty) has no implementations/"


@pytest.mark.parametrize("spec", ["nowhere", "origin/main", "v1~7", "nowhere/bin/python", "", "-v"])
def test_neither_revision_nor_environment_is_named(repository, tmp_path, stack, spec):
    message = complaint(spec, tmp_path, stack)
    assert message == f"{spec!r} is neither a Python environment nor a git revision of this repository"


def test_revision_outside_a_repository_is_explained(monkeypatch, tmp_path, stack):
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    message = complaint("main", tmp_path, stack)
    assert message.startswith(
        f"'main' is neither a Python environment nor a git revision of this repository, for {tmp_path}"
    )
    assert "not a git repository" in message


def test_revision_missing_in_a_shallow_clone_is_explained(history, monkeypatch, tmp_path, stack):
    subprocess.run([*GIT, "clone", "--quiet", "--depth=1", f"file://{history}", tmp_path / "clone"], check=True)
    monkeypatch.setattr(checkout, "ROOT", tmp_path / "clone")
    message = complaint("HEAD~1", tmp_path, stack)
    assert message.startswith(
        "'HEAD~1' is neither a Python environment nor a git revision of this repository; this clone"
    )
    assert "`git fetch --unshallow`" in message
    assert "`fetch-depth: 0`" in message


def test_settings_and_attributes_are_obeyed(repository, tmp_path, stack):
    git(repository, "checkout", "--quiet", "--detach", "v1")
    (repository / ".gitattributes").write_text("readme filter=loud\nexport.txt export-ignore\n")
    (repository / "export.txt").write_text("kept")
    (repository / "link").symlink_to("readme")
    commit(repository, "attributes", "v1-attributes")
    git(repository, "checkout", "--quiet", "main")
    git(repository, "config", "filter.loud.smudge", "tr a-z A-Z")
    git(repository, "config", "core.sparseCheckout", "true")
    git(repository, "config", "core.splitIndex", "true")
    (repository / ".git" / "info" / "sparse-checkout").write_text("/readme\n")
    before = contents(repository)
    tree = checkout.Path(checkout.side("base", "v1-attributes", "--against", stack, tmp_path).source)
    assert (tree / "readme").read_text() == "SOON"
    assert (tree / "export.txt").read_text() == "kept"
    assert (tree / "link").is_symlink()
    assert contents(repository) == before
    for name in ("filter.loud.smudge", "core.sparseCheckout", "core.splitIndex"):
        git(repository, "config", "--unset", name)


def test_tree_may_be_a_linked_worktree(history, monkeypatch, tmp_path, stack):
    git(history, "worktree", "add", "--quiet", "--detach", tmp_path / "linked", "v2")
    try:
        monkeypatch.setattr(checkout, "ROOT", tmp_path / "linked")
        before = contents(history)
        assert checkout.side("base", "v1", "--against", stack, tmp_path).implementations == ("numpy", "old")
        assert contents(history) == before
    finally:
        git(history, "worktree", "remove", "--force", tmp_path / "linked")


def test_environment_needs_no_git(monkeypatch, tmp_path, stack):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "No such file or directory: 'git'" in complaint("main", tmp_path, stack)
    (tmp_path / "link").symlink_to(sys.executable)
    assert checkout.side("base", "link", "--against", stack, tmp_path).interpreter == str(tmp_path / "link")


def environment(folder, script, python="python"):
    """Make an environment whose interpreter is a shell script."""
    (folder / "bin").mkdir(parents=True)
    path = folder / "bin" / python
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("python", ["python", "python3"])
@pytest.mark.parametrize("by", ["environment", "interpreter", "./environment"])
def test_environment_is_its_interpreter_on_this_tree(tmp_path, stack, by, python):
    path = environment(tmp_path / "environment", f'exec "{sys.executable}" "$@"', python)
    spec = str(path) if by == "interpreter" else by
    side = checkout.side("base", spec, "--against", stack, tmp_path)
    assert checkout.Path(side.interpreter) == path
    assert side.label == spec
    assert side.source == str(checkout.ROOT)
    assert side.implementations == tuple(implementations.names())


def test_revision_precedes_a_folder_of_its_name(repository, tmp_path, stack):
    environment(tmp_path / "v1", "exit 1")
    assert checkout.side("base", "v1", "--against", stack, tmp_path).source != str(repository)
    assert "cannot be used" in complaint("./v1", tmp_path, stack)


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ("echo 3 9", "is Python 3.9; 3.11 or newer is needed"),
        ("echo Oh >&2; echo No module named numpy >&2; exit 1", "NumPy is the least it needs: No module named numpy"),
        ("exit 1", "NumPy is the least it needs: no message"),
        ("echo hello", "does not answer as Python does: 'hello'"),
    ],
)
def test_unusable_interpreter_is_explained(tmp_path, stack, script, ending):
    environment(tmp_path / "env", script)
    message = complaint("./env", tmp_path, stack)
    assert message.startswith("./env ")
    assert message.endswith(ending)


def test_missing_interpreter_or_environment_is_named(tmp_path, stack):
    assert "No such file or directory" in complaint(str(tmp_path / "bin" / "python"), tmp_path, stack)
    (tmp_path / "empty").mkdir()
    message = complaint("./empty", tmp_path, stack)
    assert message == "./empty is a folder without bin/python or bin/python3: not an environment"
    (tmp_path / "text").write_text("hello")
    assert "Permission denied" in complaint("./text", tmp_path, stack)


def test_grid_file_is_taken_from_the_side_s_tree(repository, tmp_path, stack):
    side = checkout.side("base", "v1", "--against", stack, tmp_path)
    outside = tmp_path / "mine.toml"
    assert checkout.grid_file(side, repository / "grids" / "a.toml") == checkout.Path(side.source) / "grids" / "a.toml"
    assert checkout.grid_file(side, outside) == outside


def test_device_kinds_are_read_from_the_side_s_file(repository, tmp_path, stack):
    side = checkout.side("base", "v1", "--against", stack, tmp_path)
    assert checkout.device_kinds(side, "numpy", ()) == ("cpu", "cuda")
    assert checkout.device_kinds(side, "old", ()) == ("cpu", "cuda")
    with pytest.raises(LookupError, match="there is no implementation 'other'"):
        checkout.device_kinds(side, "other", ())
