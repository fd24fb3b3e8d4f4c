"""Texts of a CSV file that a spreadsheet would take for a formula, and run."""

from __future__ import annotations

import re

MARK = "'"
"""As spreadsheets have it for a cell that is text."""
_FORMULA = re.compile(rf"{MARK}*[=+\-@\t\r＝＋－＠]")
_MARKED = re.compile(rf"{MARK}+[=+\-@\t\r＝＋－＠]")


def marked(text: str) -> str:
    """With a mark in front where a formula would begin. A text that has marks there itself gets one more, so that
    `unmarked` gives every text back."""
    return MARK + text if _FORMULA.match(text) else text


def unmarked(text: str) -> str:
    """The text that was marked."""
    return text[1:] if _MARKED.match(text) else text
