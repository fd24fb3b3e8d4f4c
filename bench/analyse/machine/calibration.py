"""What a machine can resolve: how often runs find a known slowdown, and how often one that does not exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import stats

from bench.analyse.estimates.statistics import (
    CONFIDENCE,
    MIN_EFFECT,
    Estimate,
    confidence_after,
    floor,
    median_error,
    typical,
    verdicts,
)
from bench.analyse.run.recorded import RunRecords
from bench.analyse.run.resolution import FLOOR, FOUND, TYPICAL, smallest_found
from bench.measure.calibrate import REFERENCE, VARIANTS
from bench.plan import looks
from bench.plan.plan import Plan

from . import families
from .families import FAMILIES, MOST_PASSES, Series

SETS = 400
"""The number of random sets of passes, each of which stands for a trial."""
DESIGNS = tuple((passes, rounds) for rounds in (5, 10) for passes in (3, 5, 8, 10, 14, 20))
"""The passes and rounds whose resolution is reported."""
Judged = tuple[str, bool, int]
"""One trial's verdict, whether its interval contains the true slowdown, and the passes it took."""


@dataclass(frozen=True)
class Effect:
    """How often one slowdown is found. Rates are from 0 to 1; `detected` of slowdown 0 is the rate of false alarms."""

    slowdown: float
    trials: int
    """The number of independent trials: sets of passes that share none."""
    detected: float
    detected_low: float
    detected_high: float
    """The upper end of the rate's 95 % interval; `detected_low` is the lower one."""
    coverage: float
    """How often the 95 % interval of the change contains the slowdown."""
    passes: float
    """The mean number of passes of a trial."""
    false_alarms: float = 0.0
    """The share of the run's other cells that were called faster or slower, though nothing had changed."""


@dataclass(frozen=True)
class Ratios:
    """The logs of slowed over reference of one slowdown."""

    slowdown: float
    floors: np.ndarray
    """The log ratios of the blocks' floors, (passes, rounds)."""
    typicals: np.ndarray
    """The log ratios of the blocks' medians, (passes, rounds)."""
    samples: Sequence[tuple[np.ndarray, np.ndarray]]
    """The samples of the reference and of the slowed contender in each pass."""
    seconds: float
    """The mean seconds for which the slowed contender is timed in a pass."""

    def series(self, measure: str, rounds: int) -> Series:
        """Return the log ratios of `measure` in each pass, from its first `rounds` rounds."""
        blocks = (self.floors if measure == FLOOR else self.typicals)[:, :rounds]
        errors = np.array([median_error(row) for row in blocks])
        return Series(self.slowdown, np.median(blocks, axis=1) if len(blocks) else np.array([]), errors)


def analyse(in_turns: RunRecords, back_to_back: RunRecords, seed: int = 0) -> dict[str, Any]:
    """Return the result of a calibration as plain data: `settings` has the effects of each thread limit, and the
    `effects` and `resolution` beside it are the first limit's. Raises ValueError where a contender has no times."""
    plan = in_turns.plan
    for records in [*in_turns.cells.values(), *back_to_back.cells.values()]:
        if records.failed:
            name = records.cell.contender.implementation
            raise ValueError(f"{name}: {records.failed.status}: {records.failed.reason}")
    turns, in_a_row = ratios(in_turns), ratios(back_to_back)
    settings = [_setting(threads, turns[threads], in_a_row.get(threads, []), plan, seed) for threads in turns]
    contender, shape = plan.cells[0].contender, plan.cells[0].shape
    return {
        "run": in_turns.name,
        "started": in_turns.head.started,
        "machine": in_turns.head.machine,
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


def ratios(run: RunRecords) -> dict[int, list[Ratios]]:
    """Return the ratios of each slowdown, by thread limit, from passes in which both contenders have every round."""
    plan = run.plan
    by_limit: dict[int, list[Ratios]] = {}
    for slowed in run.cells.values():
        contender = slowed.cell.contender
        if contender.variant == REFERENCE:
            reference = slowed.blocks_by_pass
            same_limit = by_limit.setdefault(plan.threads(contender), [])
            continue
        samples = slowed.blocks_by_pass
        complete = [p for p in samples if len(samples[p]) == len(reference.get(p, ())) == plan.rounds]
        pairs = [(reference[pass_number], samples[pass_number]) for pass_number in complete]
        floors, typicals = (
            np.array([[np.log(value(b) / value(a)) for a, b in zip(*pair, strict=True)] for pair in pairs]).reshape(
                len(pairs), plan.rounds
            )
            for value in (floor, typical)
        )
        pooled = [(np.concatenate(a), np.concatenate(b)) for a, b in pairs]
        seconds_per_pass = sum(block.inner * sum(block.seconds) for block in slowed.blocks) / max(1, len(samples))
        same_limit.append(Ratios(VARIANTS[contender.variant], floors, typicals, pooled, seconds_per_pass))
    return by_limit


def effect(series: Series, passes: int, judge: Callable[[Series, np.ndarray], Judged], seed: int = 0) -> Effect:
    """Return how often `judge` finds a slowdown in random sets of passes, each an array of their indices.

    Each set is a possible trial (a U-statistic, Hoeffding 1948). The result is no less precise than that of the trials
    that share no pass, whose number gives its interval.
    """
    measured = len(series.logs)
    draw = np.random.default_rng(seed)
    judged = [judge(series, draw.permutation(measured)[:passes]) for _ in range(SETS)]
    return _effect(series.slowdown, judged, measured // passes)


def in_turns(series: Series, chosen: np.ndarray) -> Judged:
    """Judge a run of a fixed number of passes."""
    return _judged(series.estimate(chosen, CONFIDENCE), series.slowdown, len(chosen))


def adaptive(series: Series, chosen: np.ndarray) -> Judged:
    """Judge an adaptive run: it is looked at from five passes on, until the verdict is clear."""
    visits = [passes for passes in range(looks.FIRST, len(chosen) + 1) if looks.is_look(passes)]
    for passes, spending in looks.spendings(visits):
        ratio = series.estimate(chosen[:passes], confidence_after(passes, spending))
        judged = _judged(ratio, series.slowdown, passes)
        if judged[0] != "unclear":
            break
    return judged


def back_to_back(reference: np.ndarray, slowed: np.ndarray, slowdown: float) -> Judged:
    """Judge one process of each, run one after the other, as if their samples were independent (Welch 1947)."""
    logs = np.log(reference), np.log(slowed)
    interval = stats.ttest_ind(*logs, equal_var=False).confidence_interval(CONFIDENCE)
    low, high = np.exp(interval)
    verdict = "slower" if high < 1 / (1 + MIN_EFFECT) else "faster" if low > 1 + MIN_EFFECT else "unclear"
    return verdict, bool(low <= 1 / (1 + slowdown) <= high), 1


def resolution(effects: Sequence[Effect]) -> float | None:
    """Return the smallest slowdown that, like all larger ones, is found in at least 95 % of the trials; or None."""
    return smallest_found([(slowed.slowdown, slowed.detected) for slowed in effects])


def _setting(threads: int, turns: list[Ratios], in_a_row: list[Ratios], plan: Plan, seed: int) -> dict[str, Any]:
    def effects(rounds: int, passes: int) -> list[Effect]:
        return [effect(ratio.series(FLOOR, rounds), passes, in_turns, seed) for ratio in turns]

    measured = min((len(ratio.samples) for ratio in turns), default=0)
    usual = effects(plan.rounds, plan.passes)
    naive = [
        _effect(ratio.slowdown, [back_to_back(a, b, ratio.slowdown) for a, b in ratio.samples], len(ratio.samples))
        for ratio in in_a_row
    ]
    most = min(MOST_PASSES, measured)
    in_full = [ratio.series(FLOOR, plan.rounds) for ratio in turns]
    as_needed = [effect(series, most, adaptive, seed) for series in in_full if most >= looks.FIRST]
    designs = [
        {"passes": passes, "rounds": rounds, "resolution": resolution(effects(rounds, passes))}
        for passes, rounds in DESIGNS
        if passes <= measured and rounds <= plan.rounds
    ]
    return {
        "threads": threads,
        "passes_measured": measured,
        "seconds_timed": plan.passes * float(np.mean([ratio.seconds for ratio in turns])),
        "effects": [asdict(slowed) for slowed in usual],
        "resolution": resolution(usual),
        "auto": [asdict(slowed) for slowed in as_needed],
        "back_to_back": [asdict(slowed) for slowed in naive],
        "designs": designs,
        "families": _families(turns, plan, measured, seed),
    }


def _families(turns: Sequence[Ratios], plan: Plan, measured: int, seed: int) -> list[dict[str, Any]]:
    """Return what runs of many cells find, by measure: runs of FIRST passes and adaptive ones with the effects of every
    slowdown, other designs with their resolution alone."""
    usual = [(looks.FIRST, plan.rounds), (None, plan.rounds)]
    tried = [(passes, rounds) for passes, rounds in product((5, 10, 20), (5, 10)) if (passes, rounds) not in usual]
    results = []
    for measure, (passes, rounds), cells in product((FLOOR, TYPICAL), [*usual, *tried], FAMILIES):
        if (passes or looks.FIRST) <= measured and rounds <= plan.rounds:
            in_full = (passes, rounds) in usual
            series = [ratio.series(measure, rounds) for ratio in turns]
            effects = _family(series, cells, passes, in_full, seed)
            design = {"measure": measure, "cells": cells, "passes": passes, "rounds": rounds}
            effects_as_dicts = [asdict(slowed) for slowed in effects] if in_full else []
            results.append({**design, "effects": effects_as_dicts, "resolution": resolution(effects)})
    return results


def _family(series: Sequence[Series], cells: int, passes: int | None, in_full: bool, seed: int) -> list[Effect]:
    """Return the effects of every slowdown, or, from the largest on, only of those that may be the resolution."""
    effects: list[Effect] = []
    for slowed in sorted(series, key=lambda candidate: candidate.slowdown, reverse=True):
        if not in_full and (slowed.slowdown <= MIN_EFFECT or (effects and effects[-1].detected < FOUND)):
            break
        count = families.TRIALS if in_full else families.TRIALS // 2
        trials = families.trials(series, slowed, cells, passes, seed, count)
        judged = [(trial.verdict, trial.covered, trial.passes) for trial in trials]
        independent = len(slowed.logs) // (passes or looks.FIRST)
        false_alarms = float(np.mean([trial.false_alarms for trial in trials]))
        effects.append(_effect(slowed.slowdown, judged, independent, false_alarms))
    return effects[::-1]


def _effect(slowdown: float, judged: Sequence[Judged], independent: int, false_alarms: float = 0.0) -> Effect:
    wanted = {"slower", "faster"} if slowdown == 0 else {"slower"}
    detected = float(np.mean([verdict in wanted for verdict, _, _ in judged]))
    low, high = _interval(detected, independent)
    covered = float(np.mean([covers for _, covers, _ in judged]))
    passes = float(np.mean([passes for _, _, passes in judged]))
    return Effect(slowdown, independent, detected, low, high, covered, passes, false_alarms)


def _interval(rate: float, trials: int) -> tuple[float, float]:
    """Return the Jeffreys interval of a rate (Brown, Cai & DasGupta 2001)."""
    hits, misses = rate * trials, (1 - rate) * trials
    low = stats.beta.ppf((1 - CONFIDENCE) / 2, hits + 0.5, misses + 0.5) if rate > 0 else 0.0
    high = stats.beta.ppf((1 + CONFIDENCE) / 2, hits + 0.5, misses + 0.5) if rate < 1 else 1.0
    return float(low), float(high)


def _judged(ratio: Estimate, slowdown: float, passes: int) -> Judged:
    """Judge a trial by its ratio of reference over slowed, which is below 1 where the slowed contender is slower."""
    return verdicts([ratio])[0], bool(ratio.low <= 1 / (1 + slowdown) <= ratio.high), passes
