"""The log files of workers."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO

from .worker.one_line import one_line

READ_BYTES = 1 << 16
MOST_CHARACTERS = 200
MOST_BYTES = 1 << 20
"""The largest log; of a larger one, a quarter of this is kept at each end."""
LONGEST_NAME = 200
"""Bytes of a file's name; file systems allow 255."""


def open_to_append(log: Path) -> BinaryIO:
    """Open a log to append to it. Raises OSError, also where it is not a file: a pipe would never open."""
    if log.exists() and not log.is_file():
        raise FileExistsError(f"{log} is not a file")
    return log.open("ab")


def last_line(log: Path, start: int = 0) -> str:
    """Return the last line that is not blank from position `start` on; what precedes it is of an earlier process.
    Empty where there is none, or where the log cannot be read."""
    if not log.is_file():
        return ""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= size else 0, size - READ_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = (one_line(line, MOST_CHARACTERS) for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")


def bound(log: Path) -> None:
    """Replace the middle of a log that is too long by a note. A process that writes to the log must append."""
    try:
        size = log.stat().st_size
        if size <= MOST_BYTES:
            return
        with log.open("r+b") as file:
            kept = MOST_BYTES // 4
            file.seek(size - kept)
            end = file.read(kept)
            file.seek(kept)
            file.truncate()
            file.write(b"\n[%d bytes were left out here]\n" % (size - 2 * kept))
            file.write(end)
    except OSError:  # a log is no reason to end a run
        return


def file_name(label: str) -> str:
    """Return the name of a contender's log. Its label may contain anything in a run of someone else's: a digest
    distinguishes labels that are too long for a file's name, or have other characters."""
    name = re.sub(r"[^\w.+~%-]", "_", label)
    if name == label.replace(":", "_") and len(name.encode()) <= LONGEST_NAME:
        return f"{name}.log"
    digest = hashlib.sha256(label.encode(errors="backslashreplace")).hexdigest()[:12]
    return f"{name.encode()[:100].decode(errors='ignore')}-{digest}.log"


def path_from_here(path: Path) -> str:
    """Return a path that the user can open: relative if it is below the working folder, else absolute."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):  # the working folder may be gone
        return str(path.absolute())
