"""What every section of a Markdown page is made of."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from bench.measure.worker.one_line import one_line

MOST_CHARACTERS = 5000
"""Of a fact. One may be long, like a command line or the contenders of a large grid."""


def escaped(text: str) -> str:
    """Other people's words, like a reason, as they are: Markdown would end a cell at `|`, and read code or HTML."""
    return re.sub(r"([\\`|<])", r"\\\1", one_line(text))


def table(rows: pd.DataFrame) -> str:
    """A Markdown table, its cells as they are."""
    return rows.to_markdown(index=False, disable_numparse=True)


def facts(values: dict[str, Any]) -> str:
    """Two columns: what, and its value."""
    rows = [(name, one_line(str(value), MOST_CHARACTERS).replace("|", "\\|")) for name, value in values.items()]
    return table(pd.DataFrame(rows, columns=["what", "value"]))
