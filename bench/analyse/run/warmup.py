"""Whether a process kept its pace while it was sampled (Barrett et al. 2017, "Virtual machine warmup blows hot and
cold"), by change points over its samples, and over the position of a sample in its block.

Each block times a net at another place in memory, which alone can change a step's time by a third. Such jumps occur
between blocks only. Their size is therefore noise that a change across blocks has to exceed, and a change within blocks
does not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bench.analyse.estimates.changepoints import MIN_SIZE, Noise, noise_of, segment

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
    values = [np.asarray(block, float) for block in blocks if len(block)]
    if not values:
        return "flat"
    if not all((np.isfinite(block) & (block > 0)).all() for block in values):
        raise ValueError("blocks: a warm-up is classified by positive, finite samples")
    logs = [np.log(block) for block in values]
    kinds = {_kind(levels) for levels in (_levels_across(logs), _levels_within(logs))} - {"flat"}
    return "no steady state" if len(kinds) > 1 else kinds.pop() if kinds else "flat"


def of_processes(records: CellRecords) -> dict[int, str]:
    """Return the class of each of a cell's processes, by pass."""
    return {pass_number: classify(blocks) for pass_number, blocks in records.blocks_by_pass.items()}


def of_cell(kinds: Iterable[str]) -> str:
    """Return the class of most of a cell's processes, the worse one in a tie; `flat` without any processes."""
    counts = Counter(kinds)
    return max(KINDS, key=lambda kind: (counts[kind], KINDS.index(kind))) if counts else "flat"


def advice(kind: str) -> str:
    """Return what to do about cells of a class. Raises ValueError for a word that is no class."""
    if kind not in ADVICE:
        raise ValueError(f"kind: {kind!r} is no class of warm-up; they are {', '.join(KINDS)}")
    return ADVICE[kind]


def _levels_across(logs: Sequence[np.ndarray]) -> list[float]:
    """Return the levels of the samples in order; jumps between blocks count as noise that a whole block shares."""
    series = np.concatenate(logs)
    within = _noise_within(logs)
    noise = _noise_across(within, _jumps(logs, within), float(np.mean([len(block) for block in logs])))
    if noise.scale == 0:
        return _levels(series, noise, MIN_SIZE)
    return _levels(series, noise, max(MIN_SIZE, len(series) // LEVEL_SHARE))


def _levels_within(logs: Sequence[np.ndarray]) -> list[float]:
    """Return the levels over the position in a block, from the samples of all blocks about their block's median."""
    length = min(len(block) for block in logs)
    series = _about_medians(logs, length).T.ravel()
    min_size = max(MIN_SIZE, len(logs) * max(1, length // LEVEL_SHARE_WITHIN))
    return _levels(series, _noise_within(logs), min_size)


def _levels(series: np.ndarray, noise: Noise, min_size: int) -> list[float]:
    begins = segment(np.exp(series), noise=noise, min_size=min_size, min_effect=MIN_EFFECT)
    return [float(np.median(part)) for part in np.split(series, begins)]


def _kind(levels: Sequence[float]) -> str:
    changes = np.diff(levels)
    if not len(changes):
        return "flat"
    if (changes < 0).all():
        return "warming"
    return "slowing" if (changes > 0).all() else "no steady state"


def _noise_across(within: Noise, jumps: float, length: float) -> Noise:
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
    spread = math.hypot(within.scale, jumps)
    if spread == 0:
        return within
    share = (jumps / spread) ** 2
    sign_correlation = 2 / math.pi * math.asin(share)
    inflation = (1 + (length - 1) * sign_correlation) * (1 + (JUMP_COST - 1) * share)
    return Noise(spread, within.correlation * (1 - share), inflation)


def _noise_within(logs: Sequence[np.ndarray]) -> Noise:
    """Return the noise of samples about their block's level, without what the same position in all blocks shares.

    Subtracting the median of B blocks at each position leaves 1 - 1/B of the variance, as subtracting a mean would.
    """
    if len(logs) < MIN_SIZE:
        return noise_of(*logs)
    about_medians = _about_medians(logs, min(len(block) for block in logs))
    noise = noise_of(*(about_medians - np.median(about_medians, axis=0)))
    return replace(noise, scale=noise.scale * math.sqrt(len(logs) / (len(logs) - 1)))


def _about_medians(logs: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Return the first samples of each block less their median, (blocks, length)."""
    return np.array([block[:length] - np.median(block[:length]) for block in logs])


def _jumps(logs: Sequence[np.ndarray], within: Noise) -> float:
    """Return the standard deviation of what a block's samples share, from the jumps between one block's end and the
    next one's beginning, where a drift does not jump.

    A jump is the difference of two blocks' shared parts and of two medians' noise, so that half of its mean square is
    the sum of their variances. Jumps are squared rather than their median taken: two places in memory are two levels.
    """
    if len(logs) < 2:
        return 0.0
    ends = [np.median(block[-_edge_size(block) :]) for block in logs[:-1]]
    begins = [np.median(block[: _edge_size(block)]) for block in logs[1:]]
    variance = float(np.mean(np.square(np.subtract(begins, ends)))) / 2
    count = float(np.mean([_edge_size(block) for block in logs]))
    return math.sqrt(max(variance - _median_variance(within, count), 0.0))


def _median_variance(noise: Noise, count: float) -> float:
    """Return the variance of the median of `count` samples: that of an AR(1)'s mean, σ²/m·(1 + ρ)/(1 - ρ), times π/2
    (Laplace 1818) from three samples on; the median of fewer is their mean."""
    lengthened = (1 + noise.correlation) / (1 - noise.correlation)
    return noise.scale**2 * lengthened * (math.pi / 2 if count >= MIN_SIZE else 1) / count


def _edge_size(block: np.ndarray) -> int:
    return max(1, len(block) // EDGE_SHARE)
