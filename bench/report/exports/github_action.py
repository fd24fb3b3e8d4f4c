"""github-action-benchmark's own JSON, for its `tool: customSmallerIsBetter`.

The format is a list of objects with `name`, `unit` and `value` (a number), and with the texts `range` and `extra`
(https://github.com/benchmark-action/github-action-benchmark#examples, `src/extract.ts`). The action
reads a range only as `± ` and a number in the value's unit (`src/extractRangeInfo.ts`), so an interval is
written as half its width. Cells without a time and verdicts are left out.
"""

from __future__ import annotations

import json
from typing import Any

from bench.plan.units import fixed

from .cells import Exported, Measured

UNIT, UNITS_PER_SECOND = "ns", 1e9
"""One unit for all cells, so that a cell that gets slower stays on its chart's scale."""
EXTRA = ("backend", "backend_version", "interpreter", "source", "device_name", "precision", "threads", "passes")


def text(run: Exported) -> str:
    """The typical time of each cell. Raises ValueError where no cell has a time."""
    return (
        json.dumps([_entry(measured) for measured in run.timed()], indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    )


def _entry(measured: Measured) -> dict[str, Any]:
    row = measured.row
    entry = {"name": measured.cell.key, "unit": UNIT, "value": row["seconds"] * UNITS_PER_SECOND}
    if row["seconds_low"] is not None and row["seconds_high"] is not None:
        entry["range"] = f"± {fixed((row['seconds_high'] - row['seconds_low']) / 2 * UNITS_PER_SECOND, 2)}"
    entry["extra"] = "\n".join(f"{name}: {row[name]}" for name in EXTRA if row[name] not in (None, ""))
    return entry
