"""Guess which known name was meant by an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 100
"""The most characters of a name that are compared: longer ones resemble nothing, and take the product's time."""


def hint(name: object, known: Iterable[str]) -> str:
    """Return `; did you mean 'numpy'?` to end a complaint with, or "" where no known name resembles this one."""
    by_lower = {known_name.lower(): known_name for known_name in known}
    near = difflib.get_close_matches(str(name)[:LONGEST].lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""
