"""Ratios of cells that were timed in turns, paired within rounds; of many pairs at once, since a run has thousands."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isnan, log, pi

import numpy as np

from bench.plan.looks import Spending

from .statistics import NORMAL_QUARTILE, Blocks, Estimate, confidence_after, estimate

MOST_AT_ONCE = 1 << 20
"""The most blocks of pairs whose ratios are computed together, which takes some 100 MB."""


def paired(pairs: Sequence[tuple[Blocks, Blocks]], spending: Spending = Spending.WHOLE) -> list[Estimate]:
    """Estimate how many times longer the first of each pair takes than the second, from the passes and rounds that both
    have.

    Both have typical seconds, or both have floors. A pass counts as the median over its rounds of the blocks' log
    ratio. What slows the machine for a few rounds slows both, and cancels."""
    distinct = {id(blocks): blocks for pair in pairs for blocks in pair}
    places = dict(zip(distinct, range(len(distinct)), strict=True))
    seconds = _by_pass_and_round([*distinct.values()])
    at_once = max(1, MOST_AT_ONCE // max(1, seconds[:1].size))
    ratios: list[Estimate] = []
    for begin in range(0, len(pairs), at_once):
        sides = np.array([[places[id(side)] for side in pair] for pair in pairs[begin : begin + at_once]])
        passes = _log_ratios(seconds[sides[:, 0]], seconds[sides[:, 1]])
        for logs, errors in zip(*(values.tolist() for values in passes), strict=True):
            known = [index for index, value in enumerate(logs) if not isnan(value)]
            per_pass, within = [exp(logs[index]) for index in known], [errors[index] for index in known]
            ratios.append(estimate(per_pass, within, confidence_after(len(known), spending)))
    return ratios


def _by_pass_and_round(several: Sequence[Blocks]) -> np.ndarray:
    """Return the seconds of blocks (cells, passes, rounds), NaN where a cell has no block."""
    passes = {number: index for index, number in enumerate(sorted({each for blocks in several for each in blocks}))}
    every_round = {each for blocks in several for rounds in blocks.values() for each in rounds}
    columns = {number: index for index, number in enumerate(sorted(every_round))}
    seconds = np.full((len(several), len(passes), len(columns)), np.nan)
    places = [
        (cell * len(passes) + passes[number]) * len(columns) + columns[each]
        for cell, blocks in enumerate(several)
        for number, rounds in blocks.items()
        for each in rounds
    ]
    seconds.put(places, [value for blocks in several for rounds in blocks.values() for value in rounds.values()])
    return seconds


def _log_ratios(bases: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logs of the ratios (pairs, passes) of seconds (pairs, passes, rounds), NaN where a pair has no round,
    and the standard errors of these medians, as `median_error` has them."""
    ratios = bases / others
    # NumPy's own logarithm differs in the last bit from processor to processor.
    logs = np.array([log(ratio) for ratio in ratios.ravel().tolist()]).reshape(ratios.shape)
    medians, counts = _medians(logs)
    deviations, _ = _medians(np.abs(logs - medians[..., None]))
    errors = np.sqrt(pi / 2 / np.maximum(counts, 1)) * deviations / NORMAL_QUARTILE
    return medians, np.where(counts > 1, errors, 0.0)


def _medians(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the medians of the last axis, without NaN, and of how many values each is."""
    if not values.size:
        return np.full(values.shape[:-1], np.nan), np.zeros(values.shape[:-1])
    ordered = np.sort(values, axis=-1)  # NaN comes last
    counts = np.count_nonzero(~np.isnan(ordered), axis=-1)
    middles = np.stack([np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, values.shape[-1] - 1)], axis=-1)
    return np.take_along_axis(ordered, middles, axis=-1).sum(axis=-1) / 2, counts
