"""Check that results can be written before minutes are spent on measuring."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from . import logs

LEAST_BYTES = 1 << 20
"""The space that has to be free: the files of a small run take about as much."""


def worded(error: OSError) -> str:
    """Say which file could not be read or written, why not, and, where it is known, what to do."""
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why += "; make room there and try again"
    return f"{error.filename}: {why}" if error.filename else why


def complaint(folder: Path) -> str:
    """Return why no file can be made in a folder, which may not exist yet; empty where one can.

    A temporary file is made to find out: permissions do not tell of a full or read-only disk.
    """
    for path in (folder.absolute(), *folder.absolute().parents):
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to {path.readlink()}, which is not there"
    try:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing, buffering=0) as file:
            file.write(bytes(LEAST_BYTES))
            return ""
    except OSError as error:
        return f"cannot write to {logs.path_from_here(folder)}: {error.strerror}"


def check_results(results: Path, below: str = "runs") -> None:
    """Raise ValueError if nothing can be written in a results folder or in the one below it."""
    for folder in (results, results / below):
        if why := complaint(folder):
            raise ValueError(f"--results: {why}; name a folder that can be written with --results DIR")


def complaint_about_file(file: Path) -> str:
    """Return why a file cannot be written, in a folder that has to exist; empty where it can."""
    if file.is_dir():
        return f"{file} is a folder"
    if file.exists():
        return "" if os.access(file, os.W_OK) else f"cannot write to {file}"
    folder = file.absolute().parent
    return complaint(folder) if folder.is_dir() else f"{file}: there is no folder {folder}"
