"""Write files that are never half-written: each is made beside the old one, then replaces it."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

_PROCESS = re.compile(r"\.([0-9]+)(-[a-z]+)?$")
"""The end of a temporary file's name: the process, then SQLite's suffix."""


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, whose file replaces `path` at the end. If anything fails, the old file stays
    as it is and nothing is left beside it. Raises OSError that names the file in the way."""
    beside = temporary(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporary(path)  # else a link of that name would be written through
        yield beside
        beside.replace(path)
    except OSError as error:
        if error.filename not in (None, str(beside)):
            raise  # it names another file, such as a later one of `write_texts`
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            remove_temporary(path)


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write all of the files or none: all are written beside their targets before the first is moved."""
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(replaced(path)).write_text(text, encoding="utf-8")


def write_text(file: Path, text: str) -> None:
    """Write a file that a user has named. A device, a pipe, a link, and a file in a folder in which no other file can
    be made are written directly."""
    is_usual = file.is_file() and not file.is_symlink() and os.access(file.parent, os.W_OK)
    if os.path.lexists(file) and not is_usual:
        file.write_text(text, encoding="utf-8")
        return
    with replaced(file) as beside:
        beside.write_text(text, encoding="utf-8")


def temporary(path: Path) -> Path:
    """Return where this process makes the file that will replace `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def remove_temporary(path: Path) -> None:
    """Remove the temporary files that this process, or one that was killed, has made for `path`."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        process = _PROCESS.search(leftover.name)
        if process and (int(process[1]) == os.getpid() or not psutil.pid_exists(int(process[1]))):
            leftover.unlink(missing_ok=True)
