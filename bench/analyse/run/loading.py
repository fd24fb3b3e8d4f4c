"""Reading runs: the one place that knows where a run's facts are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from bench.measure import journal
from bench.measure.records import STATUSES, Record
from bench.measure.worker.one_line import all_visible, one_line
from bench.plan import reading

from . import csvfiles, environments, tables

MOST_INFO_BYTES = 1 << 28
"""Of a run.json, which has every cell of the plan."""


@dataclass(frozen=True)
class Run:
    """A run's tables. `info` is its plan, machine and options, empty where only a CSV is left."""

    name: str
    timings: pd.DataFrame
    samples: pd.DataFrame
    info: dict[str, Any]


def load_run(path: str | PathLike[str]) -> Run:
    """From a run's folder, a results folder (its newest run) or a `timings.csv`.

    Raises FileNotFoundError when there is no run, ValueError when what is there is none.
    """
    path = Path(path)
    records = records_of(path)
    if records is None:
        if path.is_file():
            return _from_csv(path)
        reading.refuse_outside(path / "timings.csv", path)
        return _from_csv(path / "timings.csv")
    try:
        return Run(tables.started(records).run, tables.timings(records), tables.samples(records), info(records))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{find(path) / journal.FILE}: not of this version of relubench: {error!r}") from error


def records_of(path: Path) -> list[Record] | None:
    """A run's journal, found as `load_run` does; None where only a CSV is left."""
    if path.is_file() and path.name != journal.FILE:
        return None
    folder = find(path)
    return journal.read(folder) if (folder / journal.FILE).exists() else None


def runs(results: Path) -> list[Path]:
    """The folders of the runs in a results folder, in the order they were started."""
    return sorted(found.parent for found in results.glob(f"runs/*/{journal.FILE}"))


def find(path: Path) -> Path:
    """A run's folder: the path itself, or the newest run of a results folder. Raises FileNotFoundError."""
    if path.name == journal.FILE and path.is_file():
        return path.parent
    if (path / journal.FILE).exists():
        return path
    if found := runs(path):
        reading.refuse_outside(found[-1], path)
        return found[-1]
    if (path / "timings.csv").exists():
        return path
    raise FileNotFoundError(f"{path}: no run here; a run's folder holds {journal.FILE}, a results folder runs/")


def info(records: list[Record]) -> dict[str, Any]:
    """What `run.json` holds: what was asked, of which machine, and how it ended."""
    head = tables.started(records)
    return {
        "run": head.run,
        "started": head.started,
        "complete": tables.is_complete(records),
        "options": head.options,
        "machine": head.machine,
        "plan": head.plan,
        "environment": environments.of_run(records),
    }


def _from_csv(path: Path) -> Run:
    timings = csvfiles.read(path)
    missing = [name for name in tables.TIMINGS if name not in timings]
    if needed := [name for name in missing if name not in tables.LATER]:
        raise ValueError(f"{path}:1: not a timings.csv: it has no column {needed[0]!r}")
    for place, status in enumerate(timings["status"]):
        if status not in STATUSES:
            line = csvfiles.line_of(timings, place)
            what = f"{status!r} is no status" if status else "the row has no status"
            raise ValueError(f"{path}:{line}: {what}; those are {', '.join(STATUSES)}")
    timings[missing] = None
    table = _typed(path, timings, tables.TIMINGS)
    table["reason"] = pd.Series(table["reason"].map(one_line, na_action="ignore"), dtype="string")
    return Run(
        str(timings["run"].iloc[0]) if len(timings) else path.parent.name,
        table,
        _samples_beside(path),
        _info_beside(path),
    )


def _samples_beside(path: Path) -> pd.DataFrame:
    beside = path.parent / "samples.csv.gz"
    if not beside.exists():
        return tables.typed(pd.DataFrame(columns=[*tables.SAMPLES]), tables.SAMPLES)
    samples = csvfiles.read(beside, within=path.parent)
    if needed := [name for name in tables.SAMPLES if name not in samples]:
        raise ValueError(f"{beside}:1: not a samples.csv.gz: it has no column {needed[0]!r}")
    return _typed(beside, samples, tables.SAMPLES)


def _info_beside(path: Path) -> dict[str, Any]:
    beside = path.parent / "run.json"
    try:
        if not beside.exists():
            return {}
        text = reading.read_text(beside, MOST_INFO_BYTES, within=path.parent)
        return dict(all_visible(json.loads(text)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{beside}: not valid JSON: {error}") from error


def _typed(path: Path, table: pd.DataFrame, dtypes: dict[str, str]) -> pd.DataFrame:
    numeric = {name: dtype == tables.WHOLE for name, dtype in dtypes.items() if dtype in (tables.WHOLE, tables.REAL)}
    return tables.typed(csvfiles.numbers(path, table, numeric), dtypes)
