"""Writes to a standard output that may be closed, unread, full, or without some characters."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from bench.measure import writable
from bench.measure.worker.one_line import visible
from bench.report.characters import ERRORS

MOST_CHARACTERS = 5000
"""The longest complaint: it may list the names to choose from."""
CLOSED = "standard output is closed; send it to a file, or to /dev/null where it is not wanted"
BROKEN = "standard output was closed by its reader before all was written"


def spell_what_it_lacks() -> None:
    """Make the outputs spell characters that they lack, like µ on an ASCII terminal, in others from now on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def say(*lines: str, to: TextIO | None = None) -> None:
    """Print lines to standard output, or another. Characters that a terminal would obey, or not show, are written as
    escapes."""
    print(visible("\n".join(lines), kept="\n\ufe0f"), file=to, flush=True)


def write_exactly(text: str) -> None:
    """Write a text in UTF-8, whatever the terminal's encoding, for another program to read."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def abandon() -> None:
    """Discard what could not be written, so that Python does not fail on it again while it exits."""
    with suppress(OSError, ValueError, AttributeError):  # there may be no stream, or one without a file
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, sys.stdout.fileno())
        os.close(null_device)


def worded(error: Exception) -> str:
    """An error in words for a user: which file, and what is wrong."""
    if isinstance(error, BrokenPipeError):
        return BROKEN
    return writable.worded(error) if isinstance(error, OSError) else str(error)
