"""Tables of a run from their CSV files, by the columns' declared types and never by what a value looks like.

A reader that guesses takes the revision 21102e0 for the number 21102, and a reason `NA` for a missing one.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.plan import reading

from . import formulas

MOST_BYTES = 1 << 30
"""Of a table, packed or not."""
NO_NUMBER = ("", "nan", "na", "<na>", "n/a", "null", "none")
"""Lower-case texts that stand for a missing number; a missing text is only an empty one."""


def read(path: Path, within: Path | None = None) -> pd.DataFrame:
    """Every value as the text that it is, None where there is none. With `within`, symbolic links are not followed out
    of that folder. Raises ValueError for what is no CSV file."""
    content = reading.read_bytes(path, MOST_BYTES, within)
    try:
        if path.suffix == ".gz":
            content = reading.unpacked(content, path, MOST_BYTES)
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from error
    ending = _ending(content)
    try:
        table = pd.read_csv(
            io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig", lineterminator=ending
        )
    except ValueError as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for an index
        raise ValueError(f"{path}:2: not a CSV file: the row has more fields than line 1 has columns")
    table = table.astype(object).where(table.notna() & (table != ""), None)
    return table.apply(lambda column: with_texts(column, formulas.unmarked))


def with_texts(column: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """A column with its texts changed, of which each different one is looked at once: a table of samples has millions
    of rows."""
    changed = {text: new for text in column.dropna().unique() if (new := change(text)) != text}
    if not changed:
        return column
    return pd.Series([changed.get(text, text) for text in column], column.index, dtype=object)  # None stays None


def storable(text: str) -> str:
    """A text as a CSV file in UTF-8 can hold it: with escapes for NUL, and for half a surrogate pair, which Python
    makes of a file name that is not UTF-8."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def numbers(path: Path, table: pd.DataFrame, columns: Mapping[str, bool]) -> pd.DataFrame:
    """A table that was read from `path`, with numbers in some columns: whole ones where the mapping says so. Raises
    ValueError with the file, line and column of what is no such number."""
    converted = {}
    for name, whole in columns.items():
        convert = _whole if whole else float
        values: list[Any] = []
        for place, text in enumerate(table[name]):
            try:
                values.append(None if text is None or text.lower() in NO_NUMBER else convert(text))
            except ValueError as error:
                kind = "whole number" if whole else "number"
                line = line_of(table, place)
                raise ValueError(f"{path}:{line}: column {name!r} has {text!r}, which is no {kind}") from error
        converted[name] = pd.Series(values, table.index, dtype="Int64" if whole else "float64")
    return table.assign(**converted)


def line_of(table: pd.DataFrame, place: int) -> int:
    """The line of its file, from 1, on which the row at a place begins."""
    breaks = sum(text.count("\n") for row in table.iloc[:place].itertuples(index=False) for text in row if text)
    return place + 2 + breaks


def _whole(text: str) -> int:
    """Also of `3.0`, as programs write that read a column with gaps as real numbers."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if number.is_integer():
            return int(number)
        raise


def _ending(content: bytes) -> str | None:
    """What ends a line, where it can be one character; a carriage return within a text then ends none."""
    head, newline, _ = content.partition(b"\n")
    return "\n" if newline and not head.endswith(b"\r") else None
