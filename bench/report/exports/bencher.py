"""Bencher Metric Format: `bencher run --adapter json --file FILE`.

The format is an object by benchmark, of objects by measure, of `value` and, if known, `lower_value` and
`upper_value`, all numbers (https://bencher.dev/docs/reference/bencher-metric-format, and its schema at
https://bencher.dev/bmf.json). The built-in measure `latency` is in nanoseconds. The format has no place for
cells without a time, verdicts and versions; they are left out.
"""

from __future__ import annotations

import json

from .cells import Exported, Measured

NANOSECONDS = 1e9
MEASURE = "latency"


def text(run: Exported) -> str:
    """The typical time of each cell with its interval, by cell key. Raises ValueError where no cell has a time."""
    metrics = {measured.cell.key: {MEASURE: _metric(measured)} for measured in run.timed()}
    return json.dumps(metrics, indent=1, allow_nan=False) + "\n"


def _metric(measured: Measured) -> dict[str, float]:
    names = {"value": "seconds", "lower_value": "seconds_low", "upper_value": "seconds_high"}
    return {key: measured.row[name] * NANOSECONDS for key, name in names.items() if measured.row[name] is not None}
