"""Read files that other people name or provide: regular files only, up to a size limit."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def read_bytes(path: Path, most_bytes: int, within: Path | None = None) -> bytes:
    """Return the bytes of a file, which is opened as by `opened`, with its errors."""
    with opened(path, most_bytes, within) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:  # it grew, or its size is not what the system said
        raise ValueError(f"{path}: too large: more than {most_bytes} bytes")
    return content


@contextmanager
def opened(path: Path, most_bytes: int, within: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading its bytes. With `within`, it has to lie in that folder once symbolic links are followed.

    Raises OSError where it cannot be read, and ValueError that names it where it is no regular file, leads out of the
    folder, or has more than `most_bytes`.
    """
    if within is not None:
        refuse_outside(path, within)
    # Without O_NONBLOCK, opening a FIFO waits until someone writes into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError(f"{path}: not a regular file but {_kind(status.st_mode)}")
    with open(descriptor, "rb") as file:
        if status.st_size > most_bytes:
            raise ValueError(f"{path}: too large: {status.st_size} bytes, of which at most {most_bytes} are read")
        yield file


def read_text(path: Path, most_bytes: int, within: Path | None = None) -> str:
    """Return a file's UTF-8 text, read as by `read_bytes`, without the byte-order mark that some editors put first."""
    return decoded(read_bytes(path, most_bytes, within), path)


def decoded(content: bytes, path: Path) -> str:
    """Return the text of a file's bytes. Raises ValueError with the file and line of what is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def unpacked(content: bytes, path: Path, most_bytes: int) -> bytes:
    """Decompress what gzip compressed. Raises ValueError that names the file where the result exceeds `most_bytes`,
    zlib.error or EOFError where the content is not gzip's or is cut short."""
    parts, size = [], 0
    while content:
        decompressor = zlib.decompressobj(wbits=31)
        parts.append(decompressor.decompress(content, most_bytes + 1 - size))
        size += len(parts[-1])
        if size > most_bytes:
            raise ValueError(f"{path}: too large: more than {most_bytes} bytes once it is unpacked")
        if not decompressor.eof:
            raise EOFError("it is cut short")
        content = decompressor.unused_data  # another member may follow
    return b"".join(parts)


def refuse_outside(path: Path, folder: Path) -> None:
    """Raise ValueError where symbolic links lead from a path in a folder out of it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{path}: a symbolic link that leads out of {folder}, which is not followed")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
        stat.S_ISSOCK: "a socket",
    }
    return next((name for is_of_kind, name in kinds.items() if is_of_kind(mode)), "something else")
