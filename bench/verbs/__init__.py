"""The verbs of `python -m bench`, a file each: its HELP, the options it adds, and what it does."""

from __future__ import annotations

from typing import Any, NamedTuple


class Exit(NamedTuple):
    """What a verb returns whose exit code says something: its data and the code."""

    data: Any
    code: int
