"""Find times that cannot be true: shorter than the device allows, or a training quicker than its steps.

Such a cell is `suspect`. It keeps its time, but has no rank and no verdict, and nothing is compared with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bench.analyse.estimates.statistics import Estimate
from bench.measure.worker.duration import in_words
from bench.plan.cells import Cell
from bench.plan.plan import Plan

from .columns import SUSPECT
from .measured import MeasuredCell

ABOVE = {"compute": 1.25, "bandwidth": 2.0}
"""The multiple of its ceiling that a cell may seem to reach. Bandwidths are less certain: arrays in a smaller cache
than the smallest footprint measured move faster."""
QUICKER = 2.0
"""The factor by which a step alone may take longer than one of a training, besides its call: compilers fuse steps."""
CALL_SECONDS = {"cpu": 1e-4}
DEVICE_CALL_SECONDS = 5e-4
"""The seconds that a step's call and synchronisation may take, which a training needs only once."""
SINGLE_PASS = 10.0
"""The factor by which a ratio from a single pass, which has no interval, may be off on a machine that others use."""
FEWEST_FLOORS = 3
"""The passes from which the quickest shows a step's true time, even if others used the machine in the rest."""


def marked(cells: Sequence[MeasuredCell], plan: Plan) -> list[MeasuredCell]:
    """Return the cells; those whose time cannot be true have the status `suspect`, the reason, and no terms."""
    steps = {cell.cell: cell for cell in cells if cell.cell.phase == "step" and cell.is_timed}
    return [_marked(cell, _above_ceiling(cell) or _quick_training(cell, steps, plan)) for cell in cells]


def _marked(cell: MeasuredCell, reason: str) -> MeasuredCell:
    if not reason:
        return cell
    reasons = "; ".join(part for part in (reason, cell.reason) if part)
    return replace(cell, status=SUSPECT, reason=reasons, terms=None)


def trusted(timings: pd.DataFrame) -> pd.Series:
    """Return which rows of a table have a time that can be true."""
    return (timings["status"] == "ok") & (timings["verdict"].astype("string").fillna("") != SUSPECT)


def _above_ceiling(cell: MeasuredCell) -> str:
    """Return why a time is shorter than the machine's best rates allow; empty where it is not."""
    fraction, bound = cell.closeness.fraction, cell.closeness.bound
    rate = "compute" if bound == "compute" else "bandwidth"
    if not cell.is_timed or bound is None or not _low(fraction) > ABOVE[rate]:
        return ""
    seconds = cell.time.value
    least = in_words(seconds * fraction.value)
    return f"takes {in_words(seconds)}, but at this machine's best {rate} rate it takes {least} at least"


def _quick_training(training: MeasuredCell, steps: Mapping[Cell, MeasuredCell], plan: Plan) -> str:
    """Return why a training takes less than its steps do; empty where it does not."""
    step = steps.get(replace(training.cell, phase="step"))
    if not training.is_timed or training.cell.phase != "train" or step is None:
        return ""
    call = CALL_SECONDS.get(training.cell.contender.device, DEVICE_CALL_SECONDS)
    floors = step.records.block_floors.values()
    quickest = min(min(rounds.values()) for rounds in floors) if len(floors) >= FEWEST_FLOORS else 0.0
    if not _high(training.time) / plan.steps < quickest / QUICKER - call:
        return ""
    steps_duration = in_words(plan.steps * step.time.value)
    return f"takes {in_words(training.time.value)}, but its {plan.steps} steps take {steps_duration} one by one"


def _low(estimate: Estimate) -> float:
    return estimate.low if math.isfinite(estimate.low) else estimate.value / SINGLE_PASS


def _high(estimate: Estimate) -> float:
    return estimate.high if math.isfinite(estimate.high) else estimate.value * SINGLE_PASS
