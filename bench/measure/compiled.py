"""Give each worker an empty folder for the kernels that its framework compiles and keeps on disk: one that an earlier
process has compiled would make the first call look quick."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import processes
from .worker.limits import COMPILED, COMPILED_PREFIX


def new_folder() -> Path | None:
    """Make and return a folder that is removed even if this process is killed; None where that cannot be done."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=COMPILED_PREFIX)).absolute()
        processes.remove_in_the_end(folder)
    except OSError:
        return None
    return folder


def variables(folder: Path | None, parents: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have frameworks keep their kernels in a folder, without those that the user has set:
    who sets one asks for its kernels to be used again."""
    if not folder:
        return {}
    return {name: str(folder / part) for name, part in COMPILED.items() if name not in parents}


def remove(folder: Path | None) -> None:
    """Remove a folder with all that was compiled into it."""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
