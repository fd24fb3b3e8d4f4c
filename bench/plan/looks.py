"""When an adaptive run is looked at, and what each look costs.

Stopping at the first look that shows something makes chance look like a finding. The looks are
therefore few and fixed beforehand, and share the 5 % between them: each may spend a quarter of what
those before it left, which sums to one however many there are (a union bound, which holds whatever
their dependence; the spending of Lan & DeMets 1983). The last, when the run has ended, may spend all that is
left: a run ends by its time, or because nothing is undecided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

FIRST = 5
"""The passes before the first look; fewer decide nothing."""
GROWTH = 1.4
"""The factor from one look's passes to the next's."""
SHARE = 0.25
"""The share of what is left of the error rate that one look may spend."""


class Spending(Enum):
    """How much of the error rate an interval may spend."""

    WHOLE = "the run is looked at only once, when it has ended"
    AT_LOOK = "the run may go on after this look"
    AT_END = "the run has ended, and was looked at before"


def looks() -> Iterator[int]:
    """Yield the numbers of passes after which there is a look: 5, 7, 10, 14, 19, 27, …"""
    passes = float(FIRST)
    while True:
        yield round(passes)
        passes *= GROWTH


def is_look(passes: int) -> bool:
    return passes == _last(passes)[1]


def share(passes: int, spending: Spending = Spending.AT_LOOK) -> float:
    """Return the share of the error rate that may be spent after so many passes; 1 before the first look.

    >>> share(5), share(7), share(7, Spending.AT_END), share(9, Spending.AT_END)
    (0.25, 0.1875, 0.75, 0.5625)
    """
    number, passes_of_look = _last(passes)
    if spending is Spending.WHOLE or not number:
        return 1.0
    if spending is Spending.AT_LOOK:
        return SHARE * (1 - SHARE) ** (number - 1)
    looked_before = number - 1 if passes == passes_of_look else number
    return float((1 - SHARE) ** looked_before)


def spendings(visits: Sequence[int]) -> Iterator[tuple[int, Spending]]:
    """Yield each look's passes with its spending; the last one ends the run."""
    for passes in visits:
        yield passes, Spending.AT_END if passes == visits[-1] else Spending.AT_LOOK


def of_ended(adaptive: bool) -> Spending:
    """Return the spending of a run that has ended."""
    return Spending.AT_END if adaptive else Spending.WHOLE


def _last(passes: int) -> tuple[int, int]:
    """Return the number of the last look at or before so many passes, and the passes of that look."""
    last = (0, 0)
    for number, look_passes in enumerate(looks(), 1):
        if look_passes > passes:
            return last
        last = number, look_passes
    raise AssertionError("looks never end")
