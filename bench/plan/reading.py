"""Reading files that other people name or hand over: regular files only, and no more of them than fits."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from pathlib import Path


def read_bytes(path: Path, most: int, within: Path | None = None) -> bytes:
    """A file's bytes. With `within`, it has to lie in that folder once symbolic links are followed.

    Raises OSError where it cannot be read, ValueError that names it where it is no regular file, leads out of the
    folder, or has more bytes than `most`.
    """
    if within is not None:
        refuse_outside(path, within)
    # A FIFO would else be waited for until someone writes into it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError(f"{path}: not a regular file but {_kind(found.st_mode)}")
    with open(descriptor, "rb") as file:
        if found.st_size > most:
            raise ValueError(f"{path}: too large: {found.st_size} bytes, of which at most {most} are read")
        content = file.read(most + 1)
    if len(content) > most:  # it grew, or its size is not what the system said
        raise ValueError(f"{path}: too large: more than {most} bytes")
    return content


def read_text(path: Path, most: int, within: Path | None = None) -> str:
    """The same as text in UTF-8, without the byte-order mark that some editors put in front of it."""
    return decoded(read_bytes(path, most, within), path)


def decoded(content: bytes, path: Path) -> str:
    """Text of a file's bytes. Raises ValueError with the file and line of what is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def unpacked(content: bytes, path: Path, most: int) -> bytes:
    """What gzip had packed. Raises ValueError that names the file where it is more than so many bytes, zlib.error or
    EOFError where it was not packed by gzip or is cut short."""
    parts, size = [], 0
    while content:
        packed = zlib.decompressobj(wbits=31)
        parts.append(packed.decompress(content, most + 1 - size))
        size += len(parts[-1])
        if size > most:
            raise ValueError(f"{path}: too large: more than {most} bytes once it is unpacked")
        if not packed.eof:
            raise EOFError("it is cut short")
        content = packed.unused_data  # another one may follow
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
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "something else")
