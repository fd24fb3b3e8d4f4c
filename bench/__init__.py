"""relubench's harness. `bench.load(path)` reads a run into pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from bench.analyse.run.tables import RunTables

__all__ = ["load"]


def load(path: str | PathLike[str]) -> RunTables:
    """A run's `timings` and `samples` as DataFrames, from its folder, a results folder (its newest
    run) or a `timings.csv`. Raises FileNotFoundError or ValueError naming what is wrong with `path`.
    """
    # Workers import this package too, and must not pay for pandas.
    from bench.analyse.run.loading import load_run

    return load_run(path)
