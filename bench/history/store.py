"""The index in a results folder, `history.sqlite`: runs are added by any number of processes at once.

SQLite's write-ahead log lets them, and readers, go on together. Only making the file anew needs it to itself: who
opens it shares a lock on the file beside it, who replaces it has that lock alone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analyse.run import loading, tables
from bench.measure import journal, lock, unexpected
from bench.measure.replacing import replaced
from bench.plan import reading as files

from .entries import Entry, Timed, entry_of

FILE, LOCK = "history.sqlite", "history.lock"
BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside the file while it is open."""
VERSION = 1
BUSY_SECONDS = 60.0
"""To wait for other writers, of which each takes milliseconds, and for who makes the file anew, which takes seconds."""
POLL_SECONDS = 0.05
Say = Callable[[str], object]
"""Shows a line while something is waited for."""


def _silent(line: str) -> None: ...


DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}
"""Codes of a file that is not what was written; SQLITE_ERROR: a table is missing."""
IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, started TEXT NOT NULL, adaptive INTEGER NOT NULL
);
CREATE TABLE cells (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, cell TEXT NOT NULL, conditions TEXT NOT NULL, UNIQUE (key, conditions)
);
CREATE TABLE versions (id INTEGER PRIMARY KEY, told TEXT NOT NULL UNIQUE);
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
"""A cell's timings lie together, so that a series is read in one go."""


@dataclass(frozen=True)
class Series:
    """A cell under conditions that did not change. `timings` has a row a run in the order they were started: run,
    started (UTC), seconds (the floor), versions (a number), floors and typicals (bytes: float64, one a process), and
    min_effect (a fraction)."""

    key: str
    cell: dict[str, Any]
    conditions: dict[str, Any]
    timings: pd.DataFrame


@dataclass(frozen=True)
class Failed:
    """A cell that has no time in a run; of its conditions those that are known without one."""

    key: str
    cell: dict[str, Any]
    conditions: dict[str, Any]
    status: str
    reason: str
    min_effect: float


@dataclass
class Rebuilt:
    """What became of a results folder's runs: how many are kept, which were cut off, which compare two sides, and
    what is no run."""

    runs: int = 0
    cut_off: list[str] = field(default_factory=list)
    two_sides: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def add(results: Path, entry: Entry, say: Say = _silent) -> None:
    """Keep a run, instead of what was kept of it before. Raises ValueError or OSError, naming the file."""
    path = results / FILE
    if not path.exists():
        with _locked(results, fcntl.LOCK_EX, say), _told(path, results):
            if not path.exists():
                with replaced(path) as beside:
                    _create(beside)
    with _locked(results, fcntl.LOCK_SH, say), _told(path, results), _opened(path, results) as connection:
        _insert(connection, [entry])


def rebuild(results: Path, say: Say = _silent) -> Rebuilt:
    """Make the index of the runs' folders, whatever is there, and put it in the old one's place.

    Runs that end meanwhile are not lost. Raises FileNotFoundError where there are no runs, ValueError where
    another program has the old one open.
    """
    path, done, seen = results / FILE, Rebuilt(), set[Path]()
    if not loading.runs(results):
        raise FileNotFoundError(f"{results}: no run here to make a history of; its runs are in {results / 'runs'}")
    with ExitStack() as lock_of_file, replaced(path) as beside, _told(path, results):
        _create(beside)
        with _opened(beside, results) as connection:
            _insert(connection, _entries(results, seen, done))
        lock_of_file.enter_context(_locked(results, fcntl.LOCK_EX, say))  # which is left once the file is in its place
        with _opened(beside, results) as connection:
            _insert(connection, _entries(results, seen, done))
        _retire(path)
    return done


@contextmanager
def reading(results: Path, say: Say = _silent) -> Iterator[Reader]:
    """The index as it is now. Raises FileNotFoundError where there is none, ValueError where it is damaged."""
    path = results / FILE
    for mine in (path, *_companions(path)):
        files.refuse_outside(mine, results)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no history yet; {_how(results)} makes it of the runs that are there")
    with _locked(results, fcntl.LOCK_SH, say), _told(path, results), _opened(path, results) as connection:
        connection.execute("BEGIN")
        yield Reader(connection, results)


class Reader:
    """What is in the index."""

    def __init__(self, connection: sqlite3.Connection, results: Path) -> None:
        self._connection, self._results = connection, results

    def runs(self) -> pd.DataFrame:
        """name, started and adaptive of each, in the order they were started."""
        found = self._table("SELECT name, started, adaptive FROM runs ORDER BY started, name")
        return found.assign(started=pd.to_datetime(found["started"], utc=True, format="ISO8601"))

    def cells(self) -> dict[int, str]:
        """Of each series, its cell's key; the ones that began first come first."""
        return dict(self._connection.execute("SELECT id, key FROM cells ORDER BY id"))

    def series(self, number: int) -> Series:
        """One of `cells`."""
        [row] = self._connection.execute("SELECT key, cell, conditions FROM cells WHERE id = ?", (number,))
        timings = self._table(
            "SELECT name AS run, started, seconds, versions, floors, typicals, min_effect FROM timed "
            "JOIN runs ON runs.id = run WHERE cell = ? ORDER BY started, name",
            number,
        )
        started = pd.to_datetime(timings["started"], utc=True, format="ISO8601")
        return Series(row[0], json.loads(row[1]), json.loads(row[2]), timings.assign(started=started))

    def versions(self) -> dict[int, dict[str, str]]:
        """What the numbers in `Series.timings` stand for."""
        return {number: json.loads(told) for number, told in self._connection.execute("SELECT * FROM versions")}

    def failed(self, run: str) -> list[Failed]:
        """A run's cells that have no time."""
        rows = self._connection.execute(
            "SELECT key, cell, conditions, status, reason, min_effect FROM untimed JOIN runs ON runs.id = run "
            "WHERE name = ?",
            (run,),
        )
        return [Failed(key, json.loads(cell), json.loads(on), *rest) for key, cell, on, *rest in rows]

    def missing(self) -> list[str]:
        """Whole runs in the results folder that are not in the index."""
        kept = {name for (name,) in self._connection.execute("SELECT name FROM runs")}
        return [folder.name for folder in loading.runs(self._results) if folder.name not in kept and _is_whole(folder)]

    def _table(self, query: str, *values: Any) -> pd.DataFrame:
        cursor = self._connection.execute(query, values)
        return pd.DataFrame(cursor.fetchall(), columns=[name for name, *_ in cursor.description])


def _insert(connection: sqlite3.Connection, entries: Iterator[Entry] | list[Entry]) -> None:
    """All or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    for entry in entries:
        for (number,) in connection.execute("SELECT id FROM runs WHERE name = ?", (entry.run,)).fetchall():
            # By cell as well, since that is how they lie.
            connection.execute("DELETE FROM timed WHERE cell IN (SELECT id FROM cells) AND run = ?", (number,))
            connection.execute("DELETE FROM untimed WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE id = ?", (number,))
        run = connection.execute(
            "INSERT INTO runs (name, started, adaptive) VALUES (?, ?, ?)",
            (entry.run, entry.started, entry.adaptive),
        ).lastrowid
        cells = {(key, on): number for number, key, on in connection.execute("SELECT id, key, conditions FROM cells")}
        for one in entry.timed:
            if (one.key, one.conditions) not in cells:
                cells[one.key, one.conditions] = connection.execute(
                    "INSERT INTO cells (key, cell, conditions) VALUES (?, ?, ?)", (one.key, one.cell, one.conditions)
                ).lastrowid
        versions = {told: _version(connection, told) for told in dict.fromkeys(one.versions for one in entry.timed)}
        connection.executemany(
            "INSERT INTO timed VALUES (?, ?, ?, ?, ?, ?, ?)",
            sorted(_row(cells[one.key, one.conditions], run, versions[one.versions], one) for one in entry.timed),
        )
        connection.executemany(
            "INSERT INTO untimed VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(run, one.key, one.cell, one.conditions, one.status, one.reason, one.min_effect) for one in entry.untimed],
        )
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, told: str) -> int:
    """The number that stands for it."""
    connection.execute("INSERT OR IGNORE INTO versions (told) VALUES (?)", (told,))
    [(number,)] = connection.execute("SELECT id FROM versions WHERE told = ?", (told,))
    return int(number)


def _row(cell: int | None, run: int | None, versions: int, one: Timed) -> tuple[Any, ...]:
    floors, typicals = (struct.pack(f"<{len(values)}d", *values) for values in (one.floors, one.typicals))
    return cell, run, versions, one.seconds, floors, typicals, one.min_effect


def _entries(results: Path, seen: set[Path], done: Rebuilt) -> Iterator[Entry]:
    """Of the runs that were not seen yet, or were not whole then."""
    done.cut_off.clear()
    for folder in loading.runs(results):
        if folder in seen:
            continue
        try:
            files.refuse_outside(folder, results)
            records = journal.read(folder)
            if not tables.is_complete(records):
                done.cut_off.append(folder.name)
                continue
            if tables.started(records).plan.get("sides"):
                done.two_sides.append(folder.name)
                seen.add(folder)
                continue
            entry = entry_of(records)
        except Exception as error:  # whatever is wrong with one run must not take the others
            text = str(error) if isinstance(error, OSError | ValueError) else unexpected.in_one_line(error)
            done.unreadable.append(text if str(folder) in text else f"{folder / journal.FILE}: {text}")
        else:
            done.runs += 1
            yield entry
        seen.add(folder)


def _is_whole(folder: Path) -> bool:
    """Whether it is a run to keep, as its files say, which are written when it ends."""
    try:
        info = json.loads(files.read_text(folder / "run.json", loading.MOST_INFO_BYTES, within=folder))
        return bool(info["complete"] and not info["plan"].get("sides"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _create(path: Path) -> None:
    path.unlink(missing_ok=True)  # a link that lies there would else be written through
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT")


def _retire(path: Path) -> None:
    """Take an old file out of use. Raises ValueError where a program that knows of no lock has it open: what that
    one still writes into its log would be taken for the new file's."""
    if path.exists():
        try:
            with closing(sqlite3.connect(path, timeout=1.0, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in IN_USE:
                raise ValueError(f"{path}: another program has it open; close that one and try again") from error
    for leftover in _companions(path):
        leftover.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path, results: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        # Not waiting for the disk halves the time. A power cut may cost the index, and nothing that it is made of.
        connection.execute("PRAGMA synchronous = OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise ValueError(f"{path}: not a history of this version of relubench; {_how(results)} makes it anew")
        try:
            yield connection
        except BaseException:
            with suppress(sqlite3.Error):
                connection.rollback()
            raise


@contextmanager
def _told(path: Path, results: Path) -> Iterator[None]:
    """SQLite's complaints as ValueErrors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in DAMAGED:
            raise ValueError(f"{path}: damaged ({error}); {_how(results)} makes it anew") from error
        if code in IN_USE:
            raise ValueError(f"{path}: {_in_use()}") from error
        if code == sqlite3.SQLITE_FULL:
            raise ValueError(f"{path}: {error}; make room there, then {_how(results)} has every run in it") from error
        raise ValueError(f"{path}: {error}") from error


@contextmanager
def _locked(results: Path, kind: int, say: Say) -> Iterator[None]:
    """Raises ValueError where another program keeps the lock for too long."""
    path = results / LOCK
    files.refuse_outside(path, results)
    with path.open("a") as file:
        begin = None
        while not _take(file.fileno(), kind):
            if begin is None:
                begin = time.monotonic()
                say(f"{path}: another process{lock.owner(path)} has it; waiting for at most {BUSY_SECONDS:g} s")
            elif time.monotonic() - begin > BUSY_SECONDS:
                raise ValueError(f"{path}: {_in_use()}")
            time.sleep(POLL_SECONDS)
        yield


def _take(descriptor: int, kind: int) -> bool:
    """Whether the lock is this process's now. Where the file system has no locks, it is."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
    return True


def _in_use() -> str:
    return f"another process has used it for {BUSY_SECONDS:g} s; try again when that one has ended"


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in BESIDE]


def _how(results: Path) -> str:
    where = "" if results == Path("results") else f" --results {results}"
    return f"`python -m bench history rebuild{where}`"
