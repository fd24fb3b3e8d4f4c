"""The processor time that other processes and the hypervisor took from cells, and which cells it disturbed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.measure.records import Block
from bench.plan.units import percent

from .recorded import RunRecords

UNSTEADY = "unsteady"
DISTURBED = 0.05
"""The taken share of its processors' time from which a process was disturbed.

A process that is preempted waits for about 3 ms, the scheduler's slice, which is longer than a sample of 2 ms: at 5 %
about one sample in twenty is hit, and from there on the 95th percentile and the medians of short blocks move. Where
nothing else runs, 99 of 100 blocks lose less than 0.1 %.
"""
FEW_BLOCKS = 0.1
"""The share of a cell's blocks that may be disturbed without harm: the median of all is then the 56th percentile of
the rest. Bursts that took 13 % of a processor's time, in 4 % of the blocks, left the noise of a pass at 0.7 %.
"""


@dataclass(frozen=True)
class Disturbance:
    """The shares of the processors' time, from 0 to 1, that were taken while cells were sampled."""

    others: float
    """The share that the measured process wanted and other processes had."""
    stolen: float | None
    """The share that the hypervisor gave to other machines; None where the system does not report it."""
    switches: float
    """Involuntary context switches per second of one processor."""
    blocks: float
    """The share of the blocks that were disturbed."""

    @property
    def share(self) -> float:
        """The share that other processes and the hypervisor took together."""
        return _together(self.others, self.stolen)

    @property
    def is_disturbed(self) -> bool:
        return self.share > DISTURBED


def of_run(run: RunRecords) -> Disturbance | None:
    """Return the disturbance of all cells together; None where the system did not report any."""
    return _of([cell.blocks for cell in run.cells.values() if cell.blocks])


def of_cell(blocks: Sequence[Block]) -> Disturbance | None:
    """Return the disturbance of a cell, from all of its blocks; None where the system did not report any."""
    return _of([blocks])


def shares_of(blocks: Sequence[Block]) -> list[float]:
    """Return the share of the processors' time that was taken in each of a cell's blocks; 0 where not reported.

    How long the cell's threads waited for one another is known only of all blocks together. It is assumed to be the
    same share of the time that they waited in each block.
    """
    _, shares = _taken([block for block in blocks if _is_known(block)])
    known = iter(shares)
    return [next(known) if _is_known(block) else 0.0 for block in blocks]


def is_unsteady(taken: Disturbance | None, half_width: float, min_effect: float) -> bool:
    """Return whether a cell's time is unsteady: the cell was disturbed, in more than a few of its blocks, and the
    interval of its time, of this `half_width` as a fraction, is too wide to show the smallest effect that matters. A
    time whose interval is narrow is as good as any, however disturbed."""
    return taken is not None and taken.is_disturbed and taken.blocks > FEW_BLOCKS and not half_width <= min_effect


def reason_of(taken: Disturbance) -> str:
    """Return why a cell is unsteady; cells with the same cause have the same reason."""
    causes = {"other processes": taken.others, "the hypervisor": taken.stolen or 0.0}
    cause = next((name for name, share in causes.items() if share > DISTURBED), " and ".join(causes))
    return f"{UNSTEADY}: {cause} took more than {percent(DISTURBED)} of its processors while it was sampled"


def says_unsteady(reason: object) -> bool:
    """Return whether a reason, or a part of it, is that of an unsteady cell."""
    return any(part.startswith(f"{UNSTEADY}:") for part in str(reason).split("; "))


def disturbed_rounds(*sides: Sequence[Block]) -> dict[tuple[int, int], float]:
    """Return the largest share taken in each (pass, round) in which any of the sides, a cell's blocks each, was
    disturbed. Such a round has to be set aside on all sides: set aside on one side alone, it would make that side
    faster."""
    most: dict[tuple[int, int], float] = {}
    for blocks in sides:
        for block, share in zip(blocks, shares_of(blocks), strict=True):
            if share > DISTURBED:
                key = block.pass_number, block.round
                most[key] = max(share, most.get(key, 0.0))
    return most


def _of(cells: Sequence[Sequence[Block]]) -> Disturbance | None:
    known = [[block for block in blocks if _is_known(block)] for blocks in cells]
    blocks = [block for cell in known for block in cell]
    if not blocks:
        return None
    taken = [_taken(cell) for cell in known]
    available = _sum([block.processor_seconds for block in blocks])
    with_steal = [block for block in blocks if block.stolen_seconds is not None]
    stolen = _sum([block.stolen_seconds for block in with_steal])
    return Disturbance(
        others=_sum(others for others, _ in taken) / available,
        stolen=stolen / _sum([block.processor_seconds for block in with_steal]) if with_steal else None,
        switches=_sum([block.switches for block in blocks]) / available,
        blocks=sum(share > DISTURBED for _, shares in taken for share in shares) / len(blocks),
    )


def _taken(known: Sequence[Block]) -> tuple[float, list[float]]:
    """Return the seconds that a cell's process wanted and others had, at most what it waited and what others used; and
    the share of the processors' time that was taken in each of its blocks."""
    waited, used = _sum([block.waited_seconds for block in known]), _sum([block.others_seconds for block in known])
    others = max(0.0, min(waited, used))
    for_others = others / waited if waited else 0.0
    shares = [
        _together(for_others * (block.waited_seconds or 0.0), block.stolen_seconds, block.processor_seconds or 1.0)
        for block in known
    ]
    return others, shares


def _is_known(block: Block) -> bool:
    return bool(block.processor_seconds) and block.waited_seconds is not None and block.others_seconds is not None


def _sum(values: Iterable[float | None]) -> float:
    return math.fsum([value or 0.0 for value in values])


def _together(others: float, stolen: float | None, available: float = 1.0) -> float:
    """Return the share that others and the hypervisor took, at most 1: waiting for a stolen processor counts twice."""
    return min(1.0, (others + (stolen or 0.0)) / available)
