"""Whether a process kept its pace while it was sampled (Barrett et al. 2017, "Virtual machine warmup blows hot and
cold"), by change points over its samples, and over the position of a sample in its block.

Each block times a net at another place in memory, which alone can change a step's time by a third. Such jumps occur
between blocks only. Their size is therefore noise that a change across blocks has to exceed, and a change within blocks
does not.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from bench.analyse.estimates.changepoints import MIN_SIZE, Noise, noise_of, segments

from .recorded import CellRecords

KINDS = ("flat", "warming", "slowing", "no steady state")
"""The classes of a process, the best first."""
MIN_EFFECT = 0.03
"""The smallest change between the levels of a process that matters, as a fraction."""
EDGE_SHARE = 2
"""The inverse of the share of a block that is its beginning, and of the share that is its end."""
LEVEL_SHARE = 10
"""The inverse of the smallest share of a process's samples that is a level."""
LEVEL_SHARE_WITHIN = 5
"""The inverse of the smallest share of a block's positions that is a level within blocks."""
JUMP_COST = 1.5
"""The factor by which a change across blocks costs more where jumps are all the noise. Blocks at one of two levels
deviate further together than Gaussian ones of the same spread: of simulated processes of 14 such blocks, 97 % are flat
with this factor, 87 % without."""
MOST_AT_ONCE = 1 << 22
"""The most pairs of samples of processes that are looked at together, which takes some 100 MB."""
ADVICE = {
    "flat": "nothing to do: its processes kept their pace",
    "warming": "it got faster while it was sampled, which its time includes: sample it for longer, raise rounds in "
    "the grid file",
    "slowing": "the processor slows under load, or memory fills: look at temperature and frequency, raise --passes",
    "no steady state": "its pace changes back and forth: unless other processes took the processors, look at frequency "
    "and memory; raise --passes",
}


def classify(blocks: Sequence[Sequence[float] | np.ndarray]) -> str:
    """Return the class of a process, from the samples (m,) of each of its blocks, in order of measurement.

    It is `flat`, `warming` (ends faster than it began), `slowing` (ends slower) or `no steady state` (changes back and
    forth). Raises ValueError for samples that are not positive and finite.

    >>> classify([[1.0, 1.0, 1.1, 1.1, 1.1, 1.1]] * 8)
    'slowing'
    """
    return classes([blocks])[0]


def classes(processes: Sequence[Sequence[Sequence[float] | np.ndarray]]) -> list[str]:
    """Return the class of each of many processes, as `classify` does. Those whose blocks have the same lengths are
    looked at together, since most of the time for one would go into calling functions."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, blocks in enumerate(processes):
        alike[tuple(len(block) for block in blocks if len(block))].append(index)
    kinds = ["flat"] * len(processes)
    for lengths, indices in alike.items():
        at_once = max(1, MOST_AT_ONCE // max(1, sum(lengths)) ** 2)
        for begin in range(0, len(indices) if lengths else 0, at_once):
            some = indices[begin : begin + at_once]
            values = np.array([np.concatenate([block for block in processes[index] if len(block)]) for index in some])
            for index, kind in zip(some, _classes(values, lengths), strict=True):
                kinds[index] = kind
    return kinds


def of_processes(records: CellRecords) -> dict[int, str]:
    """Return the class of each of a cell's processes, by pass."""
    by_pass = records.blocks_by_pass
    return dict(zip(by_pass, classes([*by_pass.values()]), strict=True))


def of_cells(cells: Sequence[CellRecords]) -> list[str]:
    """Return the class of most processes of each cell, as `of_cell` does."""
    by_cell = [records.blocks_by_pass.values() for records in cells]
    kinds = iter(classes([blocks for processes in by_cell for blocks in processes]))
    return [of_cell(islice(kinds, len(processes))) for processes in by_cell]


def of_cell(kinds: Iterable[str]) -> str:
    """Return the class of most of a cell's processes, the worse one in a tie; `flat` without any processes."""
    counts = Counter(kinds)
    return max(KINDS, key=lambda kind: (counts[kind], KINDS.index(kind))) if counts else "flat"


def advice(kind: str) -> str:
    """Return what to do about cells of a class. Raises ValueError for a word that is no class."""
    if kind not in ADVICE:
        raise ValueError(f"kind: {kind!r} is no class of warm-up; they are {', '.join(KINDS)}")
    return ADVICE[kind]


def _classes(values: np.ndarray, lengths: Sequence[int]) -> list[str]:
    """Return the classes of processes whose blocks have the same lengths, from their samples (processes, samples)."""
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError("blocks: a warm-up is classified by positive, finite samples")
    logs = np.split(np.log(values), np.cumsum(lengths)[:-1], axis=1)
    noise = _noise_within(logs)
    return [
        "no steady state"
        if across != within and "flat" not in (across, within)
        else across
        if across != "flat"
        else within
        for across, within in zip(_kinds_across(logs, noise), _kinds_within(logs, noise), strict=True)
    ]


def _kinds_across(logs: Sequence[np.ndarray], within: Noise) -> list[str]:
    """Return the classes by the samples in order; jumps between blocks count as noise that a whole block shares."""
    series = np.concatenate(logs, axis=1)
    noise = _noise_across(within, _jumps(logs, within), float(np.mean([block.shape[1] for block in logs])))
    is_silent = np.asarray(noise.scale) == 0
    kinds = np.empty(len(series), dtype=object)
    for rows, min_size in ((is_silent, MIN_SIZE), (~is_silent, max(MIN_SIZE, series.shape[1] // LEVEL_SHARE))):
        kinds[rows] = _kinds(series[rows], noise.of(rows), min_size)
    return kinds.tolist()


def _kinds_within(logs: Sequence[np.ndarray], noise: Noise) -> list[str]:
    """Return the classes by the position in a block, from the samples of all blocks about their block's median."""
    length = min(block.shape[1] for block in logs)
    series = _about_medians(logs, length).transpose(0, 2, 1).reshape(len(logs[0]), -1)
    min_size = max(MIN_SIZE, len(logs) * max(1, length // LEVEL_SHARE_WITHIN))
    return _kinds(series, noise, min_size)


def _kinds(series: np.ndarray, noise: Noise, min_size: int) -> list[str]:
    """Return the class of each series (series, n) by its levels."""
    found = segments(np.exp(series), noise=noise, min_size=min_size, min_effect=MIN_EFFECT)
    return [_kind(row, begins) if begins else "flat" for row, begins in zip(series, found, strict=True)]


def _kind(series: np.ndarray, begins: Sequence[int]) -> str:
    changes = np.diff([np.median(part) for part in np.split(series, begins)])
    if (changes < 0).all():
        return "warming"
    return "slowing" if (changes > 0).all() else "no steady state"


def _noise_across(within: Noise, jumps: np.ndarray, length: float) -> Noise:
    """Return the noise of samples in blocks of m = `length`: y = u + e, where u, with the standard deviation `jumps`,
    is the same for all of a block, and e is the noise `within`, an AR(1) with the correlation ρ.

    The gain of a needless split depends on the long-run variance of the signs of y (`Noise.long_run`). With
    σ² = Var u + Var e and the share s = Var u / σ², two samples of a block that are k apart have the correlation
    s + (1 - s)·ρ^k, and samples of different blocks have none. The signs of Gaussian values with the correlation r have
    the correlation 2/π·asin(r) (Sheppard 1899).

    - Without e's correlation, each of the m signs of a block has the correlation 2/π·asin(s) with the m - 1 others.
      The variance of their sum is m + m·(m - 1)·2/π·asin(s), or 1 + (m - 1)·2/π·asin(s) a sample:
      1 without jumps, and m with nothing but jumps, when a block counts as one value.
    - e adds (1 - s)·ρ at k = 1: `Noise` has its own factor for an AR(1) with this correlation.

    The product of the two factors is exact where ρ = 0 or s = 1, and nearly so for s = 0. In between it is too
    large, by up to a fifth for ρ = 0.2 and m <= 50, which favours `flat`. `JUMP_COST` enters in proportion to s.
    """
    spread = np.hypot(within.scale, jumps)
    share = np.square(np.divide(jumps, spread, out=np.zeros_like(spread), where=spread > 0))
    sign_correlation = 2 / math.pi * np.arcsin(share)
    inflation = (1 + (length - 1) * sign_correlation) * (1 + (JUMP_COST - 1) * share)
    return Noise(spread, within.correlation * (1 - share), inflation)


def _noise_within(logs: Sequence[np.ndarray]) -> Noise:
    """Return the noise of samples about their block's level, without what the same position in all blocks shares.

    Subtracting the median of B blocks at each position leaves 1 - 1/B of the variance, as subtracting a mean would.
    """
    if len(logs) < MIN_SIZE:
        return noise_of(*logs)
    about_medians = _about_medians(logs, min(block.shape[1] for block in logs))
    noise = noise_of(*(about_medians - np.median(about_medians, axis=1, keepdims=True)).swapaxes(0, 1))
    return replace(noise, scale=noise.scale * math.sqrt(len(logs) / (len(logs) - 1)))


def _about_medians(logs: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Return the first samples of each block less their median, (processes, blocks, length)."""
    firsts = np.stack([block[:, :length] for block in logs], axis=1)
    return firsts - np.median(firsts, axis=2, keepdims=True)


def _jumps(logs: Sequence[np.ndarray], within: Noise) -> np.ndarray:
    """Return the standard deviation of what a block's samples share, from the jumps between one block's end and the
    next one's beginning, where a drift does not jump.

    A jump is the difference of two blocks' shared parts and of two medians' noise, so that half of its mean square is
    the sum of their variances. Jumps are squared rather than their median taken: two places in memory are two levels.
    """
    if len(logs) < 2:
        return np.zeros(len(logs[0]))
    ends = [np.median(block[:, -_edge_size(block) :], axis=1) for block in logs[:-1]]
    begins = [np.median(block[:, : _edge_size(block)], axis=1) for block in logs[1:]]
    variance = np.mean(np.square(np.subtract(begins, ends).T), axis=1) / 2
    count = float(np.mean([_edge_size(block) for block in logs]))
    return np.sqrt(np.maximum(variance - _median_variance(within, count), 0.0))


def _median_variance(noise: Noise, count: float) -> float | np.ndarray:
    """Return the variance of the median of `count` samples: that of an AR(1)'s mean, σ²/m·(1 + ρ)/(1 - ρ), times π/2
    (Laplace 1818) from three samples on; the median of fewer is their mean."""
    lengthened = (1 + noise.correlation) / (1 - noise.correlation)
    return noise.scale**2 * lengthened * (math.pi / 2 if count >= MIN_SIZE else 1) / count


def _edge_size(block: np.ndarray) -> int:
    return max(1, block.shape[1] // EDGE_SHARE)
