"""A run's files, written from its journal: the same journal gives the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.analyse.run import csvfiles, formulas, loading, tables
from bench.measure import journal
from bench.measure.records import Record
from bench.measure.replacing import replaced
from bench.report.run.markdown import report

SIGNIFICANT = "%.9g"
ESCAPED = "backslashreplace"
"""What becomes of half a surrogate pair, which UTF-8 cannot hold."""
COPIED = ("timings.csv", "report.md")


def write(folder: Path, results: Path | None = None, records: Sequence[Record] | None = None) -> list[Path]:
    """`run.json`, `timings.csv`, `samples.csv.gz` and `report.md` of the run in `folder`; the newest
    run's table and report also into `results`. `records` are its journal's, if it was read before.
    Raises FileNotFoundError or ValueError."""
    records = journal.read(folder) if records is None else records
    timings, samples = tables.timings(records), tables.samples(records)
    contents = {
        "run.json": (json.dumps(loading.info(records), indent=1) + "\n").encode(),
        "timings.csv": timings_csv(timings).encode(),
        "samples.csv.gz": _gzip(_csv(samples)),
        "report.md": report(records).encode(errors=ESCAPED),
    }
    for name, content in contents.items():
        with replaced(folder / name) as beside:
            beside.write_bytes(content)
    for name in COPIED if results else ():
        assert results
        with replaced(results / name) as beside:
            shutil.copyfile(folder / name, beside)
    return [folder / name for name in contents]


def timings_csv(timings: pd.DataFrame) -> str:
    """Nine significant digits: more than any clock here has."""
    return _csv(timings, SIGNIFICANT)


def _csv(table: pd.DataFrame, float_format: str | None = None) -> str:
    texts = [str(name) for name in table if _is_text(table[name])]
    table = table.assign(**{name: csvfiles.with_texts(table[name], formulas.marked) for name in texts})
    # Python's writer leaves a lone carriage return unquoted, which ends a row for many readers.
    returns = any(table[name].astype("string").str.contains("\r").any() for name in table if _is_text(table[name]))
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    return table.to_csv(index=False, float_format=float_format, lineterminator="\n", quoting=quoting)


def _is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def _gzip(text: str) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as packed:
        packed.write(text.encode(errors=ESCAPED))
    return buffer.getvalue()
