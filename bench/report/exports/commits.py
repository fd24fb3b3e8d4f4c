"""The commit that a run is filed under, where a format files runs by commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench.measure import git

FULL = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Commit:
    """A commit, and its time in milliseconds since 1970; None where its repository is not available."""

    hash: str
    milliseconds: int | None = None


def find(name: str, repository: Path) -> Commit:
    """Find the commit of a name in a folder's repository, or take a full hash as it is. Raises ValueError."""
    done = git.run(repository, "log", "-1", "--format=%H %at", "--end-of-options", name, "--", timeout=10)
    fields = done.stdout.split() if done.returncode == 0 else []
    if name and len(fields) == 2:
        return Commit(fields[0], int(fields[1]) * 1000)
    if FULL.fullmatch(name):
        return Commit(name)
    hint = f"; {git.SHALLOW}" if git.is_shallow(repository) else ""
    raise ValueError(f"--commit: {name!r} is no commit of a repository here, nor 40 hexadecimal digits{hint}")
