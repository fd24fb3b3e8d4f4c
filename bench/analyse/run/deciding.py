"""How many passes would decide what a run leaves unclear, and how long they would take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from statistics import median

from scipy import special

from bench.analyse.estimates.statistics import CONFIDENCE, MIN_EFFECT, Estimate, kept_of
from bench.measure.records import RunEnded
from bench.plan import looks

from .measured import MeasuredCell
from .recorded import RunRecords
from .standing import Speedup

MOST_PASSES = 50
"""More passes than these are not asked for: a calmer machine takes less time."""
POWER = 0.8
"""The chance with which the passes are to decide a ratio that is where it seems to be."""


@dataclass(frozen=True)
class Outlook:
    """What further passes would do for a run's verdicts in one phase."""

    verdicts: int
    """The number of speed-ups that are judged."""
    unclear: int
    """How many of them are; in a run that chooses its passes itself, without those that are precise."""
    passes: int
    """The passes in total that are worth asking for; those that the cells have where more would decide nothing."""
    further: int
    """How many of them are further passes."""
    decided: int
    """How many of the unclear ones that many passes would decide."""
    beyond: int
    """How many of the unclear ones would need more than MOST_PASSES."""
    seconds: float
    """What the further passes would take, all cells of the run included."""


def needed_passes(ratio: Estimate, min_effect: float = MIN_EFFECT, tail: float = (1 - CONFIDENCE) / 2) -> int | None:
    """Return how many passes in total would decide a speed-up with a chance of POWER, at least five and more than it
    has; None where MOST_PASSES would not. `min_effect` is a fraction, `tail` the one-sided p-value that a speed-up
    beyond it needs.

    The usual formula for a sample's size: the distance of the ratio's log to the nearer bound of the minimum effect
    has to be (t + z) standard errors, which fall with the root of the number of passes. t is Student's quantile of the
    test; z is the normal one of the power, or within the minimum effect, where either bound may fail, of half of what
    the power lacks (Cohen, Statistical power analysis, 1988; Julious, Sample sizes with normal data, 2004).
    """
    if not ratio.passes or not ratio.error >= 0:
        return None
    bound, away = log(1 + min_effect), abs(log(ratio.value))
    distance = abs(away - bound)
    probability, power = (1 - tail, POWER) if away > bound else ((1 + CONFIDENCE) / 2, (1 + POWER) / 2)
    for passes in range(max(looks.FIRST, ratio.passes + 1), MOST_PASSES + 1):
        shrunk = sqrt(ratio.passes / passes)
        degrees = ratio.freedom + kept_of(passes) - kept_of(ratio.passes)
        reach = max(float(special.stdtrit(degrees, probability)) * ratio.error, ratio.least)
        if (reach + float(special.ndtri(power)) * ratio.error) * shrunk <= distance:
            return passes
    return None


def outlook(
    run: RunRecords, cells: Sequence[MeasuredCell], speedups: Mapping[str, Speedup], phase: str
) -> Outlook | None:
    """Return what further passes would do for the verdicts of a phase; None where none is unclear.

    The passes asked for are those that decide half of the unclear speed-ups that can be decided at all, so that one
    cell that needs many does not make the run long."""
    judged = [
        (cell, speedups[cell.key])
        for cell in cells
        if cell.cell.phase == phase and cell.key in speedups and speedups[cell.key].verdict is not None
    ]
    # A run that chooses its passes itself leaves a ratio alone that is precise.
    precise = run.plan.precision if run.plan.adaptive else -1.0
    unclear = [
        (cell, speedup.ratio)
        for cell, speedup in judged
        if speedup.verdict == "unclear" and speedup.ratio.half_width > precise
    ]
    if not unclear:
        return None
    tail = _tail([speedup.verdict for speedup in speedups.values() if speedup.verdict is not None])
    needed = [needed_passes(ratio, cell.min_effect, tail) for cell, ratio in unclear]
    # Cells of a run that chose its passes itself have different numbers of them: what they lack is what is compared.
    possible = sorted(passes - ratio.passes for passes, (_, ratio) in zip(needed, unclear, strict=True) if passes)
    further = possible[(len(possible) - 1) // 2] if possible else 0
    return Outlook(
        verdicts=len(judged),
        unclear=len(unclear),
        passes=max(ratio.passes for _, ratio in unclear) + further,
        further=further,
        decided=sum(number <= further for number in possible),
        beyond=needed.count(None),
        seconds=further * pass_seconds(run),
    )


def pass_seconds(run: RunRecords) -> float:
    """Return what one more pass of a run's cells would take: the median of its passes but the first, which also reads
    files and verifies, with the time between its requests; 0 for a run without passes."""
    by_pass: dict[int, float] = defaultdict(float)
    for record in run.records:
        if (number := getattr(record, "pass_number", None)) is not None:
            by_pass[number] += getattr(record, "wall_seconds", 0.0)
    if not by_pass:
        return 0.0
    wall = sum(record.wall_seconds for record in run.of_kind(RunEnded))
    between = max(1.0, wall / sum(by_pass.values())) if any(by_pass.values()) else 1.0
    later = [seconds for number, seconds in by_pass.items() if number > min(by_pass)]
    return between * median(later or [*by_pass.values()])


def _tail(verdicts: Sequence[str]) -> float:
    """Return the one-sided p-value that one more speed-up needs to be `faster` or `slower` under false-discovery
    control (Benjamini & Hochberg 1995), given how many of all are so already."""
    found = sum(verdict in ("faster", "slower") for verdict in verdicts)
    return (1 - CONFIDENCE) / 2 * min(1.0, (found + 1) / len(verdicts))
