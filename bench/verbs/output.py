"""Standard output as it may be: closed, read by no one any more, full, or without all characters."""

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
"""Of a complaint, which may list what there is."""
CLOSED = "standard output is closed; send it to a file, or to /dev/null where it is not wanted"
BROKEN = "standard output was closed by its reader before all was written"


def spell_what_it_lacks() -> None:
    """From now on, print characters that an output does not have, like an ASCII terminal's µ, in others."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def say(*lines: str, to: TextIO | None = None) -> None:
    """Print lines to standard output, or another, as a terminal can show them: what it would obey, or not show, is an
    escape."""
    print(visible("\n".join(lines), kept="\n\ufe0f"), file=to, flush=True)


def write_exactly(text: str) -> None:
    """In UTF-8, whatever the terminal's encoding: for text that another program reads."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def abandon() -> None:
    """Forget what could not be written, lest Python fails on it once more while it exits."""
    with suppress(OSError, ValueError, AttributeError):  # there may be no stream, or none with a file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def worded(error: Exception) -> str:
    """An error as a user reads it: which file, and why not."""
    if isinstance(error, BrokenPipeError):
        return BROKEN
    return writable.worded(error) if isinstance(error, OSError) else str(error)
