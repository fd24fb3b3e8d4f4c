"""Read a run's tables from CSV files, by the columns' declared types and never by the form of a value.

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
"""The largest table, compressed or not."""
NO_NUMBER = ("", "nan", "na", "<na>", "n/a", "null", "none")
"""The texts, in lower case, that stand for a missing number; only an empty text is a missing text."""


def read(path: Path, within: Path | None = None) -> pd.DataFrame:
    """Return every value as its text, None where it is empty. With `within`, symbolic links are not followed out of
    that folder. Raises ValueError for what is no CSV file."""
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
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes surplus fields for an index
        raise ValueError(f"{path}:2: not a CSV file: the row has more fields than line 1 has columns")
    table = table.astype(object).where(table.notna() & (table != ""), None)
    return table.apply(lambda column: with_texts(column, formulas.unmarked))


def with_texts(column: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """Return a column with its texts changed; `change` is called once for each distinct text, since a table of samples
    has millions of rows."""
    changed = {text: new for text in column.dropna().unique() if (new := change(text)) != text}
    if not changed:
        return column
    return pd.Series([changed.get(text, text) for text in column], column.index, dtype=object)  # None stays None


def storable(text: str) -> str:
    """Return a text that a CSV file in UTF-8 can contain: with escapes for NUL, and for half a surrogate pair, which
    Python makes of a file name that is not UTF-8."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def numbers(path: Path, table: pd.DataFrame, columns: Mapping[str, bool]) -> pd.DataFrame:
    """Return a table that was read from `path`, with numbers in some columns, whole ones where the mapping is True.
    Raises ValueError with the file, line and column of a value that is no such number."""
    converted = {}
    for name, is_whole in columns.items():
        convert = _whole if is_whole else float
        values: list[Any] = []
        for index, text in enumerate(table[name]):
            try:
                values.append(None if text is None or text.lower() in NO_NUMBER else convert(text))
            except ValueError as error:
                kind = "whole number" if is_whole else "number"
                line = line_of(table, index)
                raise ValueError(f"{path}:{line}: column {name!r} has {text!r}, which is no {kind}") from error
        converted[name] = pd.Series(values, table.index, dtype="Int64" if is_whole else "float64")
    return table.assign(**converted)


def line_of(table: pd.DataFrame, index: int) -> int:
    """Return the line of the file, from 1, on which the row at an index begins."""
    breaks = sum(text.count("\n") for row in table.iloc[:index].itertuples(index=False) for text in row if text)
    return index + 2 + breaks


def _whole(text: str) -> int:
    """Return a whole number, also from `3.0`: programs that read a column with gaps as real numbers write it so."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if number.is_integer():
            return int(number)
        raise


def _ending(content: bytes) -> str | None:
    """Return the line terminator where it is a newline alone: a carriage return within a text then ends no line."""
    head, newline, _ = content.partition(b"\n")
    return "\n" if newline and not head.endswith(b"\r") else None
