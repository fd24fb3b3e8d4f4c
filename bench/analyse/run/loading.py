"""Read runs from their folders or CSV files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from bench.measure import journal
from bench.measure.records import STATUSES
from bench.measure.worker.one_line import all_visible, one_line
from bench.plan import reading

from . import csvfiles
from .columns import NUMERIC, SAMPLES, TIMINGS, WHOLE, Column, names, typed
from .run import Run
from .tables import RunTables

MOST_INFO_BYTES = 1 << 28
"""The largest run.json, which has every cell of the plan."""


def load_run(path: str | PathLike[str]) -> RunTables:
    """Return the tables of a run's folder, of a results folder's newest run, or of a `timings.csv`.

    Raises FileNotFoundError where there is no run, ValueError where the files are not those of a run.
    """
    path = Path(path)
    if run := load(path):
        return tables_of(run, path)
    return _from_csv(path) if path.is_file() else _from_csv(path / "timings.csv", within=path)


def tables_of(run: Run, path: Path) -> RunTables:
    """Return the tables of a run read from `path`. Raises ValueError where its records are of another version."""
    try:
        return run.tables
    except (KeyError, TypeError) as error:
        raise ValueError(f"{find(path) / journal.FILE}: not of this version of relubench: {error!r}") from error


def load(path: Path) -> Run | None:
    """Return a run, from where `load_run` finds it; None where it has no journal, so that only a CSV is left.

    Raises FileNotFoundError or ValueError as `load_run` does.
    """
    if path.is_file() and path.name != journal.FILE:
        return None
    folder = find(path)
    return read(folder) if (folder / journal.FILE).exists() else None


def read(folder: Path) -> Run:
    """Return the run of a folder's journal. Raises FileNotFoundError or ValueError."""
    return Run(*journal.load(folder))


def with_journal(path: Path, purpose: str) -> tuple[Path, Run]:
    """Return the folder of a run, or of a results folder's newest, and the run. Raises FileNotFoundError with the
    `purpose` of the journal where that is lost."""
    folder = find(path)
    run = load(folder)
    if run is None:
        raise FileNotFoundError(f"{folder}: only a CSV is left of this run, no {journal.FILE} {purpose}")
    return folder, run


class Growing:
    """A run that is still measured, and is looked at again and again: what was read of its journal is kept."""

    def __init__(self, folder: Path) -> None:
        self._reader = journal.Reader(folder)

    def run(self) -> Run:
        """Return the run as far as it is in the journal now. Raises FileNotFoundError or ValueError."""
        return Run(*self._reader.load())


def runs(results: Path) -> list[Path]:
    """Return the folders of the runs in a results folder, in the order they were started."""
    return sorted(journal_file.parent for journal_file in results.glob(f"runs/*/{journal.FILE}"))


def find(path: Path) -> Path:
    """Return a run's folder: the path itself, or the newest run of a results folder. Raises FileNotFoundError."""
    if path.name == journal.FILE and path.is_file():
        return path.parent
    if (path / journal.FILE).exists():
        return path
    if run_folders := runs(path):
        reading.refuse_outside(run_folders[-1], path)
        return run_folders[-1]
    if (path / "timings.csv").exists():
        return path
    raise FileNotFoundError(f"{path}: no run here; a run's folder holds {journal.FILE}, a results folder runs/")


def _from_csv(path: Path, within: Path | None = None) -> RunTables:
    if within:
        reading.refuse_outside(path, within)
    texts = csvfiles.read(path)
    _check_columns(path, texts, TIMINGS, "timings.csv")
    for index, status in enumerate(texts["status"]):
        if status not in STATUSES:
            line = csvfiles.line_of(texts, index)
            problem = f"{status!r} is no status" if status else "the row has no status"
            raise ValueError(f"{path}:{line}: {problem}; those are {', '.join(STATUSES)}")
    table = _typed(path, texts, TIMINGS)
    table["reason"] = pd.Series(table["reason"].map(one_line, na_action="ignore"), dtype="string")
    name = str(texts["run"].iloc[0]) if len(texts) else path.parent.name
    return RunTables(name, table, _samples_beside(path), _info_beside(path))


def _samples_beside(path: Path) -> pd.DataFrame:
    beside = path.parent / "samples.csv.gz"
    if not beside.exists():
        return typed(pd.DataFrame(columns=names(SAMPLES)), SAMPLES)
    texts = csvfiles.read(beside, within=path.parent)
    _check_columns(beside, texts, SAMPLES, "samples.csv.gz")
    return _typed(beside, texts, SAMPLES)


def _info_beside(path: Path) -> dict[str, Any]:
    beside = path.parent / "run.json"
    try:
        if not beside.exists():
            return {}
        text = reading.read_text(beside, MOST_INFO_BYTES, within=path.parent)
        return dict(all_visible(json.loads(text)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{beside}: not valid JSON: {error}") from error


def _check_columns(path: Path, table: pd.DataFrame, columns: Sequence[Column], what: str) -> None:
    """Raise ValueError for the first missing column, except for those that earlier versions did not write."""
    for column in columns:
        if column.name not in table and not column.is_optional:
            raise ValueError(f"{path}:1: not a {what}: it has no column {column.name!r}")


def _typed(path: Path, texts: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    numeric = {
        column.name: column.dtype == WHOLE for column in columns if column.dtype in NUMERIC and column.name in texts
    }
    return typed(csvfiles.numbers(path, texts, numeric), columns)
