"""The journal: records as JSON lines, appended as things happen, so that a killed run loses little."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from bench.plan import reading

from .foreign import harmless
from .records import Record, RunStarted

FILE = "journal.jsonl"
MOST_BYTES = 1 << 30
"""Of a journal that is read: a hundred thousand cells in five passes of five rounds."""
Prepare = Callable[[dict[str, Any], str], dict[str, Any]]
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record)}


class Journal:
    """Appends records to `folder/journal.jsonl`; each is on its way to the disk when `append` returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        path = folder / FILE
        if path.exists():
            _drop_torn_line(path)
        self._file = path.open("a", encoding="utf-8")

    def append(self, record: Record) -> None:
        self._file.write(encode(record) + "\n")
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()


def encode(record: Record) -> str:
    """One line of JSON. Floats survive the round trip exactly."""
    return json.dumps({"record": type(record).__name__, **asdict(record)}, separators=(",", ":"))


def read(folder: Path) -> list[Record]:
    """A run's records. A last line that was cut short is passed over: that block was in flight.

    Raises FileNotFoundError, or ValueError with the file and line that is no record.
    """
    path = folder / FILE
    lines = reading.read_text(path, MOST_BYTES, within=folder).split("\n")
    torn = lines.pop()  # what follows the last newline: nothing, or a line cut short
    records = [decode(line, f"{path}:{number}", harmless) for number, line in enumerate(lines, 1)]
    if not records or not isinstance(records[0], RunStarted):
        raise ValueError(
            f"{path}:1: a journal begins with a RunStarted record{', this line is cut short' if torn else ''}"
        )
    return records


def decode(line: str, where: str, prepare: Prepare = lambda values, line: values) -> Record:
    """The record in a line, whose fields may be prepared first; raises ValueError that begins with `where`."""
    try:
        values = prepare(json.loads(line), line)
        return _KINDS[values.pop("record")](**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{where}: not a record of a journal: {error}") from error


def _drop_torn_line(path: Path) -> None:
    text = path.read_bytes()
    end = text.rfind(b"\n") + 1
    if end != len(text):
        os.truncate(path, end)
