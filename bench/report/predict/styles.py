"""What a recommended style does otherwise than the plain implementation, in sentences and lines of code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analyse.predict.costmodel import KEY
from bench.analyse.predict.recommend import Answer
from bench.plan import units
from bench.report.plain import plain

MOST_LINES = 45
"""The most lines of a diff that are shown."""


@dataclass(frozen=True)
class Style:
    """A style of another implementation, as its source shows it."""

    name: str
    style_of: str
    """The plain implementation."""
    sentence: str
    """What the style does."""
    diff: Sequence[str] | None
    """The unified diff of the code that runs, whose first two lines name the files; empty where it is the same, None
    where it was not asked for."""


def text(style: Style, answer: Answer) -> str:
    """What the style is, how much it buys where the plain implementation is answered for as well, and its diff."""
    parts = [f"{style.name} is a style of {style.style_of}. {style.sentence}".strip()]
    row = _plain_row(style, answer)
    if row is not None:
        parts.append(_gain(style, answer, row))
    if style.diff is not None and not style.diff:
        parts.append(f"In this phase, its code is that of {style.style_of}.")
    elif style.diff:
        phase = answer.question.phase
        heading = f"The code of {phase} in {style.style_of} (-) and {style.name} (+), any preparations last:"
        parts.append("\n".join(["", heading, *_bounded(style.diff)]))
    return "\n".join(parts)


def data(style: Style, answer: Answer) -> dict[str, Any]:
    """The style for JSON, with all lines of its diff, and None for unknown values."""
    row = _plain_row(style, answer)
    ratio = None if row is None else {name: plain(row[name]) for name in ("ratio", "ratio_low", "ratio_high")}
    return {
        "name": style.name,
        "style_of": style.style_of,
        "sentence": style.sentence,
        "times_as_fast": ratio,
        "diff": None if style.diff is None else [*style.diff],
    }


def _plain_row(style: Style, answer: Answer) -> pd.Series | None:
    """Return the plain implementation's row with the device, dtype and threads of the first one."""
    who = {**answer.table.iloc[0][KEY], "implementation": style.style_of}
    rows = answer.table[(answer.table[KEY] == pd.Series(who)).all(axis=1)]
    return None if rows.empty else rows.iloc[0]


def _gain(style: Style, answer: Answer, row: pd.Series) -> str:
    known = row["measured"] and answer.table["measured"].iloc[0]
    verb = "was measured to be" if known else "is predicted to be"
    value, *interval = (row[name] for name in ("ratio", "ratio_low", "ratio_high"))
    ratio = units.ratio_alone(value) if pd.isna(interval).any() else units.ratio(value, *interval)
    return f"At this size, its {answer.iteration} {verb} {ratio} as fast as that of {style.style_of}."


def _bounded(diff: Sequence[str]) -> list[str]:
    """Return at most MOST_LINES lines, and one that names the files for the rest."""
    rest = len(diff) - MOST_LINES
    if rest <= 0:
        return [*diff]
    first, second = (line[4:] for line in diff[:2])
    return [*diff[:MOST_LINES], f"{units.counted(rest, 'more line')}: compare {first} with {second}."]
