"""Mark the texts of a CSV file that a spreadsheet would run as a formula."""

from __future__ import annotations

import re

MARK = "'"
"""The character before a text that spreadsheets do not interpret."""
_FORMULA = re.compile(rf"{MARK}*[=+\-@\t\r＝＋－＠]")
_MARKED = re.compile(rf"{MARK}+[=+\-@\t\r＝＋－＠]")


def marked(text: str) -> str:
    """Return a text with a mark in front where a formula would begin. A text with marks of its own there gets one more,
    so that `unmarked` restores every text."""
    return MARK + text if _FORMULA.match(text) else text


def unmarked(text: str) -> str:
    """Return the text that was marked."""
    return text[1:] if _MARKED.match(text) else text
