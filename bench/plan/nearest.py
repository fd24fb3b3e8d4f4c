"""Which of the known names was probably meant by one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 100
"""Characters of a name that are compared: longer ones resemble nothing, and comparing takes their product."""


def hint(name: object, known: Iterable[str]) -> str:
    """`; did you mean 'numpy'?`, to be put behind a complaint; empty where no known name resembles this one."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(str(name)[:LONGEST].lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""
