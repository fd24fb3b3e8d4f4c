"""github-action-benchmark's own JSON, for its `tool: customSmallerIsBetter`.

A list of objects of `name`, `unit` and `value` (a number), and of the texts `range` and `extra`
(https://github.com/benchmark-action/github-action-benchmark#examples, `src/extract.ts`). It reads a
range only as `± ` and a number in the value's unit (`src/extractRangeInfo.ts`), so an interval becomes
half its width. Cells without a time and verdicts are left out.
"""

from __future__ import annotations

import json
from typing import Any

from .cells import Exported, Measured

UNIT, UNITS_PER_SECOND = "ns", 1e9
"""The same for all cells, so that one that gets slower stays on its chart's scale."""
EXTRA = ("backend", "backend_version", "interpreter", "source", "device_name", "precision", "threads", "passes")


def text(run: Exported) -> str:
    """The typical time of each cell. Raises ValueError where no cell has a time."""
    return json.dumps([_entry(one) for one in run.timed()], indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _entry(one: Measured) -> dict[str, Any]:
    row = one.row
    entry = {"name": one.cell.key, "unit": UNIT, "value": row["seconds"] * UNITS_PER_SECOND}
    if row["seconds_low"] is not None and row["seconds_high"] is not None:
        entry["range"] = f"± {(row['seconds_high'] - row['seconds_low']) / 2 * UNITS_PER_SECOND:.2f}"
    entry["extra"] = "\n".join(f"{name}: {row[name]}" for name in EXTRA if row[name] not in (None, ""))
    return entry
