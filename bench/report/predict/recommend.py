"""A recommendation as text for a terminal, and as plain data."""

from __future__ import annotations

from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.analyse.predict.costmodel import AXES, LEVEL
from bench.analyse.predict.proposal import Proposal
from bench.analyse.predict.recommend import Answer
from bench.plan import units
from bench.plan.cells import Shape
from bench.report.plain import plain
from bench.report.predict import styles
from bench.report.predict.styles import Style
from bench.report.run.rows import shape_name


def text(answer: Answer, style: Style | None = None) -> str:
    """The contenders by their time, then what is certain, the style of the first one where it is one of another,
    what the answer rests on, and what to measure."""
    parts = [_table(answer), _verdict(answer)]
    if style:
        parts.append(styles.text(style, answer))
    parts.append("\n".join(_grounds(answer)))
    if answer.left_out:
        parts.append("\n".join(["Not answered for:", *answer.left_out]))
    if answer.measure:
        parts.append(f"To be sure, measure it:\n{answer.measure}")
    if answer.proposal:
        parts.append(f"{_sharper(answer.proposal)}\n{answer.sharpen}")
    return "\n\n".join(parts)


def data(answer: Answer, style: Style | None = None) -> dict[str, Any]:
    """The answer for JSON, in SI units, with None for unknown values."""
    question, validation = answer.question, answer.validation
    return {
        "run": answer.run.name,
        "started": answer.run.info.get("started"),
        "machine": _machine(answer),
        "shape": _sizes(question.shape),
        "phase": question.phase,
        "iteration": answer.iteration,
        "steps": question.steps,
        "level": LEVEL,
        "contenders": [
            {name: plain(value) for name, value in row.items()} for row in answer.table.to_dict(orient="records")
        ],
        "style": styles.data(style, answer) if style else None,
        "left_out": answer.left_out,
        "cross_validation": validation
        and {
            "cells": validation.cells,
            "inside": plain(validation.inside),
            "typical_error": plain(validation.typical_error),
            "typical_half_width": plain(validation.typical_half_width),
        },
        "measure": answer.measure,
        "proposal": answer.proposal
        and {
            "shapes": [_sizes(shape) for shape in answer.proposal.shapes],
            "half_width": plain(answer.proposal.half_width),
            "half_width_after": plain(answer.proposal.half_width_after),
            "measure": answer.sharpen,
        },
    }


def _table(answer: Answer) -> str:
    question = answer.question
    names = _names(answer.table)
    lines = []
    for index, row in answer.table.iterrows():
        line = [names[index], _time(row, "")]  # type: ignore[call-overload]
        if question.steps:
            line += [units.duration(row["start_seconds"]), _time(row, "total_")]
        marks = ["measured"] if row["measured"] else []
        line.append(", ".join(marks + (["may be as fast"] if row["tied"] else [])))
        lines.append(line)
    headers = [shape_name(question.shape), f"time of {_article(answer.iteration)}"]
    headers += ["start", f"{question.steps:,} steps from the start"] if question.steps else []
    align = ("left", *["right"] * (len(headers) - 1), "left")
    return tabulate(lines, [*headers, ""], tablefmt="simple", colalign=align, disable_numparse=True)


def _time(row: pd.Series, prefix: str) -> str:
    return units.duration_with_interval(*(row[f"{prefix}{name}"] for name in ("seconds", "low", "high")))


def _verdict(answer: Answer) -> str:
    names = _names(answer.table)
    tied = [names[index] for index, row in answer.table.iterrows() if row["tied"]]  # type: ignore[call-overload]
    first = names.iloc[0]
    if len(answer.table) == 1:
        return f"Only {first} can be answered for."
    return f"Use {first}" + (f"; {_listed(tied)} may be as fast." if tied else ", which is clearly the fastest.")


def _grounds(answer: Answer) -> list[str]:
    """The lines on what the answer rests on."""
    validation = answer.validation
    machine = f", {_machine(answer)}" if _machine(answer) else ""
    started = f", of {answer.run.info['started']}" if answer.run.info.get("started") else ""
    lines = [f"From run {answer.run.name}{started}{machine}; intervals are {units.percent(LEVEL)}."]
    if answer.table["measured"].all():
        lines.append("That run measured this very cell: nothing is predicted.")
    elif validation is None or not validation.cells:
        lines.append("It has too few shapes to leave any out and see how far such predictions miss.")
    else:
        lines.append(
            f"Predicted from its other sizes. With each shape left out in turn, {units.percent(validation.inside)} of "
            f"{validation.cells} cells fell within such an interval, "
            f"typically ± {units.two_digit_percent(validation.typical_half_width)}; "
            f"typical error {units.two_digit_percent(validation.typical_error)}."
        )
    return lines


def _sharper(proposal: Proposal) -> str:
    now, after = (units.two_digit_percent(width) for width in (proposal.half_width, proposal.half_width_after))
    shapes = _listed([shape_name(shape) for shape in proposal.shapes])
    return (
        f"To sharpen predictions like this one, from ± {now} to about ± {after}, "
        f"measure {shapes} as well, in one run with its other sizes:"
    )


def _sizes(shape: Shape) -> dict[str, int]:
    return {axis: getattr(shape, axis) for axis in AXES}


def _names(table: pd.DataFrame) -> pd.Series:
    """The contenders' names, with as much of device, dtype and threads as makes them different."""
    names = table["implementation"].astype(str)
    for column, form in (("device", "{}"), ("dtype", "{}"), ("threads", "{} threads")):
        if table[column].nunique() > 1:
            names = names + ", " + table[column].map(form.format)
    return names


def _machine(answer: Answer) -> str | None:
    cpu = answer.run.info.get("machine", {}).get("cpu")
    devices = answer.run.timings["device_name"].dropna()
    return cpu or (str(devices.iloc[0]) if len(devices) else None)


def _article(iteration: str) -> str:
    return f"an {iteration}" if iteration[0] in "aeiou" else f"a {iteration}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
