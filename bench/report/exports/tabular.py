"""Every row, whatever became of it, as CSV or as JSON lines: nothing but the samples is left out."""

from __future__ import annotations

import json

from bench.report.files import timings_csv

from .cells import Exported


def csv(run: Exported) -> str:
    """`timings.csv`, with the columns of this version."""
    return timings_csv(run.run.timings)


def jsonl(run: Exported) -> str:
    """An object a line: the cell's key, then the columns of `timings.csv`, null where not known."""
    return "".join(
        json.dumps({"cell": one.cell.key, **one.row}, allow_nan=False, ensure_ascii=False) + "\n" for one in run.cells
    )
