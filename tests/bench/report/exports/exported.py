"""Made runs as the formats take them."""

from __future__ import annotations

from typing import Any

from bench.analyse.run import loading, tables
from bench.report.exports import cells
from tests.bench.made import Story, story


def loaded(told: Story | None = None) -> loading.Run:
    """A story's tables."""
    records = (told or story()).records()
    info = loading.info(records)
    return loading.Run(info["run"], tables.timings(records), tables.samples(records), info)


def exported(told: Story | None = None) -> cells.Exported:
    """A story as it is exported from its journal."""
    return cells.of(loaded(told), tables.by_cell((told or story()).records()))


def timed(run: cells.Exported) -> dict[str, dict[str, Any]]:
    """The rows that have a time, by cell key."""
    return {one.cell.key: one.row for one in run.timed()}
