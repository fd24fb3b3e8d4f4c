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
about one sample in twenty is hit, and from there on the 95th percentile and the medians of short blocks move. An idle
system takes below 1 %.
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

    @property
    def share(self) -> float:
        """Both. A process may wait for a processor that is stolen, so their sum may count time twice."""
        return min(1.0, self.others + (self.stolen or 0.0))

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
    )


def is_unsteady(taken: Disturbance | None, half_width: float, min_effect: float) -> bool:
    """Whether a cell's time suffered: it was disturbed, and the interval of its time, of this `half_width` as a
    fraction, is too wide to tell the smallest effect that matters. A time whose interval stayed narrow is as good as
    any, however much was going on beside it."""
    return taken is not None and taken.is_disturbed and not half_width <= min_effect


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
        taken = of_blocks([block])
        if taken is not None and taken.is_disturbed:
            place = block.passage, block.round
            shares[place] = max(taken.share, shares.get(place, 0.0))
    return shares
