"""The commit that a run is filed under, where a format files runs by commit."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

FULL = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Commit:
    """A commit, and when it was written in milliseconds since 1970; None where its repository is not at hand."""

    hash: str
    milliseconds: int | None = None


def find(name: str, repository: Path) -> Commit:
    """What git means by a name in a folder's repository, or a full hash as it is. Raises ValueError."""
    command = ["git", "-C", str(repository), "log", "-1", "--format=%H %at", "--end-of-options", name, "--"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        told = done.stdout.split() if done.returncode == 0 else []
    except (OSError, ValueError, subprocess.SubprocessError):  # there is no git, or the name has a NUL
        told = []
    if name and len(told) == 2:
        return Commit(told[0], int(told[1]) * 1000)
    if FULL.fullmatch(name):
        return Commit(name)
    raise ValueError(f"--commit: {name!r} is no commit of a repository here, nor 40 hexadecimal digits")
