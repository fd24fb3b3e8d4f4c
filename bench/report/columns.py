"""The columns of a run's tables, as a table for readers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analyse.run.columns import CATEGORY, REAL, TEXT, WHOLE, Column

from . import page

KINDS = {TEXT: "text", CATEGORY: "text", WHOLE: "whole number", REAL: "number"}


def table(columns: Sequence[Column]) -> str:
    """A Markdown table of columns: what each holds, in which unit, and which values it may have."""
    return page.table(pd.DataFrame([_row(column) for column in columns]))


def _row(column: Column) -> dict[str, str]:
    values = f": {', '.join(f'`{value}`' for value in column.values)}" if column.values else ""
    optional = "; files of earlier versions may lack it" if column.is_optional else ""
    return {
        "column": f"`{column.name}`",
        "type": KINDS[column.dtype],
        "unit": column.unit,
        "meaning": f"{column.meaning}{values}{optional}",
    }
