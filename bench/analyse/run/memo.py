"""A report's sections ask for the same tables again and again: each is made once for a journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import wraps
from typing import TypeVar

from bench.measure.records import Record

T = TypeVar("T")


def once(function: Callable[[Sequence[Record]], T]) -> Callable[[Sequence[Record]], T]:
    """Remembers the result for the records that were given last, if they are the same list of the same length;
    each caller gets a copy of its own."""
    held: list[tuple[Sequence[Record], int, T]] = []

    @wraps(function)
    def remembered(records: Sequence[Record]) -> T:
        if not held or held[0][0] is not records or held[0][1] != len(records):
            held[:] = [(records, len(records), function(records))]
        return copy(held[0][2])

    return remembered
