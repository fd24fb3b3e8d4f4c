"""A run's files, written from its journal: the same journal gives the same bytes."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from bench.analyse import runs, tables
from bench.measure import journal
from bench.measure.records import Record

from .markdown import report

SIGNIFICANT = "%.9g"
COPIED = ("timings.csv", "report.md")


def write(folder: Path, results: Path | None = None, records: Sequence[Record] | None = None) -> list[Path]:
    """`run.json`, `timings.csv`, `samples.csv.gz` and `report.md` of the run in `folder`; the newest
    run's table and report also into `results`. `records` are its journal's, if it was read before.
    Raises FileNotFoundError or ValueError."""
    records = journal.read(folder) if records is None else records
    timings, samples = tables.timings(records), tables.samples(records)
    contents = {
        "run.json": (json.dumps(runs.info(records), indent=1) + "\n").encode(),
        "timings.csv": timings_csv(timings).encode(),
        "samples.csv.gz": _gzip(samples.to_csv(index=False)),
        "report.md": report(records).encode(),
    }
    for name, content in contents.items():
        _replace(folder / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
    for name in COPIED if results else ():
        assert results
        _replace(results / name, lambda path, name=name: shutil.copyfile(folder / name, path))  # type: ignore[misc]
    return [folder / name for name in contents]


def timings_csv(timings: pd.DataFrame) -> str:
    """Nine significant digits: more than any clock here has."""
    return timings.to_csv(index=False, float_format=SIGNIFICANT, lineterminator="\n")


def _gzip(text: str) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as packed:
        packed.write(text.encode())
    return buffer.getvalue()


def _replace(path: Path, put: Callable[[Path], object]) -> None:
    """Never half-written: made beside, then moved into place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        put(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
