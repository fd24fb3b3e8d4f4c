"""Whether a process kept its pace while it was sampled (Barrett et al. 2017, "Virtual machine warmup blows hot and
cold"): by change points over its samples, and over the place of a sample in its block.

Each block times a net that lies elsewhere in memory, which alone can be worth a third of a step. Such jumps stand
between blocks only, so what is seen there is taken as the noise that a change across blocks must rise above; a change
within blocks need not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bench.analyse.estimates.changepoints import MIN_SIZE, Noise, noise_of, segment

from .tables import CellRecords

KINDS = ("flat", "warming", "slowing", "no steady state")
"""The better first."""
MIN_EFFECT = 0.03
"""Between the levels of a process, as a fraction: below it a change does not matter."""
BESIDE = 2
"""A block's share, as its inverse, that stands for its beginning, or its end."""
SHORTEST = 10
"""The samples' share, as its inverse, that a level lasts at least."""
JUMPS = 1.5
"""By how much more a change across blocks costs where jumps are all the noise: two levels are worse than Gaussian."""
ADVICE = {
    "flat": "nothing to do: its processes kept their pace",
    "warming": "it got faster while it was sampled, which its time includes: sample it for longer, raise rounds in "
    "the grid file",
    "slowing": "the processor slows under load, or memory fills: look at temperature and frequency, raise --passes",
    "no steady state": "its pace changes back and forth: unless other processes took the processors, look at frequency "
    "and memory; raise --passes",
}


def classify(blocks: Sequence[Sequence[float] | np.ndarray]) -> str:
    """Of one process: `flat`, `warming` (ends faster than it began), `slowing` (ends slower) or `no steady state`
    (changes back and forth), from the samples (m,) of each of its blocks, in order of measurement.

    Raises ValueError for samples that are not positive and finite.
    """
    values = [np.asarray(block, float) for block in blocks if len(block)]
    if not values:
        return "flat"
    if not all((np.isfinite(block) & (block > 0)).all() for block in values):
        raise ValueError("blocks: a warm-up is told from positive, finite samples")
    logs = [np.log(block) for block in values]
    seen = {_kind(levels) for levels in (_across(logs), _within(logs))} - {"flat"}
    return "no steady state" if len(seen) > 1 else seen.pop() if seen else "flat"


def of_processes(held: CellRecords) -> dict[int, str]:
    """The class of each of a cell's processes, by pass."""
    blocks: dict[int, list[list[float]]] = {}
    for block in held.blocks:
        blocks.setdefault(block.passage, []).append(block.seconds)
    return {passage: classify(here) for passage, here in blocks.items()}


def of_cell(kinds: Iterable[str]) -> str:
    """A cell's class: that of most of its processes, of equally many the worse; `flat` without any."""
    counts = Counter(kinds)
    return max(KINDS, key=lambda kind: (counts[kind], KINDS.index(kind))) if counts else "flat"


def advice(kind: str) -> str:
    """What to do about cells of a class. Raises ValueError for a word that is none."""
    if kind not in ADVICE:
        raise ValueError(f"kind: {kind!r} is no class of warm-up; they are {', '.join(KINDS)}")
    return ADVICE[kind]


def _across(logs: Sequence[np.ndarray]) -> list[float]:
    """The levels of the samples in order; jumps between blocks count as noise that a whole block shares."""
    series = np.concatenate(logs)
    within = _noise_within(logs)
    jumps = _jumps(logs, within)
    spread = math.hypot(within.scale, jumps)
    if spread == 0:
        return _levels(series, within, MIN_SIZE)
    shared = (jumps / spread) ** 2
    length = float(np.mean([len(block) for block in logs]))
    signs = 2 / math.pi * math.asin(shared)
    inflation = (1 + (length - 1) * signs) * (1 + (JUMPS - 1) * shared)
    noise = Noise(spread, within.correlation * (1 - shared), inflation)
    return _levels(series, noise, max(MIN_SIZE, len(series) // SHORTEST))


def _within(logs: Sequence[np.ndarray]) -> list[float]:
    """The levels over the place in a block: every block's samples about its median, the first ones first."""
    length = min(len(block) for block in logs)
    return _levels(_about(logs, length).T.ravel(), _noise_within(logs), max(MIN_SIZE, len(logs) * max(1, length // 5)))


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


def _noise_within(logs: Sequence[np.ndarray]) -> Noise:
    """Of samples about their block's level, without what the same place in every block has in common."""
    length = min(len(block) for block in logs)
    if len(logs) < MIN_SIZE:
        return noise_of(*logs)
    about = _about(logs, length)
    rest = about - np.median(about, axis=0)
    noise = noise_of(*rest)
    return replace(noise, scale=noise.scale * math.sqrt(len(logs) / (len(logs) - 1)))


def _about(logs: Sequence[np.ndarray], length: int) -> np.ndarray:
    """(blocks, length): the first samples of each block about their median."""
    return np.array([block[:length] - np.median(block[:length]) for block in logs])


def _jumps(logs: Sequence[np.ndarray], within: Noise) -> float:
    """Standard deviation of what a block's samples share, from the jumps between one block's end and the next one's
    beginning: a drift does not jump there. Squares of them, not medians: two places in memory are two levels."""
    if len(logs) < 2:
        return 0.0
    ends = [np.median(block[-_beside(block) :]) for block in logs[:-1]]
    begins = [np.median(block[: _beside(block)]) for block in logs[1:]]
    found = float(np.mean(np.square(np.subtract(begins, ends)))) / 2
    beside = float(np.mean([_beside(block) for block in logs]))
    lengthened = (1 + within.correlation) / (1 - within.correlation)
    by_noise = within.scale**2 * lengthened * (math.pi / 2 if beside >= MIN_SIZE else 1) / beside
    return math.sqrt(max(found - by_noise, 0.0))


def _beside(block: np.ndarray) -> int:
    return max(1, len(block) // BESIDE)
