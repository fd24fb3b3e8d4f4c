"""Mount file systems of a few megabytes, where this system and user may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small(folder: Path, size: str = "4m", read_only: bool = False) -> Iterator[bool]:
    """Mount a small file system on a folder; yield whether that succeeded."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size}{',ro' if read_only else ''}"
    mounted = sys.platform == "linux" and _succeeds("mount", "-t", "tmpfs", "-o", options, "none", str(folder))
    try:
        yield mounted
    finally:
        if mounted:
            _succeeds("umount", "--lazy", str(folder))


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
