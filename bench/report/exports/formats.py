"""From a format's name to what makes its text."""

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
"""The formats of one file. asv's is a tree."""
WHOLE = ("csv", "jsonl")
"""The formats that have every row; the others have those with a time."""
