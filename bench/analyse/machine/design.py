"""How a run spends its time best: on passes, on rounds or on samples, by what its own blocks show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import expm1, log, pi, sqrt
from statistics import median

import numpy as np
from scipy import stats

from bench.analyse.estimates.statistics import estimate, median_error
from bench.analyse.run.recorded import CellRecords, RunRecords
from bench.analyse.run.run import Run
from bench.measure.records import Block, Entered
from bench.plan import looks

ROUNDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
SAMPLES = (1, 3, 6, 9, 12, 16, 22)
"""The rounds of a pass and the samples of a block that are tried."""


@dataclass(frozen=True)
class Components:
    """The variances of the log of a ratio of typical times, by where they arise. They are those of medians, which are
    π/2 times as large as those of means (Laplace 1818)."""

    process: float
    """Between passes, each of which has fresh processes."""
    round: float
    """Between the rounds of a pass."""
    sample: float
    """Between the samples of a block."""

    def variance(self, rounds: int, samples: int) -> float:
        """Return the variance of a pass's log ratio, as nested sampling has it (Cochran 1977, chapter 10)."""
        return self.process + (self.round + self.sample / samples) / rounds


@dataclass(frozen=True)
class Cost:
    """The seconds that a cell takes."""

    process: float
    """In each pass: the process's start and preparation, shared among its cells, and the warm-up."""
    block: float
    """In each block beside its samples: the re-warm, and the exchange with the process."""
    sample: float

    def seconds(self, rounds: int, samples: int) -> float:
        """Return the seconds of a pass."""
        return self.process + rounds * (self.block + samples * self.sample)


@dataclass(frozen=True)
class Design:
    """A number of passes, rounds and samples, and half the width of a ratio's interval from them, as a fraction."""

    passes: int
    rounds: int
    samples: int
    half_width: float


@dataclass(frozen=True)
class Choice:
    """What the cells of a thread limit vary by and cost, and the designs that take no longer than they did."""

    threads: int
    components: Components
    cost: Cost
    seconds: float
    """The seconds that a cell took in all passes."""
    used: Design
    designs: Sequence[Design]

    @property
    def best(self) -> Design:
        """The design with the narrowest interval, which may be the one used."""
        return min([self.used, *self.designs], key=lambda design: design.half_width)


def choices(run: Run) -> list[Choice]:
    """Return the choice of each thread limit in which cells were compared with a baseline. Raises ValueError where no
    two cells of one have two passes of two rounds."""
    by_limit: dict[int, list[tuple[CellRecords, CellRecords]]] = {}
    for key, base in run.baselines.items():
        if key != base.key:
            threads = run.plan.threads(run.cells[key].cell.contender)
            by_limit.setdefault(threads, []).append((base.records, run.cells[key]))
    if not by_limit:
        raise ValueError(f"{run.name} has no cell that was compared with a baseline")
    return [_choice(run, threads, pairs) for threads, pairs in sorted(by_limit.items())]


def components(pairs: Sequence[tuple[CellRecords, CellRecords]]) -> Components:
    """Return the variance components of the ratios of pairs of cells: each is the median over the pairs.

    A component is the variance of its level's medians less what the levels below it explain: the analysis of variance
    of a nested design, with medians in place of means. Raises ValueError where no pair has two passes of two rounds.
    """
    found = [each for first, second in pairs if (each := _components(first, second))]
    if not found:
        raise ValueError("no two of its cells that can be compared have two passes of two rounds")
    process, in_rounds, sample = (max(0.0, float(np.median(level))) for level in zip(*found, strict=True))
    return Components(process, in_rounds, sample)


def cost(run: RunRecords, cells: Sequence[CellRecords]) -> Cost:
    """Return what some cells of a run cost, a cell, by the passes after the first, which also verifies."""
    beside = [
        record for record in run.records if getattr(record, "pass_number", 1) > 1 and not isinstance(record, Block)
    ]
    seconds = sum(getattr(record, "wall_seconds", 0.0) + getattr(record, "check_seconds", 0.0) for record in beside)
    blocks = [block for records in cells for block in records.blocks if block.pass_number > 1]
    timed = sum(block.inner * sum(block.seconds) for block in blocks)
    return Cost(
        seconds / sum(isinstance(record, Entered) for record in beside),
        (sum(block.wall_seconds for block in blocks) - timed) / len(blocks),
        timed / sum(len(block.seconds) for block in blocks),
    )


def designs(components: Components, cost: Cost, seconds: float, least_passes: int = looks.FIRST) -> list[Design]:
    """Return the designs that take no more than `seconds` a cell, each with as many passes as fit, `least_passes` or
    more."""
    results = []
    for rounds, samples in product(ROUNDS, SAMPLES):
        passes = int(seconds / cost.seconds(rounds, samples))
        if passes >= least_passes:
            results.append(design(components, passes, rounds, samples))
    return results


def design(components: Components, passes: int, rounds: int, samples: int) -> Design:
    """Return a design with the interval that it gives to the ratio of two cells that a run has alone."""
    return Design(passes, rounds, samples, expm1(_half_width(passes) * sqrt(components.variance(rounds, samples))))


def _choice(run: Run, threads: int, pairs: Sequence[tuple[CellRecords, CellRecords]]) -> Choice:
    cells = [records for pair in pairs for records in pair]
    found, spent, rounds = components(pairs), cost(run, cells), run.plan.rounds
    passes = max(records.passes for records in cells)
    samples = round(median(len(block.seconds) for records in cells for block in records.blocks))
    seconds = passes * spent.seconds(rounds, samples)
    used = design(found, passes, rounds, samples)
    others = designs(found, spent, seconds, min(passes, looks.FIRST))
    return Choice(threads, found, spent, seconds, used, others)


@cache
def _half_width(passes: int) -> float:
    """Return half the width of the interval of a log, in standard deviations of a pass, for passes that lie as those of
    a normal distribution usually do."""
    scores = stats.norm.ppf((np.arange(passes) + 0.5) / passes)
    return float(np.log1p(estimate(np.exp(scores / scores.std(ddof=1))).half_width))


def _components(first: CellRecords, second: CellRecords) -> tuple[float, float, float] | None:
    """Return a pair's variances by process, round and sample, each of which may be below 0; None where there are too
    few passes and rounds."""
    medians, errors, in_rounds = [], [], []
    for pass_number, rounds in second.block_typicals.items():
        base = first.block_typicals.get(pass_number, {})
        logs = [log(seconds / base[number]) for number, seconds in rounds.items() if number in base]
        if len(logs) > 1:
            medians.append(median(logs))
            errors.append(median_error(logs) ** 2)
            in_rounds.append(_per_value(logs))
    if len(medians) < 2:
        return None
    samples = [np.log(block.seconds) for block in (*first.blocks, *second.blocks)]
    in_blocks = 2 * pi / 2 * float(np.mean([_per_value(logs) for logs in samples]))  # those of both sides add
    per_block = float(np.median([len(logs) for logs in samples]))
    in_passes = float(np.mean(in_rounds))
    by_rounds = float(np.mean(errors))
    return float(np.var(medians, ddof=1)) - by_rounds, in_passes - in_blocks / per_block, in_blocks


def _per_value(logs: Sequence[float] | np.ndarray) -> float:
    """Return the variance of the median of some logs, times their number."""
    return len(logs) * median_error(logs) ** 2
