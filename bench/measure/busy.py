"""Whether other processes keep the processors busy just now, before anything is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import psutil

from bench.plan.units import percent

INTERVAL_SECONDS = 0.2
"""The system counts in ticks of 10 ms: this is 20 of them a processor."""
BUSY = 0.2
"""The share of the usable processors from which it is worth a word: an idle desktop takes a few percent."""


def share(sample: Callable[[], Sequence[float]] | None = None) -> float | None:
    """The share of the processors usable here that are busy while this process sleeps; None where the system does not
    tell. `sample()` has the percentage of each processor of the machine."""
    try:
        percentages = (sample or _percentages)()
    except (OSError, RuntimeError, NotImplementedError, psutil.Error):
        return None
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(percentages))
    here = [percentage for number, percentage in enumerate(percentages) if number in usable]
    return sum(here) / len(here) / 100 if here else None


def warnings(busy: float | None) -> list[str]:
    """What to say at the start of a run."""
    if busy is None or busy < BUSY:
        return []
    return [
        f"warning: other processes keep {percent(busy)} of the processors busy just now; "
        "times will be unsteady unless they end"
    ]


def _percentages() -> Sequence[float]:
    return psutil.cpu_percent(INTERVAL_SECONDS, percpu=True)
