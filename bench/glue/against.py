"""A comparison of base and head: the outcome of each cell, for its test, the terminal and the files of the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.replacing import write_texts
from bench.plan.units import change_with_interval

from .replay import Outcome

if TYPE_CHECKING:
    from bench.analyse.change.changes import Change
    from bench.analyse.run.run import Run
    from bench.report.change.unpaired import Comparison

NOTHING = "No cell has a time on both sides: nothing could be compared."


def outcomes(run: Run, fail_on: Sequence[str]) -> dict[str, Outcome]:
    """The outcomes of the tests by cell key. Samples are those of head; a verdict that has to fail is the status."""
    from bench.analyse.change import paired
    from bench.plan.sides import HEAD, off

    heads = {off(records.cell): records for records in run.cells.values() if records.cell.contender.variant == HEAD}
    return {
        change.cell.key: _outcome(change, heads[change.cell].samples if change.cell in heads else (), fail_on)
        for change in paired.changes(run)
    }


def finish(run: Run, folder: Path, fail_on: Sequence[str]) -> tuple[bool, list[str]]:
    """Write `comparison.md` and `comparison.json`. Returns whether the comparison fails, as it does where there was
    nothing to compare, and lines for the terminal."""
    from bench.report.change import paired, unpaired

    comparison = paired.comparison(run, fail_on)
    write(comparison, folder)
    compared_any = any(change.ratio.passes for change in comparison.changes)
    lines = unpaired.text(comparison).splitlines()
    return bool(comparison.outcome.failing) or not compared_any, lines if compared_any else [*lines, NOTHING]


def write(comparison: Comparison, folder: Path) -> None:
    """Write the comparison beside the run's other files."""
    from bench.report.change import unpaired

    write_texts(
        {
            folder / "comparison.md": unpaired.markdown(comparison),
            folder / "comparison.json": json.dumps(unpaired.data(comparison), indent=1) + "\n",
        }
    )


def _outcome(change: Change, samples: tuple[float, ...], fail_on: Sequence[str]) -> Outcome:
    facts: dict[str, Any] = {"verdict": change.verdict, "change": change_with_interval(*change.ratio.with_bounds)}
    if change.verdict in fail_on:
        parts = (facts["change"] if change.ratio.passes else "", change.reason)
        return Outcome(change.verdict, ", ".join(part for part in parts if part), samples, facts)
    if change.head.status == "absent":
        return Outcome("unavailable", change.reason, (), facts)
    return Outcome(change.head.status, change.head.reason, samples, facts)
