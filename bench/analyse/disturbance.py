"""What other processes and the hypervisor took of the processors while cells were sampled, and which cells suffered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from bench.measure.records import Block

UNSTEADY = "unsteady"
DISTURBED = 0.05
"""The share of its processors' time from which a process was disturbed.

A process that is preempted waits for about 3 ms, the scheduler's slice, which is longer than a sample of 2 ms: at 5 %
about one sample in twenty is hit, and from there on the 95th percentile and the medians of short blocks move. Where
nothing else runs, 99 of 100 blocks lose less than 0.1 %.
"""
FEW_BLOCKS = 0.1
"""The share of a cell's blocks that may be disturbed without harm: a median over the rest lies at their 56th percentile
then. Bursts that took 13 % of a processor's time, in 4 % of the blocks, left the noise of a pass at 0.7 %.
"""


@dataclass(frozen=True)
class Disturbance:
    """Shares of the processors' time, from 0 to 1, while samples were taken."""

    others: float
    """That the measured process wanted and other processes had."""
    stolen: float | None
    """That the hypervisor gave to other machines; None where the system does not tell."""
    switches: float
    """Involuntary, a second of one processor."""
    blocks: float
    """The share of the blocks that were disturbed."""

    @property
    def share(self) -> float:
        """Of others and the hypervisor together."""
        return _together(self.others, self.stolen)

    @property
    def is_disturbed(self) -> bool:
        return self.share > DISTURBED


def of_blocks(blocks: Iterable[Block]) -> Disturbance | None:
    """The disturbance of all of these blocks together; None where the system did not tell of any."""
    known = [block for block in blocks if block.processor_seconds and block.others_seconds is not None]
    available = sum(block.processor_seconds or 0.0 for block in known)
    if not available:
        return None
    stolen = [block.stolen_seconds for block in known if block.stolen_seconds is not None]
    with_steal = sum(block.processor_seconds or 0.0 for block in known if block.stolen_seconds is not None)
    return Disturbance(
        others=sum(block.others_seconds or 0.0 for block in known) / available,
        stolen=sum(stolen) / with_steal if with_steal else None,
        switches=sum(block.switches or 0 for block in known) / available,
        blocks=sum(share_of(block) > DISTURBED for block in known) / len(known),
    )


def share_of(block: Block) -> float:
    """What was taken of the processors' time in one block; 0 where the system does not tell."""
    if not block.processor_seconds or block.others_seconds is None:
        return 0.0
    return _together(block.others_seconds, block.stolen_seconds, block.processor_seconds)


def is_unsteady(taken: Disturbance | None, half_width: float, min_effect: float) -> bool:
    """Whether a cell's time suffered: it was disturbed, in more than a few of its blocks, and the interval of its time,
    of this `half_width` as a fraction, is too wide to tell the smallest effect that matters. A time whose interval
    stayed narrow is as good as any, however much was going on beside it."""
    return taken is not None and taken.is_disturbed and taken.blocks > FEW_BLOCKS and not half_width <= min_effect


def reason_of(taken: Disturbance) -> str:
    """Why a cell is unsteady, in words that cells of one cause share."""
    causes = {"other processes": taken.others, "the hypervisor": taken.stolen or 0.0}
    cause = next((name for name, share in causes.items() if share > DISTURBED), " and ".join(causes))
    return f"{UNSTEADY}: {cause} took more than {DISTURBED * 100:.0f} % of its processors while it was sampled"


def says_unsteady(reason: object) -> bool:
    """Whether a reason, or a part of it, is that of an unsteady cell."""
    return any(part.startswith(f"{UNSTEADY}:") for part in str(reason).split("; "))


def disturbed_rounds(*sides: Iterable[Block]) -> dict[tuple[int, int], float]:
    """The share taken in each (pass, round) in which any of the sides was disturbed, the most of any side. Such a round
    is to be set aside on all sides alike, since samples set aside on one side alone would make that side faster."""
    shares: dict[tuple[int, int], float] = {}
    for block in chain(*sides):
        if (share := share_of(block)) > DISTURBED:
            place = block.passage, block.round
            shares[place] = max(share, shares.get(place, 0.0))
    return shares


def _together(others: float, stolen: float | None, available: float = 1.0) -> float:
    """At most all of it: a process may wait for a processor that is stolen, which counts that time twice."""
    return min(1.0, (others + (stolen or 0.0)) / available)
