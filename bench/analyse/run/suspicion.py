"""Times that cannot be true: above what the device can do, or a training quicker than its steps. Such a cell is
`suspect`; it keeps its time, but has no rank, wins no verdict, and nothing is judged against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench.analyse.estimates.statistics import Estimate
from bench.measure.worker.duration import in_words
from bench.plan.cells import Cell
from bench.plan.plan import Plan

Row = dict[str, Any]
"""A cell's columns by name, and what they were made of by names that begin with `_`."""
SUSPECT = "suspect"
ABOVE = {"compute": 1.25, "bandwidth": 2.0}
"""How many times its ceiling a cell may seem to reach. Bandwidths are less certain: what lies in a smaller cache than
the smallest footprint measured moves faster."""
QUICKER = 2.0
"""How many times longer a step alone may take than a step of a training, besides its call: compilers fuse steps."""
CALL_SECONDS = {"cpu": 1e-4}
DEVICE_CALL_SECONDS = 5e-4
"""What the call and the synchronise of a step may take, which a training has only once."""
SINGLE_PASS = 10.0
"""The factor by which a ratio from a single pass, which has no interval, may be off on a machine that others use."""
FEWEST_FLOORS = 3
"""Passes of which the quickest has a step's true time, whoever else used the machine in the others."""


def set_aside(rows: Sequence[Row], plan: Plan) -> None:
    """Give the status `suspect`, and the reason, to rows whose time cannot be true, until `give_verdicts`."""
    reasons = [
        _above_ceiling(row) or _training(row, cell, rows, plan) for row, cell in zip(rows, plan.cells, strict=True)
    ]
    for row, reason in zip(rows, reasons, strict=True):
        if reason:
            row["status"], row["reason"] = SUSPECT, "; ".join(part for part in (reason, row["reason"]) if part)


def give_verdicts(rows: Sequence[Row]) -> None:
    """Once the others were compared: rows that were set aside have a time again, and their verdict says the rest."""
    for row in rows:
        if row["status"] == SUSPECT:
            row |= {"status": "ok", "verdict": SUSPECT, "verdict_floor": SUSPECT}


def trusted(timings: pd.DataFrame) -> pd.Series:
    """Which rows of a table have a time that can be true."""
    return (timings["status"] == "ok") & (timings["verdict"].astype("string").fillna("") != SUSPECT)


def _above_ceiling(row: Row) -> str:
    fraction = row.get("_ceiling_fraction")
    if row["status"] != "ok" or fraction is None:
        return ""
    limit = "compute" if row["bound"] == "compute" else "bandwidth"
    if not _low(fraction) > ABOVE[limit]:
        return ""
    least = in_words(row["seconds"] * fraction.value)
    return f"takes {in_words(row['seconds'])}, but at this machine's best {limit} rate it takes {least} at least"


def _training(row: Row, cell: Cell, rows: Sequence[Row], plan: Plan) -> str:
    """Whether a training takes less than its steps do."""
    if row["status"] != "ok" or cell.phase != "train":
        return ""
    same = (cell.contender, cell.shape, "step")
    for step, other in zip(rows, plan.cells, strict=True):
        if (other.contender, other.shape, other.phase) == same and step["status"] == "ok":
            call = CALL_SECONDS.get(cell.contender.device, DEVICE_CALL_SECONDS)
            quickest = min(step["_floors"].values()) if len(step["_floors"]) >= FEWEST_FLOORS else 0.0
            if _high(row["_time"]) / plan.steps < quickest / QUICKER - call:
                steps = in_words(plan.steps * step["seconds"])
                return f"takes {in_words(row['seconds'])}, but its {plan.steps} steps take {steps} one by one"
    return ""


def _low(estimate: Estimate) -> float:
    return estimate.low if math.isfinite(estimate.low) else estimate.value / SINGLE_PASS


def _high(estimate: Estimate) -> float:
    return estimate.high if math.isfinite(estimate.high) else estimate.value * SINGLE_PASS
