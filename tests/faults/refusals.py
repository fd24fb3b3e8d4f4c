"""Runs that are refused before they measure, in one line and leaving nothing, and runs that wait for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from . import checks, filesystems
from .checks import Problem
from .runs import Ended, Started, Workspace

USAGE_ERROR = 4
WAIT_SECONDS = 60.0
PATIENT = ("--cell-timeout", "120")
"""The options for a contender that waits until the test creates a file."""


def _refused(workspace: Workspace, label: str, words: Sequence[str], *options: str) -> list[Problem]:
    ended = workspace.run(("numpy",), *options)
    return checks.of_process(ended, workspace, label) + _of_refusal(ended, label, words)


def _of_refusal(ended: Ended, label: str, words: Sequence[str]) -> list[Problem]:
    lines = [line for line in ended.output.splitlines() if all(word in line for word in words)]
    if ended.code == USAGE_ERROR and len(lines) == 1:
        return []
    return [Problem(checks.OTHERS, label, f"exit code {ended.code}, not one line with {words}: {ended.output[-800:]}")]


def full_disk(folder: Path) -> list[Problem]:
    """The disk is full from the start."""
    workspace = Workspace(folder)
    with filesystems.small(workspace.results, size="64k") as mounted:
        if not mounted:
            return []
        with (workspace.results / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(1 << 10))
            except OSError:
                pass
        return _refused(workspace, "full disk", ("results",), "--when-busy", "ignore")


def read_only_disk(folder: Path) -> list[Problem]:
    workspace = Workspace(folder)
    with filesystems.small(workspace.results, read_only=True) as mounted:
        return _refused(workspace, "read-only disk", ("results",), "--when-busy", "ignore") if mounted else []


def file_for_a_folder(folder: Path) -> list[Problem]:
    workspace = Workspace(folder)
    workspace.results.mkdir()
    (workspace.results / "runs").write_text("not a folder")
    return _refused(workspace, "file for a folder", ("results",), "--when-busy", "ignore")


def dangling_link(folder: Path) -> list[Problem]:
    workspace = Workspace(folder)
    workspace.results.mkdir()
    (workspace.results / "runs").symlink_to(workspace.folder / "nowhere" / "at all")
    return _refused(workspace, "dangling link", ("results",), "--when-busy", "ignore")


def second_run(folder: Path) -> list[Problem]:
    """A second run fails or waits, as requested, while a first one measures, and both end completely."""
    workspace, second_workspace = Workspace(folder / "first"), Workspace(folder / "second")
    name = workspace.add("sleeper", "hostile(kinds.waits_for_a_file, 'mid-block', 'sleeper', once=True)")
    lock = {"RELUBENCH_LOCK": str(folder / "lock")}
    with Started(workspace, workspace.command(("numpy", name), *PATIENT), lock) as first:
        if not workspace.wait_until_fired("sleeper", WAIT_SECONDS):
            return [Problem(checks.OTHERS, "second run", f"the first one did not begin: {first.output()}")]
        refused = second_workspace.run(("numpy",), "--when-busy", "fail", **lock)
        problems = _of_refusal(refused, "second run", ("another run measures on this machine",))
        with Started(second_workspace, second_workspace.command(("numpy",)), lock) as second:
            if not second.wait_for_output("waiting until it has ended", WAIT_SECONDS):
                problems.append(Problem(checks.OTHERS, "second run", f"it does not wait: {second.output()}"))
            (workspace.fired / "go").touch()
            ends = (first.end(WAIT_SECONDS), workspace), (second.end(WAIT_SECONDS), second_workspace)
            for ended, used in ends:
                problems += checks.of_process(ended, used, "second run") + checks.of_unharmed(used, "second run")
    return problems


def second_resume(folder: Path) -> list[Problem]:
    """A run that is being measured cannot be resumed by another process."""
    workspace = Workspace(folder)
    name = workspace.add("sleeper", "hostile(kinds.waits_for_a_file, 'mid-block', 'sleeper', once=True)")
    with Started(workspace, workspace.command(("numpy", name), "--when-busy", "ignore", *PATIENT)) as first:
        if not workspace.wait_until_fired("sleeper", WAIT_SECONDS):
            return [Problem(checks.OTHERS, "second resume", f"the first one did not begin: {first.output()}")]
        resumed = workspace.run((), "--resume", str(workspace.newest()), "--when-busy", "ignore")
        problems = _of_refusal(resumed, "second resume", ("is being measured by another process",))
        (workspace.fired / "go").touch()
        problems += checks.of_process(first.end(WAIT_SECONDS), workspace, "second resume")
    problems += checks.of_unharmed(workspace, "second resume")
    return problems + checks.of_rows(workspace, ["numpy", name], "second resume")


REFUSALS: dict[str, Callable[[Path], list[Problem]]] = {
    function.__name__: function
    for function in (full_disk, read_only_disk, file_for_a_folder, dangling_link, second_run, second_resume)
}
