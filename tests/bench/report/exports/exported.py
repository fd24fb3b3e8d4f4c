"""Invented runs in the form that the formats start from."""

from __future__ import annotations

from typing import Any

from bench.analyse.run.tables import RunTables
from bench.report.exports import cells
from tests.bench.made import Story, story


def loaded(made: Story | None = None) -> RunTables:
    """The tables of a story's run."""
    return (made or story()).run().tables


def exported(made: Story | None = None) -> cells.Exported:
    """A story's run, exported from its journal."""
    return cells.of_run((made or story()).run())


def timed(run: cells.Exported) -> dict[str, dict[str, Any]]:
    """The rows that have a time, by cell key."""
    return {measured.cell.key: measured.row for measured in run.timed()}
