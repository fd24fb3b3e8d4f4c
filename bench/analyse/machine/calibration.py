"""What a machine can tell: how often a known slowdown is found, and how often one that is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    estimate,
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
"""Random sets of passes that stand for trials."""
DESIGNS = tuple((passes, rounds) for rounds in (5, 10) for passes in (3, 5, 8, 10, 14, 20))
"""Passes and rounds of which the resolution is told."""
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
    false_alarms: float = 0.0
    """Share of the other cells of the same run that were called faster or slower, though nothing had changed."""


@dataclass(frozen=True)
class Ratios:
    """Log of slowed over reference, one value a pass, of one slowdown."""

    slowdown: float
    floors: Mapping[int, np.ndarray]
    """By the number of rounds that were used, each (passes,)."""
    blocks: np.ndarray
    """Of the blocks' medians, (passes, rounds)."""
    samples: Sequence[tuple[np.ndarray, np.ndarray]]
    """Of each pass, the reference's and the slowed one's."""
    seconds: float
    """Timed in a pass of the slowed one, on average."""

    def series(self, measure: str, rounds: int) -> Series:
        """The same by what is judged, from so many rounds of each pass."""
        if measure == FLOOR:
            return Series(self.slowdown, self.floors[rounds], np.zeros(len(self.floors[rounds])))
        blocks = self.blocks[:, :rounds]
        errors = np.array([median_error(row) for row in blocks])
        return Series(self.slowdown, np.median(blocks, axis=1) if len(blocks) else np.array([]), errors)


def analyse(in_turns: RunRecords, back_to_back: RunRecords, seed: int = 0) -> dict[str, Any]:
    """The result of a calibration, as plain data: `settings` has it for each thread limit, and what stands beside it is
    the first limit's. Raises ValueError where a contender has no times."""
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
    """The ratios of each slowdown, by thread limit, from the passes that have every contender whole."""
    plan = run.plan
    by_limit: dict[int, list[Ratios]] = {}
    for slowed in run.cells.values():
        contender = slowed.cell.contender
        if contender.variant == REFERENCE:
            reference = slowed.samples_by_round
            same_limit = by_limit.setdefault(plan.threads(contender), [])
            continue
        samples = slowed.samples_by_round
        whole = [p for p in samples if len(samples[p]) == len(reference.get(p, ())) == plan.rounds]
        pairs = [(reference[p], samples[p]) for p in whole]
        designs = dict.fromkeys([rounds for _, rounds in DESIGNS if rounds <= plan.rounds] + [plan.rounds])
        floors = {
            rounds: np.array([np.log(_floor(b, rounds) / _floor(a, rounds)) for a, b in pairs]) for rounds in designs
        }
        medians = [[np.log(typical(b) / typical(a)) for a, b in zip(*pair, strict=True)] for pair in pairs]
        blocks = np.array(medians).reshape(len(pairs), plan.rounds)
        pooled = [(np.concatenate(a), np.concatenate(b)) for a, b in pairs]
        timed = sum(block.inner * sum(block.seconds) for block in slowed.blocks) / max(1, len(samples))
        same_limit.append(Ratios(VARIANTS[contender.variant], floors, blocks, pooled, timed))
    return by_limit


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


def _setting(threads: int, turns: list[Ratios], in_a_row: list[Ratios], plan: Plan, seed: int) -> dict[str, Any]:
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
        "families": _families(turns, plan, measured, seed),
    }


def _families(turns: Sequence[Ratios], plan: Plan, measured: int, seed: int) -> list[dict[str, Any]]:
    """What is found in runs of many cells, by what is judged: of FIRST passes with every slowdown, of adaptive runs
    likewise, and of the other designs what they resolve."""
    usual = [(looks.FIRST, plan.rounds), (None, plan.rounds)]
    tried = [(passes, rounds) for passes, rounds in product((5, 10, 20), (5, 10)) if (passes, rounds) not in usual]
    found = []
    for measure, (passes, rounds), cells in product((FLOOR, TYPICAL), [*usual, *tried], FAMILIES):
        if (passes or looks.FIRST) <= measured and rounds <= plan.rounds:
            in_full = (passes, rounds) in usual
            series = [ratio.series(measure, rounds) for ratio in turns]
            effects = _family(series, cells, passes, in_full, seed)
            design = {"measure": measure, "cells": cells, "passes": passes, "rounds": rounds}
            plain = [asdict(one) for one in effects] if in_full else []
            found.append({**design, "effects": plain, "resolution": resolution(effects)})
    return found


def _family(series: Sequence[Series], cells: int, passes: int | None, in_full: bool, seed: int) -> list[Effect]:
    """Of every slowdown, or from the largest on only those that may be the resolution."""
    effects: list[Effect] = []
    for slowed in sorted(series, key=lambda one: one.slowdown, reverse=True):
        if not in_full and (slowed.slowdown <= MIN_EFFECT or (effects and effects[-1].detected < FOUND)):
            break
        count = families.TRIALS if in_full else families.TRIALS // 2
        told = families.trials(series, slowed, cells, passes, seed, count)
        judged = [(trial.verdict, trial.covered, trial.passes) for trial in told]
        independent = len(slowed.logs) // (passes or looks.FIRST)
        effects.append(_effect(slowed.slowdown, judged, independent, float(np.mean([t.false_alarms for t in told]))))
    return effects[::-1]


def _effect(slowdown: float, judged: Sequence[Judged], independent: int, false_alarms: float = 0.0) -> Effect:
    wanted = {"slower", "faster"} if slowdown == 0 else {"slower"}
    detected = float(np.mean([verdict in wanted for verdict, _, _ in judged]))
    low, high = _interval(detected, independent)
    covered = float(np.mean([covers for _, covers, _ in judged]))
    passes = float(np.mean([passes for _, _, passes in judged]))
    return Effect(slowdown, independent, detected, low, high, covered, passes, false_alarms)


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
