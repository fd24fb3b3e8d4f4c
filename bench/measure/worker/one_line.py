"""Make text, like an exception's message or a line of a log, fit for one row of a table.

Other people's text may also be made to deceive: by sequences that a terminal obeys, by invisible characters, and by
those that change the direction of text. All of these become escapes like `\\x1b` and `\\u202e`.
"""

from __future__ import annotations

import re
from typing import Any

MOST_CHARACTERS = 500
_BLANKS = re.compile(r"[\t\n\v\f\r]")
_TERMINAL_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Colours, cursor movements and titles (ECMA-48), which mean nothing outside a terminal."""
_INVISIBLE = re.compile(
    "[\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\ufe00-\\ufe0f\\uffa0\\U000e0100-\\U000e01ef]"
)
"""Characters that Unicode counts as letters, marks or symbols, but that fonts do not show."""


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return the words on one line: line breaks and blanks become single spaces, terminal sequences are removed, other
    characters that cannot be printed become escapes like `\\x00`, and too long a text is cut in its middle."""
    return cut(visible(" ".join(_TERMINAL_SEQUENCES.sub("", text).split())), most)


def visible(text: str, kept: str = "") -> str:
    """Return the text with an escape for each invisible character, except those in `kept`."""
    if text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(c if c in kept or (c.isprintable() and not _INVISIBLE.match(c)) else _escape(c) for c in text)


def all_visible(value: Any) -> Any:
    """Return plain data, as in JSON, with every text and key in it on one line and visible.

    Characters are replaced one by one, so that texts made of the same parts still match: blanks are not joined and
    nothing is cut.
    """
    if isinstance(value, str):
        return visible(_BLANKS.sub(" ", _TERMINAL_SEQUENCES.sub("", value)))
    if isinstance(value, dict):
        return {all_visible(key): all_visible(item) for key, item in value.items()}
    return [all_visible(item) for item in value] if isinstance(value, list) else value


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def cut(text: str, most: int) -> str:
    """Cut out the middle of a text that is too long: a message begins with what happened and ends with where."""
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end].rstrip()} … {text[len(text) - end :].lstrip()}"
