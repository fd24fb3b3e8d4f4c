"""What no one has foreseen, in one line, with the rest in a file."""

from __future__ import annotations

import tempfile
import traceback

from .worker.one_line import one_line


def in_one_line(error: BaseException) -> str:
    """What went wrong, and where its traceback is, which goes to a file of its own in the temporary folder."""
    what = one_line(f"{type(error).__name__}: {error}", 200)
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="relubench-traceback-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return f"something unexpected happened: {what}"
    return f"something unexpected happened: {what}; please report it with {file.name}"
