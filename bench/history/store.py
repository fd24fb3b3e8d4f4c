"""The index in a results folder, `history.sqlite`, to which any number of processes may add runs at once.

A writer has an exclusive lock on the file `history.lock`. A reader needs none: SQLite's write-ahead log shows what was
there when the reading began, and a process that replaces the file waits until no other has the old one open.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analyse.run import loading
from bench.measure import journal, lock, unexpected
from bench.measure.replacing import remove_temporary, replaced
from bench.plan import reading as files

from .entries import Entry, entry_of

FILE, LOCK = "history.sqlite", "history.lock"
VERSION = 2
BUSY_SECONDS = 60.0
"""How long to wait for other writers: adding a run takes milliseconds, rebuilding the file seconds."""
POLL_SECONDS = 0.05
Say = Callable[[str], object]
"""Shows a line while something is waited for."""
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}
"""Codes of a damaged file; SQLITE_ERROR means that a table is missing."""
IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, started TEXT NOT NULL, adaptive INTEGER NOT NULL
);
CREATE TABLE cells (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, cell TEXT NOT NULL, conditions TEXT NOT NULL, UNIQUE (key, conditions)
);
CREATE TABLE versions (id INTEGER PRIMARY KEY, versions TEXT NOT NULL UNIQUE);
CREATE TABLE timed (
    cell INTEGER NOT NULL REFERENCES cells, run INTEGER NOT NULL REFERENCES runs, versions INTEGER NOT NULL
    REFERENCES versions, seconds REAL NOT NULL, floors BLOB NOT NULL, typicals BLOB NOT NULL, min_effect REAL NOT NULL,
    PRIMARY KEY (cell, run)
) WITHOUT ROWID;
CREATE TABLE untimed (
    run INTEGER NOT NULL REFERENCES runs, key TEXT NOT NULL, cell TEXT NOT NULL, conditions TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, min_effect REAL NOT NULL, PRIMARY KEY (run, key)
) WITHOUT ROWID;
"""
"""The timings of a cell are stored together, so that a series is read at once."""


@dataclass(frozen=True)
class Series:
    """A cell under conditions that did not change. `timings` has one row per run, in the order they were started: run,
    started (UTC), seconds (the floor), versions (a number), floors and typicals (bytes: float64, one a process), and
    min_effect (a fraction)."""

    key: str
    cell: dict[str, Any]
    conditions: dict[str, Any]
    timings: pd.DataFrame


@dataclass(frozen=True)
class Failed:
    """A cell that has no time in a run, with the conditions that are known without one."""

    key: str
    cell: dict[str, Any]
    conditions: dict[str, Any]
    status: str
    reason: str
    min_effect: float


@dataclass
class Rebuilt:
    """The outcome of a rebuild: how many runs are kept, which were cut off, which compare two sides, and why others
    could not be read."""

    runs: int = 0
    cut_off: list[str] = field(default_factory=list)
    two_sides: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def add(results: Path, entry: Entry, say: Say = lambda line: None) -> None:
    """Add a run, replacing what the index has of it. Raises ValueError or OSError, naming the file."""
    path = results / FILE
    with _locked(results, say):
        remove_temporary(path)
        if not path.exists():
            with _replacement(path) as beside, _opened(beside, results):
                pass  # without the run: what is killed meanwhile leaves a file behind
        with _opened(path, results) as connection:
            _insert(connection, entry)


def rebuild(results: Path, say: Say = lambda line: None) -> Rebuilt:
    """Make the index from the runs' folders, and replace the old one with it, even if that is damaged.

    Runs that end meanwhile are not lost. Raises FileNotFoundError where there are no runs, ValueError where
    another program has the old one open.
    """
    path, rebuilt, seen = results / FILE, Rebuilt(), set[Path]()
    if not loading.runs(results):
        raise FileNotFoundError(f"{results}: no run here to make a history of; its runs are in {results / 'runs'}")
    with ExitStack() as until_replaced, _replacement(path) as beside:
        with _opened(beside, results) as connection:
            _insert_runs(connection, results, seen, rebuilt)
            until_replaced.enter_context(_locked(results, say))
            _insert_runs(connection, results, seen, rebuilt)  # those that have ended meanwhile
        if path.exists() and not path.is_symlink():
            _wait(path, lambda: _retired(path), say, "another program has it open; close that one and try again")
    return rebuilt


@contextmanager
def reading(results: Path) -> Iterator[Reader]:
    """The index as it is now. Raises FileNotFoundError where there is none, ValueError where it is damaged."""
    path = results / FILE
    if not path.exists():
        raise FileNotFoundError(f"{path}: no history yet; {_remedy(results)} makes it of the runs that are there")
    with _opened(path, results) as connection:
        connection.execute("BEGIN")
        yield Reader(connection, results)


class Reader:
    """Reads the index."""

    def __init__(self, connection: sqlite3.Connection, results: Path) -> None:
        self._connection, self._results = connection, results

    def runs(self) -> pd.DataFrame:
        """A table of name, started and adaptive of each run, in the order they were started."""
        return self._table("SELECT name, started, adaptive FROM runs ORDER BY started, name")

    def cells(self) -> dict[int, str]:
        """The cell keys of the series by number, in the order the series began."""
        return dict(self._connection.execute("SELECT id, key FROM cells ORDER BY id"))

    def series(self, number: int) -> Series:
        """The series that has a number in `cells`."""
        [row] = self._connection.execute("SELECT key, cell, conditions FROM cells WHERE id = ?", (number,))
        timings = self._table(
            "SELECT name AS run, started, seconds, versions, floors, typicals, min_effect FROM timed "
            "JOIN runs ON runs.id = run WHERE cell = ? ORDER BY started, name",
            number,
        )
        return Series(row[0], json.loads(row[1]), json.loads(row[2]), timings)

    def versions(self) -> dict[int, dict[str, str]]:
        """The versions that the numbers in `Series.timings` stand for."""
        return {number: json.loads(text) for number, text in self._connection.execute("SELECT * FROM versions")}

    def failed(self, run: str) -> list[Failed]:
        """The cells of a run that have no time."""
        rows = self._connection.execute(
            "SELECT key, cell, conditions, status, reason, min_effect FROM untimed JOIN runs ON runs.id = run "
            "WHERE name = ?",
            (run,),
        )
        return [Failed(key, json.loads(cell), json.loads(conditions), *rest) for key, cell, conditions, *rest in rows]

    def missing(self) -> list[str]:
        """Complete runs in the results folder that are not in the index."""
        indexed = {name for (name,) in self._connection.execute("SELECT name FROM runs")}
        return [
            folder.name for folder in loading.runs(self._results) if folder.name not in indexed and _is_complete(folder)
        ]

    def _table(self, query: str, *values: Any) -> pd.DataFrame:
        times = {"started": {"utc": True, "format": "ISO8601"}}
        return pd.read_sql_query(query, self._connection, params=values, parse_dates=times)


def _insert(connection: sqlite3.Connection, entry: Entry) -> None:
    """Insert all of a run, or nothing where that fails."""
    with connection:
        connection.execute(
            "INSERT INTO runs (name, started, adaptive) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET started = excluded.started, adaptive = excluded.adaptive",
            (entry.run, entry.started, entry.adaptive),
        )
        [(run,)] = connection.execute("SELECT id FROM runs WHERE name = ?", (entry.run,))
        # By cell as well, since they are stored by cell.
        connection.execute("DELETE FROM timed WHERE cell IN (SELECT id FROM cells) AND run = ?", (run,))
        connection.execute("DELETE FROM untimed WHERE run = ?", (run,))
        timed = [
            {**vars(cell), "run": run, "floors": _packed(cell.floors), "typicals": _packed(cell.typicals)}
            for cell in entry.timed
        ]
        connection.executemany("INSERT OR IGNORE INTO cells VALUES (NULL, :key, :cell, :conditions)", timed)
        connection.executemany("INSERT OR IGNORE INTO versions VALUES (NULL, :versions)", timed)
        connection.executemany(
            "INSERT INTO timed SELECT cells.id, :run, versions.id, :seconds, :floors, :typicals, :min_effect "
            "FROM cells, versions WHERE key = :key AND conditions = :conditions AND versions.versions = :versions",
            timed,
        )
        connection.executemany(
            "INSERT INTO untimed VALUES (:run, :key, :cell, :conditions, :status, :reason, :min_effect)",
            [{**vars(cell), "run": run} for cell in entry.untimed],
        )


def _packed(values: tuple[float, ...]) -> bytes:
    return np.array(values, "<f8").tobytes()


def _insert_runs(connection: sqlite3.Connection, results: Path, seen: set[Path], rebuilt: Rebuilt) -> None:
    """Insert the runs that were not seen yet, or were not complete then."""
    rebuilt.cut_off.clear()
    for folder in loading.runs(results):
        if folder in seen:
            continue
        try:
            files.refuse_outside(folder, results)
            run = loading.read(folder)
            if not run.is_complete:
                rebuilt.cut_off.append(folder.name)
                continue
            if run.plan.sides:
                rebuilt.two_sides.append(folder.name)
            else:
                _insert(connection, entry_of(run))
                rebuilt.runs += 1
        except sqlite3.OperationalError:  # a fault of the disk, not of the run
            raise
        except Exception as error:  # a fault of one run must not cost the others
            text = str(error) if isinstance(error, OSError | ValueError) else unexpected.in_one_line(error)
            rebuilt.unreadable.append(text if str(folder) in text else f"{folder / journal.FILE}: {text}")
        seen.add(folder)


def _is_complete(folder: Path) -> bool:
    """Whether a run has to be in the index, by its files, which are written when it ends."""
    try:
        info = json.loads(files.read_text(folder / "run.json", loading.MOST_INFO_BYTES, within=folder))
        return bool(info["complete"] and not info["plan"].get("sides"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextmanager
def _opened(file: Path, results: Path) -> Iterator[sqlite3.Connection]:
    """Open an index, or make one. SQLite's errors become ValueErrors that say what to do."""
    for opened in (file, *_companions(file)):
        files.refuse_outside(opened, results)
    path, is_new, mode = results / FILE, not file.exists(), ""
    if not os.access(results, os.W_OK):  # SQLite can make no log there: an existing one is used
        mode = "mode=ro" if all(companion.exists() for companion in _companions(file)) else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", BUSY_SECONDS, uri=True)) as connection:
            if is_new:
                connection.executescript(f"PRAGMA journal_mode = WAL; {TABLES} PRAGMA user_version = {VERSION}")
            # Not waiting for the disk halves the time. A power cut may damage the index, but not the runs.
            connection.execute("PRAGMA synchronous = OFF")
            [(version,)] = connection.execute("PRAGMA user_version")
            if version != VERSION:
                raise ValueError(
                    f"{path}: not a history of this version of relubench; {_remedy(results)} makes it anew"
                )
            yield connection
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        reason = str(error)
        if code in DAMAGED:
            reason = f"damaged ({error}); {_remedy(results)} makes it anew"
        elif code in IN_USE:
            reason = _in_use()
        elif code == sqlite3.SQLITE_FULL:
            reason += f"; make room there, then {_remedy(results)} has every run in it"
        raise ValueError(f"{path}: {reason}") from error


@contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    """The path for a file that replaces another. The old log is removed: SQLite would read the new file with it."""
    with replaced(path) as beside:
        yield beside
        for leftover in _companions(path):
            leftover.unlink(missing_ok=True)


def _retired(path: Path) -> bool:
    """Whether an old file is out of use. It is not while a process has it open, which would write to the new file's
    log. Afterwards it has no log, so that a reader that opens it just before it is replaced reads no other's."""
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:  # a damaged one is replaced as it is
        return error.sqlite_errorcode & 0xFF not in IN_USE
    return True


@contextmanager
def _locked(results: Path, say: Say) -> Iterator[None]:
    """Take the lock. Raises ValueError where another program keeps it for too long."""
    path = results / LOCK
    files.refuse_outside(path, results)
    with path.open("a") as file:
        _wait(path, lambda: lock.take(file.fileno()), say, _in_use())
        yield


def _wait(path: Path, attempt: Callable[[], bool], say: Say, complaint: str) -> None:
    """Wait until an attempt succeeds. Raises ValueError where none does for too long."""
    if attempt():
        return
    say(f"{path}: another process{lock.owner(path)} has it; waiting for at most {BUSY_SECONDS:g} s")
    end = time.monotonic() + BUSY_SECONDS
    while not attempt():
        if time.monotonic() > end:
            raise ValueError(f"{path}: {complaint}")
        time.sleep(POLL_SECONDS)


def _in_use() -> str:
    return f"another process has used it for {BUSY_SECONDS:g} s; try again when that one has ended"


def _companions(path: Path) -> list[Path]:
    """The files that SQLite keeps beside a file while it is open."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]


def _remedy(results: Path) -> str:
    """The command that rebuilds the index."""
    option = "" if results == Path("results") else f" --results {results}"
    return f"`python -m bench history rebuild{option}`"
