"""Changes between two sides as text for a terminal, as Markdown for a pull request, and as plain data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, isnan, log
from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.analyse.change.changes import VERDICTS, Change, machine_ratio
from bench.analyse.change.comparability import Difference
from bench.analyse.change.gate import Outcome
from bench.analyse.estimates.statistics import Estimate
from bench.measure.worker.one_line import one_line
from bench.plan import units
from bench.report import page
from bench.report.plain import plain
from bench.report.run.rows import AXES, contender_names, shape_name

MOST_IN_SIGHT = 40
"""The most rows of a pull request's comment above the fold."""
LEFT = ("contender", "phase", "shape", "change", "verdict", "why")
"""The columns that are text."""
MARKS = {"clean": "✅", "regression": "❌", "not judged": "❔"}


@dataclass(frozen=True)
class Comparison:
    """Two sides, the changes of their cells, and the outcome."""

    base: str
    head: str
    """The labels of the two sides."""
    outcome: Outcome
    changes: Sequence[Change] = ()
    differences: Sequence[Difference] = ()
    stopping: Sequence[Difference] = ()
    """The differences because of which nothing was compared."""
    how: str = "unpaired: each process of one run is compared with all of the other's"
    """How the changes were found, in a few words."""
    remedy: str = ""
    """What to do where nothing was compared."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More values for the plain data."""
    notes: Sequence[str] = ()
    """Sentences that a reader should know before the numbers."""


def text(comparison: Comparison) -> str:
    """The differences, the cells with the largest changes first, the cells without a time, and the outcome."""
    parts = [f"{comparison.base} → {comparison.head}"]
    if comparison.stopping:
        parts += [_listed("These differ, and matter:", comparison.stopping), comparison.remedy]
    else:
        parts += [_listed("These differ:", comparison.differences)]
        rows = _rows(comparison.changes, brief=True)
        if rows:
            align = [("left" if name in LEFT else "right") for name in rows[0]]
            parts.append(tabulate(rows, "keys", tablefmt="simple", colalign=align, disable_numparse=True))
        parts += ["\n".join(_untimed(comparison.changes)), _machine(comparison.changes), *comparison.notes]
    return "\n\n".join(part for part in [*parts, comparison.outcome.summary] if part)


def markdown(comparison: Comparison) -> str:
    """A comment for a pull request: cells that are not the same in sight, and all cells behind a fold."""
    parts = [
        f"### {MARKS[comparison.outcome.kind]} {page.escaped(comparison.outcome.summary)}",
        f"{page.code(comparison.base)} → {page.code(comparison.head)}, {comparison.how}.",
        *(f"> **{page.sentence(note)}.**" for note in comparison.notes),
    ]
    if comparison.stopping:
        parts += [_listed("These differ, and matter:", comparison.stopping, "* "), page.escaped(comparison.remedy)]
        return "\n\n".join(part for part in parts if part) + "\n"
    changed = [change for change in comparison.changes if change.verdict not in ("same", "untimed")]
    parts += [_table(changed, MOST_IN_SIGHT), _machine(comparison.changes)]
    folded = [_table(comparison.changes), "\n".join(f"* {page.escaped(line)}" for line in _untimed(comparison.changes))]
    folded += [_listed("These differ:", comparison.differences, "* "), _method(comparison.changes)]
    inside = "\n\n".join(part for part in folded if part)
    count = len(comparison.changes)
    parts.append(f"<details><summary>all {count} cells, and how they were judged</summary>\n\n{inside}\n\n</details>")
    return "\n\n".join(part for part in parts if part) + "\n"


def section(comparison: Comparison) -> str:
    """A section of a run's page, with all cells in sight."""
    parts = [
        "## What changed",
        f"{page.code(comparison.base)} → {page.code(comparison.head)}, {comparison.how}: "
        f"{page.escaped(comparison.outcome.summary)}.",
    ]
    parts += [
        _listed("These differ:", comparison.differences, "* "),
        _table(comparison.changes),
        "\n".join(f"* {page.escaped(line)}" for line in _untimed(comparison.changes)),
        _method(comparison.changes),
    ]
    return "\n\n".join(part for part in parts if part)


def data(comparison: Comparison) -> dict[str, Any]:
    """The comparison for JSON: seconds, and ratios of head over base; None for unknown values."""
    return {
        "base": comparison.base,
        "head": comparison.head,
        "how": comparison.how,
        "outcome": comparison.outcome.kind,
        "exit_code": comparison.outcome.exit_code,
        "summary": comparison.outcome.summary,
        "failing": [change.cell.key for change in comparison.outcome.failing],
        "differences": [
            {**asdict(difference), "stops": difference in comparison.stopping} for difference in comparison.differences
        ],
        "machine_ratio": plain(machine_ratio(comparison.changes)),
        "cells": [_cell(change) for change in comparison.changes],
        "notes": [*comparison.notes],
        **comparison.facts,
    }


def _rows(changes: Sequence[Change], brief: bool = False) -> list[dict[str, str]]:
    """One row per cell that was timed or should have been, the gravest and largest changes first."""
    shown = [change for change in changes if change.verdict != "untimed"]
    if not shown:
        return []
    names = dict(zip(map(id, shown), _names(shown), strict=True))
    has_limits = any(isfinite(change.relative.value) for change in shown)
    has_reasons = any(change.reason for change in shown)
    shown_ratio = _without_interval if brief else _with_interval
    rows = []
    for change in sorted(shown, key=_gravity):
        row = {
            "contender": names[id(change)],
            "phase": change.cell.phase,
            "shape": shape_name(change.cell.shape),
            "base": units.duration(change.base.floor.value),
            "head": units.duration(change.head.floor.value),
            "change": _with_interval(change.ratio),
            "verdict": change.verdict + (f" (typical: {change.typical_verdict})" if change.disagrees else ""),
            "typical": shown_ratio(change.typical),
        }
        if has_limits:
            row["over its limit"] = shown_ratio(change.relative)
        if has_reasons:
            row["why"] = change.reason
        rows.append(row)
    return rows


def _without_interval(ratio: Estimate) -> str:
    return units.change(ratio.value)


def _with_interval(ratio: Estimate) -> str:
    return units.change_with_interval(*ratio.with_bounds)


def _gravity(change: Change) -> tuple[int, float]:
    value = change.ratio.value
    return VERDICTS.index(change.verdict), -abs(log(value)) if isfinite(value) else 0.0


def _names(changes: Sequence[Change]) -> list[str]:
    rows = [
        {**asdict(change.cell.contender), **_axes(change), "phase": change.cell.phase, "status": _status(change)}
        for change in changes
    ]
    return list(contender_names(pd.DataFrame(rows)))


def _status(change: Change) -> str:
    return "ok" if "ok" in (change.base.status, change.head.status) else "untimed"


def _axes(change: Change) -> dict[str, int]:
    return {axis: getattr(change.cell.shape, axis) for axis in AXES}


def _table(changes: Sequence[Change], most: int | None = None) -> str:
    """A Markdown table with narrow columns, since the length of a comment is limited."""
    rows = [{name: page.escaped(value) for name, value in row.items()} for row in _rows(changes)]
    if not rows:
        return ""
    more = f"\n\nand {len(rows) - most} more, below" if most and len(rows) > most else ""
    return re.sub(r" {2,}", " ", page.table(pd.DataFrame(rows[:most]))) + more


def _untimed(changes: Sequence[Change]) -> list[str]:
    reasons = Counter(
        (change.cell.contender.implementation, change.reason) for change in changes if change.verdict == "untimed"
    )
    lines = [f"{name}: {reason} ({count} cell{'' if count == 1 else 's'})" for (name, reason), count in reasons.items()]
    return ["Timed on neither side:", *lines] if lines else []


def _listed(title: str, differences: Sequence[Difference], bullet: str = "") -> str:
    lines = [
        f"{difference.name}: {difference.base} → {difference.head}"
        + (f" ({difference.cells} cell{'' if difference.cells == 1 else 's'})" if difference.cells else "")
        for difference in differences
    ]
    shown = [f"{bullet}{page.escaped(line)}" for line in lines] if bullet else [one_line(line) for line in lines]
    return "\n".join([title, *([""] if bullet else []), *shown]) if shown else ""


def _machine(changes: Sequence[Change]) -> str:
    """The sentence on whether the machine itself kept its pace."""
    ratio = machine_ratio(changes)
    if isnan(ratio):
        return ""
    limits = "The least time that the machine itself could take for these cells"
    return f"{limits} changed by {units.change(ratio)} (median); the change over its limit is a cell's without that."


def _method(changes: Sequence[Change]) -> str:
    effects = sorted({change.min_effect for change in changes})
    if not effects:
        return ""
    min_effect = " to ".join(units.short_percent(effect) for effect in dict.fromkeys([effects[0], effects[-1]]))
    return (
        "A change is that of the floor (of a process, the median of its blocks' least samples), head over base, with "
        "its interval; "
        f"`slower` and `faster` lie wholly beyond {min_effect}, under false-discovery control over all cells, `same` "
        "lies wholly within, and `unclear` is neither."
    )


def _cell(change: Change) -> dict[str, Any]:
    cell = change.cell
    values: dict[str, Any] = {
        "cell": cell.key,
        **asdict(cell.contender),
        **_axes(change),
        "phase": cell.phase,
        "verdict": change.verdict,
        "reason": change.reason,
        "min_effect": change.min_effect,
        "typical_verdict": change.typical_verdict or None,
        "relative_verdict": change.relative_verdict or None,
    }
    for name in ("ratio", "typical", "relative"):
        ratio = getattr(change, name)
        values |= {name: plain(ratio.value), f"{name}_low": plain(ratio.low), f"{name}_high": plain(ratio.high)}
    values["confidence"] = change.ratio.confidence
    for name in ("base", "head"):
        side = getattr(change, name)
        values |= {
            f"{name}_status": side.status,
            f"{name}_passes": side.floor.passes,
            f"{name}_seconds": plain(side.typical.value),
            f"{name}_seconds_floor": plain(side.floor.value),
        }
    return values
