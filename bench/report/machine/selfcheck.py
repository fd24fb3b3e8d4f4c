"""What reading and analysing runs of many cells takes, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from bench.plan import units

STAGES = {
    "read": "read",
    "look": "next look",
    "table": "tables, ranks",
    "costs": "costs",
    "warmups": "warm-up",
    "page": "page",
    "files": "files",
    "total": "all of these",
    "collect": "collected by pytest",
}
"""The headers of the stages' seconds, in the order in which they are done."""


def text(results: Sequence[Mapping[str, Any]]) -> str:
    """A line for each number of cells."""
    headers = ["cells", "samples", *STAGES.values(), "most memory"]
    rows = [
        [
            f"{result['cells']:,}",
            f"{result['samples']:,}",
            *(units.duration(result["seconds"][stage]) for stage in STAGES),
            units.mebibytes(result["peak_bytes"]),
        ]
        for result in results
    ]
    return (
        tabulate(rows, headers, tablefmt="simple", colalign=["right"] * len(headers), disable_numparse=True)
        + "\n\nA made run of 10 contenders in five phases, each size in a process of its own. A look is what `--passes "
        "auto` does between passes: it reads what the last pass appended, and finds which cells are undecided."
    )
