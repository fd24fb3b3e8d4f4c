"""Text for an output that lacks some characters, like an ASCII terminal."""

from __future__ import annotations

import codecs
import sys

from bench.measure.worker.one_line import visible

ERRORS = "relubench-plain"
"""The name of an error handler for `str.encode` and for streams: it spells missing characters in others."""
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
    """The encoding of the standard output that the process was started with, even if it has been replaced since."""
    return encoding_of(sys.__stdout__)


def encodable(text: str, encoding: str) -> str:
    """A text as a terminal can show it: characters that an encoding lacks are spelt in others, and those that the
    terminal would obey, or not show, are escapes."""
    text = visible(text, kept="\n\ufe0f")
    try:
        return text.encode(encoding, ERRORS).decode(encoding)
    except LookupError:  # an encoding that Python does not know cannot be asked
        return text


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(PLAIN.get(c, c.encode("unicode_escape").decode()) for c in missing), error.end


codecs.register_error(ERRORS, _plain)
