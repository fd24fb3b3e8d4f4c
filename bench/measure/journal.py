"""The journal: records as JSON lines, appended as things happen, so that a killed run loses little.

Each line has its number and, at its end, a checksum of what precedes it: one that was damaged is left out when the
journal is read, and lines that were swapped are put back. Lines of earlier versions have neither.
"""

from __future__ import annotations

import errno
import json
import os
import re
import zlib
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from bench.plan import reading
from bench.plan.plain import from_plain
from bench.plan.plan import Plan

from . import checked, extending, lock
from .calibrations import with_sound_calibration
from .foreign import harmless
from .records import Record, RunStarted, Unread

FILE = "journal.jsonl"
MOST_BYTES = 1 << 30
"""The largest journal that is read: a hundred thousand cells in five passes of five rounds."""
RENAMED = {"passage": "pass_number"}
"""Fields of records, by their names in earlier versions."""
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record) if kind is not Unread}
_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')


class Journal:
    """Appends records to `folder/journal.jsonl`; each is on its way to the disk when `append` returns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        path = folder / FILE
        self._file = path.open("ab", buffering=0)
        if not lock.take(self._file.fileno()):
            self._file.close()
            raise OSError(f"{path} is being written by another process{lock.owner(path)}")
        self._lines = _count_lines(path)

    def append(self, record: Record) -> None:
        """Append a record. Raises OSError that names the file where it cannot be written, and then has no part of the
        record, or where it was moved or removed, since what is written to a removed file is lost."""
        if not _is_same_file(self._file.fileno(), self._file.name):
            raise FileNotFoundError(errno.ENOENT, "it was moved or removed while the run was measured", self._file.name)
        line = encode(record, self._lines + 1)
        begin = os.fstat(self._file.fileno()).st_size
        written = 0
        try:
            while written < len(line):  # the system may write less than it is given
                written += self._file.write(line[written:])
        except OSError as error:
            os.ftruncate(self._file.fileno(), begin)  # else the next record would be on the same line
            raise OSError(error.errno, error.strerror, self._file.name) from error
        self._lines += 1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()


def encode(record: Record, number: int) -> bytes:
    """Return a record as a line of a journal. Floats survive the round trip exactly."""
    values = {"record": type(record).__name__, **asdict(record), "line": number}
    text = json.dumps(values, separators=(",", ":")).encode("ascii")
    return b'%s,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text))


def read(folder: Path) -> list[Record]:
    """Return a run's records, as `load` reads them."""
    return load(folder)[0]


def load(folder: Path) -> tuple[list[Record], Plan]:
    """Return a run's records and its plan, with the passes that it was extended to. An Unread record at the end
    stands for each line that could not be read: damaged, or cut short when the run was killed.

    Raises FileNotFoundError, or ValueError with the file and line where the first line does not say what was measured.
    """
    path = folder / FILE
    lines = reading.read_bytes(path, MOST_BYTES, within=folder).split(b"\n")
    cut_short = lines.pop()  # what follows the last newline: nothing, or a line cut short
    records: dict[int, Record] = {}
    unread: dict[int, str] = {}
    is_numbered = False
    for line_number, line in enumerate(lines, 1):
        try:
            number, record = _decode(line)
        except ValueError as error:
            unread[line_number] = str(error)
            continue
        if number is None and is_numbered:
            unread[line_number] = "it has no number"
            continue
        is_numbered = number is not None
        records.setdefault(number or line_number, record)
    first = records.get(1)
    if not isinstance(first, RunStarted):
        why = unread.get(1) or ("this line is cut short" if cut_short and not lines else "")
        raise ValueError(f"{path}:1: a journal begins with a RunStarted record{f', but: {why}' if why else ''}")
    try:
        plan = from_plain(first.plan)
    except ValueError as error:
        raise ValueError(f"{path}:1: {error}") from error
    records[1] = with_sound_calibration(first)
    keys = {cell.key for cell in plan.cells}
    labels = {contender.label for contender in (*plan.ceilings, *(cell.contender for cell in plan.cells))}
    for number in sorted(records)[1:]:
        if why := _out_of_place(records[number], keys, labels):
            unread[number] = why
            del records[number]
    for number in range(1, max(records)):
        if number not in records:
            unread.setdefault(number, "it is missing")
    if cut_short:
        unread[len(lines) + 1] = "it is cut short"
    in_order = [records[number] for number in sorted(records)]
    plan = extending.extended(plan, in_order)
    return [*in_order, *(Unread(*line) for line in sorted(unread.items()))], plan


def _decode(line: bytes) -> tuple[int | None, Record]:
    """Return a line's number, None in a line of an earlier version, and its record. Raises ValueError."""
    checksum = _CHECKSUM.search(line)
    if checksum:
        line = line[: checksum.start()] + b"}"
        if zlib.crc32(line) != int(checksum[1], 16):
            raise ValueError("it was changed after it was written")
    try:
        values = harmless(json.loads(line), line.decode())
        kind = _KINDS[values.pop("record")]
        number = values.pop("line") if checksum else None
        for earlier in RENAMED.keys() & values:
            values[RENAMED[earlier]] = values.pop(earlier)
        return number, checked.record(kind, values)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no record: {error!r}") from error


def _out_of_place(record: Record, keys: set[str], labels: set[str]) -> str:
    """Return why a record that follows the first cannot be of its run; empty where it can."""
    if isinstance(record, RunStarted):
        return "it is the start of another run"
    cell = getattr(record, "cell", None)
    cells = [cell] if cell is not None else getattr(record, "cells", [])
    unknown = next((key for key in cells if key not in keys), None)
    contender = getattr(record, "contender", None)
    if contender is not None and contender not in labels:
        unknown = contender
    return "" if unknown is None else f"it is of {unknown}, which the run does not have"


def _is_same_file(descriptor: int, path: str) -> bool:
    """Tell whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), Path(path).stat())
    except OSError:
        return False


def _count_lines(path: Path) -> int:
    """Return how many lines a journal has; a last line that was cut short is removed."""
    text = path.read_bytes()
    end = text.rfind(b"\n") + 1
    if end != len(text):
        os.truncate(path, end)
    return text.count(b"\n")
