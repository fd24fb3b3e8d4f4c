"""The section on the sizes at which one contender overtakes another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.analyse.run.crossovers import AXES, crossovers
from bench.analyse.run.run import Run
from bench.plan.units import rounded
from bench.report import page

from .rows import contender_names

MOST_ROWS = 12
"""The most rows of an axis's table."""
MOST_SIZES = 2
"""The most sizes of one pair in a row, where the other sizes have many settings."""
MOST_LINES = 4
"""The most lines on a terminal."""


def section(run: Run) -> str:
    """A Markdown section: where the winner of `step`, or of the first phase that was timed, changes. Empty where no
    axis has two sizes."""
    rows, phase = _crossovers(run)
    if rows.empty:
        return ""
    parts = [
        "## Where the winner changes",
        f"In `{phase}`, within the sizes measured: a contender overtakes another at the size where the ratio of their "
        "times, paired within rounds and interpolated in logs, is 1; the interval is where its 95 % band holds 1.",
    ]
    baselines, baseline = _baselines(run), run.plan.baseline
    for axis, on_axis in _axes(rows):
        parts.append(f"### Along {axis}, {on_axis['measured_low'].min():,} to {on_axis['measured_high'].max():,}")
        changes = _changes(on_axis, baselines)
        if changes:
            lines = [{"faster above": above, "faster below": below, axis: sizes} for above, below, sizes in changes]
            parts.append(page.table(pd.DataFrame(lines[:MOST_ROWS])))
        if len(changes) > MOST_ROWS:
            parts.append(f"And {len(changes) - MOST_ROWS} more pairs.")
        parts.append("\n".join(_standing(on_axis, baselines, baseline)))
    return "\n\n".join(part for part in parts if part)


def terminal_lines(run: Run) -> list[str]:
    """At most four sentences, one per line, on pairs that change places; those with the baseline first."""
    rows, phase = _crossovers(run)
    lines = [
        f"{above} overtakes {below} in {phase} at {axis} = {sizes.replace('<br>', ', ')}"
        for axis, on_axis in _axes(rows)
        for above, below, sizes in _changes(on_axis, _baselines(run))
    ]
    if len(lines) > MOST_LINES:
        lines[MOST_LINES - 1 :] = [f"and {len(lines) - MOST_LINES + 1} more pairs change places: see the report"]
    return lines


def _crossovers(run: Run) -> tuple[pd.DataFrame, str]:
    phases = [cell.phase for cell, records in zip(run.plan.cells, run.cells.values(), strict=True) if records.blocks]
    if not phases:
        return pd.DataFrame(), ""
    phase = "step" if "step" in phases else phases[0]
    return crossovers(run.measured, [*contender_names(run.timings)], [phase], run.spending), phase


def _axes(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for axis in AXES:
        on_axis = rows[rows["axis"] == axis] if len(rows) else rows
        if len(on_axis):
            yield axis, on_axis


def _changes(rows: pd.DataFrame, baselines: set[str]) -> list[tuple[str, str, str]]:
    """(faster above, faster below, sizes) of each pair that changes places; those with the baseline first."""
    has_several_settings = len(_settings(rows)) > 1
    changes = []
    for (above, below), crossings in rows[rows["answer"] == "at"].groupby(["contender", "other"], sort=False):
        sizes = [_size(row, has_several_settings) for row in crossings.head(MOST_SIZES).itertuples()]
        sizes += [f"and {len(crossings) - MOST_SIZES} more"] if len(crossings) > MOST_SIZES else []
        changes.append((str(above), str(below), "<br>".join(sizes)))
    return sorted(changes, key=lambda change: not baselines & {change[0], change[1]})


def _size(row: Any, with_setting: bool) -> str:
    size, low, high = (rounded(getattr(row, name)) for name in ("size", "size_low", "size_high"))
    return f"{size} [{low}, {high}]" + (f" ({row.fixed})" if with_setting else "")


def _standing(rows: pd.DataFrame, baselines: set[str], baseline: str) -> list[str]:
    """One line each for the contenders always faster than the baseline, always slower, and never known."""
    names_by_answer: dict[str, list[str]] = {"always faster": [], "always slower": [], "cannot tell": []}
    settings = len(_settings(rows))
    for base in sorted(baselines):
        with_base = rows[(rows["contender"] == base) | (rows["other"] == base)]
        is_flipped = with_base["contender"] == base
        contenders = with_base["other"].where(is_flipped, with_base["contender"])
        opposite = {"always": "always slower", "never": "always faster"}
        straight = {"always": "always faster", "never": "always slower"}
        answers = [
            (opposite if flipped else straight).get(answer, answer)
            for flipped, answer in zip(is_flipped, with_base["answer"], strict=True)
        ]
        for (name, answer), count in Counter(zip(contenders, answers, strict=True)).items():
            if answer in names_by_answer:
                share = f" ({count} of {settings} settings)" if settings > count else ""
                names_by_answer[answer].append(f"{name}{share}")
    lines = [f"- {answer}: {', '.join(names)}" for answer, names in names_by_answer.items() if names]
    return [f"Against {baseline}:", "", *lines] if lines else []


def _settings(rows: pd.DataFrame) -> set[str]:
    return set(rows["fixed"])


def _baselines(run: Run) -> set[str]:
    """The baseline's names: several where it ran on several devices or thread limits."""
    return set(contender_names(run.timings)[run.timings["implementation"] == run.plan.baseline])
