"""Describe exceptions in words."""

from __future__ import annotations

import traceback


def summary(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else f"{type(error).__name__} without a message"


def location(error: BaseException) -> str:
    """Return the file and line where an exception was raised; empty where they are not known."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def with_location(error: BaseException) -> str:
    """Return an exception's summary; where it has no message, also the source line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        summary(error)
        if str(error).strip() or not frames
        else f"{summary(error)}, from `{frames[-1].line}` at {location(error)}"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Recognise PyTorch's and CuPy's exceptions by name, and those of XLA and of PyTorch's CPU allocator by text."""
    named = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    text = str(error)
    return named or "RESOURCE_EXHAUSTED" in text or "can't allocate memory" in text or "out of memory" in text.lower()
