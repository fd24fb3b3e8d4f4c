"""The journal: records as JSON lines, appended as things happen, so that a killed run loses little.

Each line has its number and, at its end, a checksum of what precedes it: one that was damaged is left out when the
journal is read, and lines that were swapped are put back. Lines of earlier versions have neither.
"""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bench.plan import reading
from bench.plan.plain import from_plain
from bench.plan.plan import Plan

from . import extending, lines, lock
from .calibrations import with_sound_calibration
from .lines import encode
from .records import Record, RunStarted, Unread

FILE = "journal.jsonl"
MOST_BYTES = 1 << 30
"""The largest journal that is read: a hundred thousand cells in five passes of five rounds."""


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


class Reader:
    """Reads a run's journal, which may still be written: each time that it is read, only what was appended since."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._begin(file_number=0)

    def _begin(self, file_number: int) -> None:
        self._file_number = file_number
        self._size = self._line_count = 0
        """The bytes and the lines that were read."""
        self._is_numbered = False
        self._records: dict[int, Record | None] = {}
        """By number; None where it cannot be of the run."""
        self._unread: dict[int, str] = {}
        self._plan: Plan | None = None
        self._keys: dict[str, str] = {}
        self._labels: set[str] = set()

    def load(self) -> tuple[list[Record], Plan]:
        """Return the run's records and its plan, as the function `load` does, with its errors."""
        path = self.folder / FILE
        with reading.opened(path, MOST_BYTES, within=self.folder) as file, _without_collecting():
            status = os.fstat(file.fileno())
            if status.st_ino != self._file_number or status.st_size < self._size:
                self._begin(status.st_ino)
            file.seek(self._size)
            new, cut_short = self._read_lines(file)
        if not self._plan:
            self._plan = self._read_plan(path, cut_short)
        self._check_place(new)
        records = self._records
        unread = dict(self._unread)
        if len(records) < max(records):
            for number in range(1, max(records)):
                if number not in records:
                    unread.setdefault(number, "it is missing")
        if cut_short:
            unread[self._line_count + 1] = "it is cut short"
        in_order = [record for number in sorted(records) if (record := records[number]) is not None]
        plan = extending.extended(self._plan, in_order)
        return [*in_order, *(Unread(*line) for line in sorted(unread.items()))], plan

    def _read_lines(self, file: BinaryIO) -> tuple[list[int], bool]:
        """Read the lines that follow those read before. Return the numbers of new records, and whether more follows the
        last newline."""
        new: list[int] = []
        for line in file:
            if not line.endswith(b"\n"):
                return new, True
            self._size += len(line)
            self._line_count += 1
            try:
                number, record = lines.decode(line[:-1])
            except ValueError as error:
                self._unread[self._line_count] = str(error)
                continue
            if number is None and self._is_numbered:
                self._unread[self._line_count] = "it has no number"
                continue
            self._is_numbered = number is not None
            number = number or self._line_count
            if number not in self._records:
                self._records[number] = record
                new.append(number)
        return new, False

    def _read_plan(self, path: Path, cut_short: bool) -> Plan:
        first = self._records.get(1)
        if not isinstance(first, RunStarted):
            why = self._unread.get(1) or ("this line is cut short" if cut_short and not self._line_count else "")
            raise ValueError(f"{path}:1: a journal begins with a RunStarted record{f', but: {why}' if why else ''}")
        try:
            plan = from_plain(first.plan)
        except ValueError as error:
            raise ValueError(f"{path}:1: {error}") from error
        self._records[1] = with_sound_calibration(first)
        self._keys = {cell.key: cell.key for cell in plan.cells}
        self._labels = {contender.label for contender in (*plan.ceilings, *(cell.contender for cell in plan.cells))}
        return plan

    def _check_place(self, new: Sequence[int]) -> None:
        """Leave out those of the new records that cannot be of the run."""
        for number in new:
            record = self._records[number]
            if number > 1 and record and (why := _out_of_place(record, self._keys.keys(), self._labels)):
                self._unread[number] = why
                self._records[number] = None


def read(folder: Path) -> list[Record]:
    """Return a run's records, as `load` reads them."""
    return load(folder)[0]


def load(folder: Path) -> tuple[list[Record], Plan]:
    """Return a run's records and its plan, with the passes that it was extended to. An Unread record at the end
    stands for each line that could not be read: damaged, or cut short when the run was killed.

    Raises FileNotFoundError, or ValueError with the file and line where the first line does not say what was measured.
    """
    return Reader(folder).load()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Collect no garbage meanwhile: the collector would go through all records again and again, and none is garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _out_of_place(record: Record, keys: Collection[str], labels: Collection[str]) -> str:
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
