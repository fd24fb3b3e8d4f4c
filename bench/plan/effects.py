"""How large a difference has to be to matter, by cell."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def of(key: str, overall: float, patterns: Iterable[tuple[str, float]]) -> float:
    """Return the effect of the last pattern that matches a cell's key, else the overall one.

    Patterns are those of shells: `*`, `?`, `[ab]`. A key is like `step[numpy-cpu-float32-N64-D1000-H100]`. Its own
    bracket would begin a set of letters, so a pattern has `*` instead.
    """
    return next((effect for pattern, effect in reversed([*patterns]) if fnmatchcase(key, pattern)), overall)
