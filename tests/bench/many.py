"""Series of made runs, for the tests of what is reported over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.measure.records import Record, RunStarted
from bench.plan.cells import Cell
from tests.bench.made import MACHINE, Story, plan_of_cells, settled, write_journal

FIRST_DAY = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
PASSES = 6
DEVIATIONS = (0.0, 0.004, -0.003, 0.002, -0.005, 0.001, 0.003, -0.002)
"""The deviations of the runs from their usual times, as fractions, repeated."""


def day(number: int) -> str:
    """Return when the run of a day starts."""
    return (FIRST_DAY + timedelta(days=number)).isoformat()


def name(number: int) -> str:
    return f"{day(number)[:10]}T12-00-00-made"


def run(
    number: int,
    factor: Callable[[Cell], float] = lambda cell: 1.0,
    machine: dict[str, Any] | None = None,
    **others: Any,
) -> list[Record]:
    """Return the journal of a day's run, whose seconds are the usual ones times `factor`."""
    deviation = 1 + DEVIATIONS[number % len(DEVIATIONS)]
    records = Story(
        **{
            "plan": plan_of_cells(passes=PASSES),
            "seconds": lambda cell, pass_number: settled(cell, pass_number) * deviation * factor(cell),
            "name": name(number),
            "machine": {**MACHINE, **(machine or {})},
            **others,
        }
    ).records()
    assert isinstance(records[0], RunStarted)
    return [replace(records[0], started=day(number)), *records[1:]]


def stepping(count: int, at: int, by: float = 1.1, implementation: str = "torch") -> list[list[Record]]:
    """Return runs in which an implementation is slower from run `at` on, the first one with changed sources."""

    def factor(number: int) -> Callable[[Cell], float]:
        return lambda cell: by if number >= at and cell.contender.implementation == implementation else 1.0

    return [run(number, factor(number), {"source": "before" if number < at else "after"}) for number in range(count)]


def write(results: Path, runs: Sequence[Sequence[Record]]) -> list[Path]:
    """Write runs into a results folder, and return their folders."""
    return [write_journal(results / "runs" / records[0].run, records) for records in runs]  # type: ignore[union-attr]
