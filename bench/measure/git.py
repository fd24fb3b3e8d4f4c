"""Run git without the variables that would point it at another repository, index or work tree.

git sets these variables for its hooks. A child that inherits GIT_INDEX_FILE inside `git commit` writes the index
that is about to be committed, and one that inherits GIT_DIR answers for another repository.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, MutableMapping
from functools import cache
from pathlib import Path

REPOSITORY_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""What `git rev-parse --local-env-vars` lists, for machines without git and for versions that list fewer."""
ALSO_MISLEADING = frozenset(
    {
        "GIT_ATTR_SOURCE",  # files would be checked out with the attributes of another revision
        "GIT_CEILING_DIRECTORIES",  # the repository above a project in a subfolder would not be seen
        "GIT_NAMESPACE",  # revisions would be looked up among other refs
        "GIT_QUARANTINE_PATH",  # set in receive hooks, where git then refuses to work as usual
        "GIT_REF_FORMAT",
        "GIT_DEFAULT_REF_FORMAT",
        "GIT_LITERAL_PATHSPECS",
        "GIT_GLOB_PATHSPECS",
        "GIT_NOGLOB_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
    }
)
NUMBERED_SETTINGS = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
"""Prefixes of the settings that GIT_CONFIG_COUNT counts."""
SETTINGS = (
    "core.hooksPath=" + os.devnull,  # hooks are for the user's own work
    "core.fsmonitor=false",  # it may be a hook as well, or a daemon that is started
)
OF_A_CHECKOUT = (
    "core.splitIndex=false",  # a part of a split index would be written into the repository
    "core.sparseCheckout=false",
    "submodule.recurse=false",
)
TIMEOUT_SECONDS = 120.0
SHALLOW = (
    "this clone is shallow and lacks older commits: `git fetch --unshallow` gets them, and in CI `fetch-depth: 0` of "
    "actions/checkout"
)
"""A hint where a shallow clone lacks the revision that was asked for."""


def run(
    folder: str | os.PathLike[str],
    *arguments: str,
    timeout: float = TIMEOUT_SECONDS,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a git command in a folder, with further environment variables. It never raises: where there is no git, or
    it takes too long, the exit status is 1 and stderr says why."""
    command = ["git", "-C", str(folder), *_options(SETTINGS), *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment() | {**(variables or {})}
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:  # ValueError: an argument has a NUL
        return subprocess.CompletedProcess(command, 1, "", str(error))


def environment() -> dict[str, str]:
    """Return this process's environment for a git child, which then takes no optional locks."""
    return {**without_repository(os.environ), "GIT_OPTIONAL_LOCKS": "0"}


def without_repository(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that would point git at a certain repository."""
    return {name: value for name, value in variables.items() if not _is_misleading(name)}


def forget_repository(variables: MutableMapping[str, str] = os.environ) -> None:
    """Remove from an environment the variables that would point git at a certain repository."""
    for name in [name for name in variables if _is_misleading(name)]:
        del variables[name]


def is_shallow(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is in a clone that lacks older commits."""
    return run(folder, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def check_out(folder: Path, revision: str, tree: Path) -> str:
    """Write the files of a revision of the repository that has `folder` into `tree`, a new folder. Return git's
    complaint, or an empty text.

    The index is a file beside `tree`, so that the repository is only read: `git worktree add` would list the tree in
    the repository, and leave it listed if this process is killed. Unlike `git archive` and `git clone`, this obeys
    the repository's own settings, filters and attributes, and works in shallow and partial clones.
    """
    answer = run(folder, "rev-parse", "--absolute-git-dir")
    if answer.returncode:
        return last_line(answer.stderr)
    tree.mkdir()
    variables = {
        "GIT_DIR": answer.stdout.removesuffix("\n"),
        "GIT_WORK_TREE": str(tree),
        "GIT_INDEX_FILE": str(tree.with_name(f"{tree.name}.index")),
    }
    reading = run(tree, *_options(OF_A_CHECKOUT), "read-tree", "--reset", "-u", revision, variables=variables)
    return last_line(reading.stderr) if reading.returncode else ""


def last_line(lines: str) -> str:
    """Return the last line of what a program wrote, or words that say there is none."""
    return next(iter(reversed(lines.strip().splitlines())), "no message")


def _options(settings: Iterable[str]) -> list[str]:
    return [word for setting in settings for word in ("-c", setting)]


def _is_misleading(name: str) -> bool:
    return name in _misleading() or name.startswith(NUMBERED_SETTINGS)


@cache
def _misleading() -> frozenset[str]:
    """Return the names listed in this file and those that the installed git adds."""
    known = REPOSITORY_VARIABLES | ALSO_MISLEADING
    clean = {name: value for name, value in os.environ.items() if name not in known}
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, timeout=10, env=clean
        )
    except (OSError, subprocess.SubprocessError):
        return known
    return known | set(answer.stdout.split()) if answer.returncode == 0 else known
