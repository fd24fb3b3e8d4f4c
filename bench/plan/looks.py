"""When an adaptive run is looked at, and what each look costs.

Stopping at the first look that shows something makes chance look like a finding. The looks are
therefore few and fixed beforehand, and share the 5 % between them: the j-th may spend 1 / (j·(j+1))
of it, which sums to one however many there are (a union bound, which holds whatever their
dependence; the spending of Lan & DeMets 1983).
"""

from __future__ import annotations

from collections.abc import Iterator

FIRST = 5
"""The passes before the first look; fewer decide nothing."""
GROWTH = 1.4
"""The factor from one look's passes to the next's."""


def looks() -> Iterator[int]:
    """Yield the numbers of passes after which there is a look: 5, 7, 10, 14, 19, 27, …"""
    passes = float(FIRST)
    while True:
        yield round(passes)
        passes *= GROWTH


def is_look(passes: int) -> bool:
    return passes == _last(passes)[1]


def share(passes: int) -> float:
    """Return the share of the error rate that a look after so many passes may spend; 1 before the first look."""
    number, _ = _last(passes)
    return 1 / (number * (number + 1)) if number else 1.0


def _last(passes: int) -> tuple[int, int]:
    """Return the number of the last look at or before so many passes, and the passes of that look."""
    last = (0, 0)
    for number, look_passes in enumerate(looks(), 1):
        if look_passes > passes:
            return last
        last = number, look_passes
    raise AssertionError("looks never end")
