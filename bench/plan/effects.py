"""How large a difference has to be to matter, in some cells more than in others."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def of(key: str, overall: float, patterns: Iterable[tuple[str, float]]) -> float:
    """The last pattern's that matches a cell's key, as shells match names: `*`, `?`, `[ab]`; else the overall one.

    A key is like `step[numpy-cpu-float32-N64-D1000-H100]`. Its own bracket would begin a set of letters, so a
    pattern has `*` in its place.
    """
    return next((effect for pattern, effect in reversed([*patterns]) if fnmatchcase(key, pattern)), overall)
