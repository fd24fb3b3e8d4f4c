"""Format times in words."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """Return a time with three significant digits and a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
