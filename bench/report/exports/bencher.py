"""Bencher Metric Format: `bencher run --adapter json --file FILE`.

An object by benchmark, of objects by measure, of `value` and, if known, `lower_value` and
`upper_value`, all numbers (https://bencher.dev/docs/reference/bencher-metric-format, and its schema at
https://bencher.dev/bmf.json). The built-in measure `latency` is in nanoseconds. Cells without a time,
verdicts, and what the times were taken with have no place there and are left out.
"""

from __future__ import annotations

import json

from .cells import Exported, Measured

NANOSECONDS = 1e9
MEASURE = "latency"


def text(run: Exported) -> str:
    """The typical time of each cell with its interval, by cell key. Raises ValueError where no cell has a time."""
    found = {one.cell.key: {MEASURE: _metric(one)} for one in run.timed()}
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def _metric(one: Measured) -> dict[str, float]:
    names = {"value": "seconds", "lower_value": "seconds_low", "upper_value": "seconds_high"}
    return {key: one.row[name] * NANOSECONDS for key, name in names.items() if one.row[name] is not None}
