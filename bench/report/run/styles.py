"""The section on styles: what each way of writing a backend buys over its plain implementation."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.analyse.run import styles
from bench.analyse.run.run import Run
from bench.analyse.run.styles import Style
from bench.plan import units
from bench.plan.cells import Contender, Shape
from bench.report import page

from . import disturbance
from .rows import MARKS, contender_names, shape_name


def section(run: Run) -> str:
    """A Markdown section with a table for each backend of which the run has several styles, empty where there is none:
    a step by itself, and a step of a training, each with its speed-up over the plain implementation."""
    tables: dict[str, dict[tuple[Shape, Contender], dict[str, Style]]] = {}
    for style in styles.of_run(run):
        cell = style.measured.cell
        tables.setdefault(style.plain, {}).setdefault((cell.shape, cell.contender), {})[cell.phase] = style
    if not tables:
        return ""
    names = dict(zip(run.cells, contender_names(run.timings), strict=True))
    text = (
        "What each way of writing a backend buys over its plain implementation, at the same shape and in the same "
        f"rounds: ▲ faster, ▼ slower by more than {units.short_percent(run.plan.min_effect)}, = same within it, "
        f"? unclear. A step of `train` is a training of {units.counted(run.plan.steps, 'step')} divided by that "
        "number, its start included; where it takes less than a `step` by itself, the rest is what a call costs."
    )
    return "\n\n".join(["## Styles", text, *(_table(run, plain, rows, names) for plain, rows in tables.items())])


def _table(
    run: Run, plain: str, rows: dict[tuple[Shape, Contender], dict[str, Style]], names: Mapping[str, str]
) -> str:
    order = {shape: index for index, shape in enumerate(dict.fromkeys(shape for shape, _ in rows))}
    lines = [
        (
            (order[shape], min(style.measured.time.value / _steps(run, style) for style in by_phase.values())),
            {"shape": shape_name(shape), f"style of {plain}": names[next(iter(by_phase.values())).measured.key]}
            | _words(run, "step", "step", by_phase)
            | _words(run, "train", "a step of train", by_phase),
        )
        for (shape, _), by_phase in rows.items()
    ]
    table = pd.DataFrame([line for _, line in sorted(lines, key=lambda line: line[0])])
    return page.table(table.loc[:, (table != "—").any()])


def _words(run: Run, phase: str, heading: str, by_phase: Mapping[str, Style]) -> dict[str, str]:
    """A phase's columns: the time of a step, and its speed-up over the plain implementation."""
    style = by_phase.get(phase)
    if style is None:
        return {heading: "—", f"{heading}: speed-up": "—"}
    time = units.duration_with_half_width(*(value / _steps(run, style) for value in style.measured.time.with_bounds))
    mark = disturbance.mark(style.measured.reason)
    gain = f"{MARKS[style.verdict]} {units.ratio(*style.ratio.with_bounds)}" if style.ratio else "plain"
    if style.ratio is None and style.measured.cell.contender.implementation != style.plain:
        gain = "not comparable"
    return {heading: time + mark, f"{heading}: speed-up": gain}


def _steps(run: Run, style: Style) -> int:
    return run.plan.steps if style.measured.cell.phase == "train" else 1
