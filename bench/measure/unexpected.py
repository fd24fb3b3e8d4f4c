"""Report an unexpected exception in one line, with its traceback in a file."""

from __future__ import annotations

import tempfile
import traceback

from .worker.one_line import one_line


def in_one_line(error: BaseException) -> str:
    """Return a message that names the file, in the temporary folder, to which the traceback is written."""
    what = one_line(f"{type(error).__name__}: {error}", 200)
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="relubench-traceback-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return f"something unexpected happened: {what}"
    return f"something unexpected happened: {what}; please report it with {file.name}"
