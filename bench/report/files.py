"""Writes a run's files from its journal: the same journal gives the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from pathlib import Path
from typing import TextIO

import pandas as pd

from bench.analyse.run import csvfiles, formulas, tables
from bench.analyse.run.columns import SAMPLES
from bench.analyse.run.run import Run
from bench.measure.records import Block
from bench.measure.replacing import replaced
from bench.report.run.markdown import report

SIGNIFICANT = "%.9g"
ESCAPED = "backslashreplace"
"""How half a surrogate pair, which UTF-8 cannot encode, is written."""
SAMPLES_FILE = "samples.csv.gz"
COPIED = ("timings.csv", "report.md")


def write(run: Run, folder: Path, results: Path | None = None) -> list[Path]:
    """Write a run's `run.json`, `timings.csv`, `samples.csv.gz` and `report.md` into its folder, and its table and
    report also into `results`, where that is given. Raises OSError."""
    texts = {
        "run.json": json.dumps(run.info, indent=1) + "\n",
        "timings.csv": timings_csv(run.timings),
        "report.md": report(run),
    }
    with replaced(folder / SAMPLES_FILE) as beside:
        _write_samples(run, beside)
    for name, text in texts.items():
        with replaced(folder / name) as beside:
            beside.write_text(text, encoding="utf-8", errors=ESCAPED, newline="")
    for name in COPIED if results else ():
        assert results
        with replaced(results / name) as beside:
            shutil.copyfile(folder / name, beside)
    return [folder / name for name in ("run.json", "timings.csv", SAMPLES_FILE, "report.md")]


def timings_csv(timings: pd.DataFrame) -> str:
    """The text of `timings.csv`, with nine significant digits: more than any clock here has."""
    text = io.StringIO()
    _write_csv(timings, text, SIGNIFICANT)
    return text.getvalue()


def _write_csv(table: pd.DataFrame, to: TextIO, float_format: str | None = None) -> None:
    texts = [str(name) for name in table if _is_text(table[name])]
    table = table.assign(**{name: csvfiles.with_texts(table[name], formulas.marked) for name in texts})
    # Python's writer leaves a lone carriage return unquoted, which ends a row for many readers.
    has_returns = any("\r" in str(text) for name in texts for text in table[name].dropna().unique())
    quoting = csv.QUOTE_ALL if has_returns else csv.QUOTE_MINIMAL
    table.to_csv(to, index=False, float_format=float_format, lineterminator="\n", quoting=quoting)


def _is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column)


def _write_samples(run: Run, path: Path) -> None:
    """Write the table of samples, compressed. The samples of a block are written after the text that they share, which
    is made once: to make a row of each of millions would take most of the time, and a gigabyte."""
    text = io.StringIO()
    _write_csv(tables.blocks_table(run), text)
    head, *rows = text.getvalue().removesuffix("\n").split("\n")
    blocks = run.of_kind(Block)
    with (
        path.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed,
        io.TextIOWrapper(packed, encoding="utf-8", errors=ESCAPED, newline="") as to,
    ):
        if len(rows) != len(blocks) or head.startswith('"'):  # a text in a row has a newline, or a return
            _write_csv(run.samples, to)
            return
        to.write(f"{head},{','.join(column.name for column in SAMPLES[-2:])}\n")
        for row, block in zip(rows, blocks, strict=True):
            to.writelines([f"{row},{number},{seconds!r}\n" for number, seconds in enumerate(block.seconds, 1)])
