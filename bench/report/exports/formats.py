"""The functions that write the formats, by name."""

from __future__ import annotations

from collections.abc import Callable

from . import bencher, github_action, pytest_benchmark, tabular
from .cells import Exported

TEXTS: dict[str, Callable[[Exported], str]] = {
    "pytest-benchmark": pytest_benchmark.text,
    "bencher": bencher.text,
    "github-action": github_action.text,
    "csv": tabular.csv,
    "jsonl": tabular.jsonl,
}
"""The formats of one file. asv's format is a tree of files."""
WHOLE = ("csv", "jsonl")
"""The formats that have every row; the others have only cells with a time."""
