"""The outcomes of `python -m bench check` as text and as data: a line for each check, over its shapes and dtypes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from bench.measure.checking import FAILED, INFORMATION, NOT_RUN, PASSED, Outcome
from bench.measure.worker.conformance import suite
from bench.plan.units import duration, percent

from .run.rows import shape_name
from .screen import LEAST_WIDTH

STATUSES = {PASSED: "passed", FAILED: "FAILED", NOT_RUN: "not run", INFORMATION: "seen"}
"""The statuses as they are shown."""


def text(implementation: str, outcomes: list[Outcome], width: int | None = None) -> str:
    """Return a line for each check, with the first failure of each and why it matters, and a line that sums up. Longer
    lines than `width` columns are broken."""
    by_name: dict[str, list[Outcome]] = {item.name: [] for item in (suite.CLASS, *suite.SUITE)}
    for outcome in outcomes:
        by_name[outcome.name].append(outcome)
    groups = [group for group in by_name.values() if group]
    widths = [max(map(len, by_name)), max(map(len, STATUSES.values()))]
    lines = []
    for group in groups:
        status = _status(group)
        columns = f"{group[0].name:{widths[0]}}  {STATUSES[status]:{widths[1]}}  "
        details = [part for detail in _details(group, status) for part in _broken(detail, width, len(columns))]
        lines += [columns + details[0], *(" " * len(columns) + detail for detail in details[1:])]
    return "\n".join([*lines, "", _summary(implementation, groups)])


def data(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return each outcome as plain data."""
    return [
        {
            "name": outcome.name,
            "status": outcome.status,
            "reason": outcome.reason,
            "why": outcome.why,
            "shape": [outcome.shape.N, outcome.shape.D_in, outcome.shape.H, outcome.shape.D_out]
            if outcome.shape
            else None,
            "dtype": outcome.dtype,
            "device": outcome.device,
            "seconds": outcome.seconds,
        }
        for outcome in outcomes
    ]


def _status(group: list[Outcome]) -> str:
    """Return the status of a check over its shapes and dtypes."""
    found = {outcome.status for outcome in group}
    return next(status for status in (FAILED, NOT_RUN, INFORMATION, PASSED) if status in found)


def _details(group: list[Outcome], status: str) -> list[str]:
    closest = max(group, key=lambda outcome: outcome.share)
    first = next(outcome for outcome in group if outcome.status == status)
    if status == FAILED:
        failed = [outcome for outcome in group if outcome.status == FAILED]
        often = f"{len(failed)} of {len(group)} times, first " if len(group) > 1 else ""
        return [f"{often}{_where(first)}: {first.reason}", f"Why it matters: {first.why}"]
    if status == PASSED and closest.share:
        return [f"errors within {percent(closest.share)} of their tolerance, {_where(closest)}"]
    return [first.reason]


def _broken(line: str, width: int | None, indent: int) -> list[str]:
    if width is None:
        return [line]
    return textwrap.wrap(line, max(width - indent, LEAST_WIDTH), break_long_words=False, break_on_hyphens=False)


def _where(outcome: Outcome) -> str:
    at = f"at {shape_name(outcome.shape)} " if outcome.shape else ""
    return f"{at}in {outcome.dtype} on {outcome.device}"


def _summary(implementation: str, groups: list[list[Outcome]]) -> str:
    outcomes = [outcome for group in groups for outcome in group]
    statuses = [_status(group) for group in groups]
    judged = [status for status in statuses if status != INFORMATION]
    places = dict.fromkeys(outcome.device for outcome in outcomes if outcome.shape)
    dtypes = dict.fromkeys(outcome.dtype for outcome in outcomes if outcome.shape)
    where = f" on {', '.join(places)} in {', '.join(dtypes)}" if places else ""
    seconds = duration(sum(outcome.seconds for outcome in outcomes))
    return f"{implementation}: {judged.count(PASSED)} of {len(judged)} checks passed{where}, in {seconds}"
