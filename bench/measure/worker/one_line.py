"""Text of any kind, like an exception's message or a line of a log, made fit for one row of a table."""

from __future__ import annotations

import re

MOST_CHARACTERS = 500
_TERMINAL_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Colours, cursor movements and titles (ECMA-48): what a log has of them means nothing elsewhere."""


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """The same words on one line: line breaks and blanks become single spaces, terminal sequences are removed, other
    characters that cannot be printed become escapes like `\\x00`, and what is too long is cut in its middle."""
    words = " ".join(_TERMINAL_SEQUENCES.sub("", text).split())
    return cut("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words), most)


def cut(text: str, most: int) -> str:
    """At most so many characters: a message says at its beginning what happened, and at its end where."""
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end].rstrip()} … {text[len(text) - end :].lstrip()}"
