"""Putting texts into files: all of them or none, and none half-written."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.measure.replacing import remove_temporary, temporary


def place(texts: Mapping[Path, str]) -> list[Path]:
    """Write all beside where they go, then move them there. Raises OSError that names the file in the way."""
    beside = {path: temporary(path) for path in texts}
    path = Path()
    try:
        for path, text in texts.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_temporary(path)  # a link that lies there would else be written through
            beside[path].write_text(text, encoding="utf-8", newline="")
        for path, written in beside.items():
            written.replace(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        for written in beside.values():
            with suppress(OSError):
                written.unlink(missing_ok=True)
    return [*texts]
