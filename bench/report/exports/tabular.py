"""Every row, with or without a time, as CSV or as JSON lines; only the samples are left out."""

from __future__ import annotations

import json

from bench.report.files import timings_csv

from .cells import Exported


def csv(run: Exported) -> str:
    """`timings.csv`, with the columns of this version."""
    return timings_csv(run.run.timings)


def jsonl(run: Exported) -> str:
    """One object per line: the cell's key, then the columns of `timings.csv`, null where not known."""
    return "".join(
        json.dumps({"cell": measured.cell.key, **measured.row}, allow_nan=False, ensure_ascii=False) + "\n"
        for measured in run.cells
    )
