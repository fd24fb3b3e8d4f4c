"""What every section of a Markdown page is made of."""

from __future__ import annotations

from typing import Any

import pandas as pd


def table(rows: pd.DataFrame) -> str:
    """A Markdown table, its cells as they are."""
    return rows.to_markdown(index=False, disable_numparse=True)


def facts(values: dict[str, Any]) -> str:
    """Two columns: what, and its value."""
    rows = [(name, str(value).replace("|", "\\|")) for name, value in values.items()]
    return table(pd.DataFrame(rows, columns=["what", "value"]))
