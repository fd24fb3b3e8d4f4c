"""What every section of a Markdown page is made of."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from bench.measure.worker.one_line import MOST_CHARACTERS as ONE_LINE
from bench.measure.worker.one_line import one_line

MOST_CHARACTERS = 5000
"""Of a fact. One may be long, like a command line or the contenders of a large grid."""


class Markdown(str):
    """Text that is Markdown already."""


def escaped(text: str, most: int = ONE_LINE) -> str:
    """Other people's words, like a reason, as they are: Markdown would end a cell at `|`, read code or HTML, and make
    a link or an image of a bracket that another follows."""
    return re.sub(r"([\\`|<]|\](?=[(\[:]))", r"\\\1", one_line(text, most))


def sentence(text: str) -> str:
    """A sentence of this tool's own about other people's words: what it has as code stays code."""
    return escaped(text, MOST_CHARACTERS).replace("\\`", "`")


def code(text: str) -> Markdown:
    """Other people's words as code, of which none of their own backticks is the end."""
    words = one_line(text, MOST_CHARACTERS)
    fence = "`" * (max(map(len, re.findall("`+", words)), default=0) + 1)
    space = " " if "`" in (words[:1], words[-1:]) else ""
    return Markdown(f"{fence}{space}{words}{space}{fence}")


def table(rows: pd.DataFrame) -> str:
    """A Markdown table, its cells as they are."""
    return rows.to_markdown(index=False, disable_numparse=True)


def facts(values: dict[str, Any]) -> str:
    """Two columns: what, and its value."""
    rows = [(escaped(name), _fact(value)) for name, value in values.items()]
    return table(pd.DataFrame(rows, columns=["what", "value"]))


def _fact(value: Any) -> str:
    if isinstance(value, Markdown):
        return value.replace("|", "\\|")  # which ends a cell even in code
    return escaped(str(value), MOST_CHARACTERS)
