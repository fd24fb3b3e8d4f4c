"""A run's files, written from its journal: the same journal gives the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from pathlib import Path

import pandas as pd

from bench.analyse.run import csvfiles, formulas
from bench.analyse.run.run import Run
from bench.measure.replacing import replaced
from bench.report.run.markdown import report

SIGNIFICANT = "%.9g"
ESCAPED = "backslashreplace"
"""What becomes of half a surrogate pair, which UTF-8 cannot hold."""
COPIED = ("timings.csv", "report.md")


def write(run: Run, folder: Path, results: Path | None = None) -> list[Path]:
    """Write a run's `run.json`, `timings.csv`, `samples.csv.gz` and `report.md` into its folder, and where it is the
    newest one, its table and report also into `results`. Raises OSError."""
    contents = {
        "run.json": (json.dumps(run.info, indent=1) + "\n").encode(),
        "timings.csv": timings_csv(run.timings).encode(),
        "samples.csv.gz": _gzip(_csv(run.samples)),
        "report.md": report(run).encode(errors=ESCAPED),
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
