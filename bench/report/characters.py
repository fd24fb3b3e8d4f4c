"""Text for an output that does not have every character, like an ASCII terminal."""

from __future__ import annotations

import codecs
import sys

from bench.measure.worker.one_line import visible

ERRORS = "relubench-plain"
"""An error handler for `str.encode` and for streams: it writes what is missing in characters that are not."""
PLAIN = {
    **{
        "×": "x",
        "·": "-",
        "µ": "u",
        "±": "+/-",
        "—": "-",
        "–": "-",
        "−": "-",
        "…": "...",
        "→": "->",
        "≥": ">=",
        "≤": "<=",
    },
    **{"²": "2", "∞": "inf", "√": "sqrt", "▲": "^", "▼": "v"},
    **{"✅": "[ok]", "❌": "[x]", "⚠": "[!]", "❔": "[?]", "\ufe0f": ""},
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
}


def encoding_of(stream: object) -> str:
    """A stream's encoding, or UTF-8, which has every character, where it has none of its own."""
    return getattr(stream, "encoding", None) or "utf-8"


def output_encoding() -> str:
    """Of the standard output that the process was started with, whatever stands in for it now."""
    return encoding_of(sys.__stdout__)


def encodable(text: str, encoding: str) -> str:
    """The text as a terminal can show it and no more: what an encoding lacks is spelt in other characters, and what
    the terminal would obey, or not show, is an escape."""
    text = visible(text, kept="\n\ufe0f")
    try:
        return text.encode(encoding, ERRORS).decode(encoding)
    except LookupError:  # an encoding that Python does not know cannot be asked
        return text


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(c, c.encode("unicode_escape").decode()) for c in lost), error.end


codecs.register_error(ERRORS, _plain)
