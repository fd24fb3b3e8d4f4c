"""What a machine can tell: how often a known slowdown is found, and how often one that is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from bench.measure.calibrate import REFERENCE, VARIANTS
from bench.measure.records import Record
from bench.measure.session import plan_of
from bench.plan import looks

from . import tables
from .resolution import smallest_found
from .statistics import CONFIDENCE, MIN_EFFECT, Estimate, confidence_after, estimate, floor, verdicts

SETS = 400
"""Random sets of passes that stand for trials."""
DESIGNS = tuple((passes, rounds) for rounds in (5, 10) for passes in (3, 5, 8, 10, 14, 20))
"""Passes and rounds of which the resolution is told."""
MOST_PASSES = 27
"""At which the trials of runs of as many passes as it takes end."""
Judged = tuple[str, bool, int]
"""Of one trial: the verdict, whether the interval has the truth, and the passes it took."""


@dataclass(frozen=True)
class Effect:
    """How one slowdown fares. Rates from 0 to 1; `detected` of slowdown 0 is the false alarms."""

    slowdown: float
    trials: int
    """Independent ones: sets of passes that share none."""
    detected: float
    detected_low: float
    detected_high: float
    """Of the 95 % interval."""
    coverage: float
    """Of the 95 % interval of the change: how often it has the slowdown."""
    passes: float
    """Of a trial, on average."""


@dataclass(frozen=True)
class Ratios:
    """Log of slowed over reference, one value a pass, of one slowdown."""

    slowdown: float
    floors: Mapping[int, np.ndarray]
    """By the number of rounds that were used, each (passes,)."""
    samples: Sequence[tuple[np.ndarray, np.ndarray]]
    """Of each pass, the reference's and the slowed one's."""
    seconds: float
    """Timed in a pass of the slowed one, on average."""


def analyse(in_turns: Sequence[Record], back_to_back: Sequence[Record], seed: int = 0) -> dict[str, Any]:
    """The result of a calibration, as plain data; `settings` has it for each thread limit, and what
    stands beside it is the first of them's. Raises ValueError where a contender has no times."""
    plan = plan_of(tables.started(in_turns))
    for cell in [*tables.by_cell(in_turns).values(), *tables.by_cell(back_to_back).values()]:
        if cell.failed:
            raise ValueError(f"{cell.cell.contender.implementation}: {cell.failed.status}: {cell.failed.reason}")
    turns, in_a_row = ratios(in_turns), ratios(back_to_back)
    settings = [_setting(threads, turns[threads], in_a_row.get(threads, []), plan, seed) for threads in turns]
    contender, shape = plan.cells[0].contender, plan.cells[0].shape
    return {
        "run": tables.started(in_turns).run,
        "started": tables.started(in_turns).started,
        "machine": tables.started(in_turns).machine,
        "implementation": contender.implementation,
        "shape": asdict(shape),
        "min_effect": MIN_EFFECT,
        "passes": plan.passes,
        "rounds": plan.rounds,
        "samples": plan.samples,
        "effects": settings[0]["effects"],
        "resolution": settings[0]["resolution"],
        "settings": settings,
    }


def ratios(records: Sequence[Record]) -> dict[int, list[Ratios]]:
    """Of each thread limit, those of each slowdown, from the passes that have every contender whole."""
    plan = plan_of(tables.started(records))
    held = {cell.cell.contender: cell for cell in tables.by_cell(records).values()}
    found: dict[int, list[Ratios]] = {}
    for contender, slowed in held.items():
        if contender.variant == REFERENCE:
            reference = slowed.by_round()
            theirs = found.setdefault(plan.threads(contender), [])
            continue
        mine = slowed.by_round()
        whole = [p for p in mine if len(mine[p]) == len(reference.get(p, ())) == plan.rounds]
        pairs = [(reference[p], mine[p]) for p in whole]
        designs = dict.fromkeys([rounds for _, rounds in DESIGNS if rounds <= plan.rounds] + [plan.rounds])
        floors = {
            rounds: np.array([np.log(_floor(b, rounds) / _floor(a, rounds)) for a, b in pairs]) for rounds in designs
        }
        samples = [(np.concatenate(a), np.concatenate(b)) for a, b in pairs]
        timed = sum(block.inner * sum(block.seconds) for block in slowed.blocks) / max(1, len(mine))
        theirs.append(Ratios(VARIANTS[contender.variant], floors, samples, timed))
    return found


def effect(
    ratio: Ratios, rounds: int, passes: int, judge: Callable[[np.ndarray, float], Judged], seed: int = 0
) -> Effect:
    """Of random sets of passes: each is a trial that could have been (a U-statistic, Hoeffding 1948, and
    so no less precise than the trials that share no pass, by which its interval counts)."""
    logs = ratio.floors[rounds]
    draw = np.random.default_rng(seed)
    judged = [judge(draw.permutation(logs)[:passes], ratio.slowdown) for _ in range(SETS)]
    return _effect(ratio.slowdown, judged, len(logs) // passes)


def in_turns(logs: np.ndarray, slowdown: float) -> Judged:
    """A run of so many passes, judged as one of any length is."""
    return _judged(estimate(np.exp(-logs)), slowdown, len(logs))


def adaptive(logs: np.ndarray, slowdown: float) -> Judged:
    """A run of as many passes as it takes: looked at from five on until the verdict is clear."""
    for passes in range(looks.FIRST, len(logs) + 1):
        if looks.is_look(passes):
            told = _judged(
                estimate(np.exp(-logs[:passes]), confidence=confidence_after(passes, True)), slowdown, passes
            )
            if told[0] != "unclear":
                break
    return told


def back_to_back(reference: np.ndarray, slowed: np.ndarray, slowdown: float) -> Judged:
    """One process each, one after the other, their samples taken for independent (Welch 1947)."""
    logs = np.log(reference), np.log(slowed)
    interval = stats.ttest_ind(*logs, equal_var=False).confidence_interval(CONFIDENCE)
    low, high = np.exp(interval)
    told = "slower" if high < 1 / (1 + MIN_EFFECT) else "faster" if low > 1 + MIN_EFFECT else "unclear"
    return told, bool(low <= 1 / (1 + slowdown) <= high), 1


def resolution(effects: Sequence[Effect]) -> float | None:
    """The smallest slowdown that is found in at least 95 % of the trials, as are all above it; None if
    there is none."""
    return smallest_found([(one.slowdown, one.detected) for one in effects])


def _setting(threads: int, turns: list[Ratios], in_a_row: list[Ratios], plan: Any, seed: int) -> dict[str, Any]:
    def effects(rounds: int, passes: int) -> list[Effect]:
        return [effect(ratio, rounds, passes, in_turns, seed) for ratio in turns]

    measured = min((len(ratio.samples) for ratio in turns), default=0)
    usual = effects(plan.rounds, plan.passes)
    naive = [
        _effect(ratio.slowdown, [back_to_back(a, b, ratio.slowdown) for a, b in ratio.samples], len(ratio.samples))
        for ratio in in_a_row
    ]
    most = min(MOST_PASSES, measured)
    as_needed = [effect(ratio, plan.rounds, most, adaptive, seed) for ratio in turns if most >= looks.FIRST]
    designs = [
        {"passes": passes, "rounds": rounds, "resolution": resolution(effects(rounds, passes))}
        for passes, rounds in DESIGNS
        if passes <= measured and rounds <= plan.rounds
    ]
    return {
        "threads": threads,
        "passes_measured": measured,
        "seconds_timed": plan.passes * float(np.mean([ratio.seconds for ratio in turns])),
        "effects": [asdict(one) for one in usual],
        "resolution": resolution(usual),
        "auto": [asdict(one) for one in as_needed],
        "back_to_back": [asdict(one) for one in naive],
        "designs": designs,
    }


def _effect(slowdown: float, judged: Sequence[Judged], independent: int) -> Effect:
    wanted = {"slower", "faster"} if slowdown == 0 else {"slower"}
    detected = float(np.mean([verdict in wanted for verdict, _, _ in judged]))
    low, high = _interval(detected, independent)
    covered = float(np.mean([covers for _, covers, _ in judged]))
    return Effect(
        slowdown, independent, detected, low, high, covered, float(np.mean([passes for _, _, passes in judged]))
    )


def _interval(rate: float, trials: int) -> tuple[float, float]:
    """Of a rate: Jeffreys' (Brown, Cai & DasGupta 2001)."""
    hits, misses = rate * trials, (1 - rate) * trials
    low = stats.beta.ppf((1 - CONFIDENCE) / 2, hits + 0.5, misses + 0.5) if rate > 0 else 0.0
    high = stats.beta.ppf((1 + CONFIDENCE) / 2, hits + 0.5, misses + 0.5) if rate < 1 else 1.0
    return float(low), float(high)


def _judged(ratio: Estimate, slowdown: float, passes: int) -> Judged:
    """`ratio` is reference over slowed: below 1 where it is slower."""
    return verdicts([ratio])[0], bool(ratio.low <= 1 / (1 + slowdown) <= ratio.high), passes


def _floor(blocks: Sequence[np.ndarray], rounds: int) -> float:
    return floor(np.concatenate(blocks[:rounds]))
