"""The parts that every section of a Markdown page is made of."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from bench.measure.worker.one_line import MOST_CHARACTERS as ONE_LINE
from bench.measure.worker.one_line import one_line

MOST_CHARACTERS = 5000
"""The longest fact: it may be a command line or the contenders of a large grid."""


class Markdown(str):
    """Text that is Markdown already."""


def escaped(text: str, most: int = ONE_LINE) -> str:
    """Escape other people's words, like a reason: Markdown would end a cell at `|`, read code or HTML, and make a link
    or an image of a bracket that another follows."""
    words = re.sub(r"&(?=#?\w+;)", "&amp;", one_line(text, most)).replace("<", "&lt;")
    return re.sub(r"([\\`|]|\](?=[(\[:]))", r"\\\1", words)


def sentence(text: str) -> str:
    """Escape a sentence of this tool about other people's words, but leave its code as code."""
    return escaped(text, MOST_CHARACTERS).replace("\\`", "`")


def code(text: str) -> Markdown:
    """Other people's words as code, or escaped without its marks where they could end the code or its cell."""
    words = one_line(text, MOST_CHARACTERS)
    return Markdown(escaped(words, MOST_CHARACTERS) if re.search(r"[`<]|\\\|", words) else f"`{words}`")


def table(rows: pd.DataFrame) -> str:
    """A Markdown table. Its cells are not escaped."""
    return rows.to_markdown(index=False, disable_numparse=True)


def facts(values: dict[str, Any]) -> str:
    """A Markdown table of two columns: what, and its value."""
    rows = [(escaped(name), _fact(value)) for name, value in values.items()]
    return table(pd.DataFrame(rows, columns=["what", "value"]))


def _fact(value: Any) -> str:
    if isinstance(value, Markdown):
        return re.sub(r"(?<!\\)\|", r"\\|", value)  # a bar ends a cell even in code
    return escaped(str(value), MOST_CHARACTERS)
