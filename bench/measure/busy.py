"""Tell how busy other processes keep the processors before anything is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import psutil

from bench.plan.units import percent

INTERVAL_SECONDS = 0.2
"""The system counts in ticks of 10 ms, so that this is 20 ticks per processor."""
BUSY = 0.2
"""The share of the usable processors from which the user is warned; an idle desktop takes a few percent."""


def share(sample: Callable[[], Sequence[float]] | None = None) -> float | None:
    """Return the share of the usable processors that is busy while this process sleeps; None where the system does
    not tell. `sample()` returns the percentage of each processor of the machine."""
    try:
        percentages = (sample or _percentages)()
    except (OSError, RuntimeError, NotImplementedError, psutil.Error):
        return None
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(percentages))
    of_usable = [percentage for number, percentage in enumerate(percentages) if number in usable]
    return sum(of_usable) / len(of_usable) / 100 if of_usable else None


def warnings(busy: float | None) -> list[str]:
    """Return the warnings that are shown at the start of a run."""
    if busy is None or busy < BUSY:
        return []
    return [
        f"warning: other processes keep {percent(busy)} of the processors busy just now; "
        "times will be unsteady unless they end"
    ]


def _percentages() -> Sequence[float]:
    return psutil.cpu_percent(INTERVAL_SECONDS, percpu=True)
