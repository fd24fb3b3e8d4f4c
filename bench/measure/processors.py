"""The processors that this process may use: affinity, CPU quota, cores, clock. Linux tells most."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import floor
from pathlib import Path
from typing import Any

import psutil

from . import cgroups
from .cgroups import ROOT
from .cgroups import read as _read

CPUS = "sys/devices/system/cpu"


def usable(root: Path = ROOT) -> int:
    """Return the number of usable processors: those of the affinity, or of the quota, rounded down, if that is less."""
    allowed = quota(root)
    return min(len(affinity()), max(1, floor(allowed))) if allowed else len(affinity())


def affinity() -> list[int]:
    """Return the processors this process may run on, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def quota(root: Path = ROOT) -> float | None:
    """Return the processor seconds per second that the control groups of this process allow, the least of its own and
    all above it; None where they set no limit."""
    quotas = [
        allowed
        for folder in cgroups.folders("cpu", root)
        for allowed in (_quota_of_v2(folder), _quota_of_v1(folder))
        if allowed
    ]
    return min(quotas, default=None)


def cores(processors: Iterable[int], root: Path = ROOT) -> int | None:
    """Return how many cores the processors are, fewer where two of them are hyperthreads of one core; None where the
    system does not tell."""
    siblings = {_read(root / CPUS / f"cpu{number}/topology/thread_siblings_list") for number in processors}
    return None if None in siblings else len(siblings)


def describe(root: Path = ROOT) -> dict[str, Any]:
    """Return the facts as plain data; None for what the system does not tell."""
    own = affinity()
    allowed = quota(root)
    return {
        "usable_processors": usable(root),
        "affinity": len(own),
        "quota": allowed and round(allowed, 3),
        "usable_cores": cores(own, root),
        "governor": _joined(_read(root / CPUS / f"cpu{number}/cpufreq/scaling_governor") for number in own),
        "turbo": turbo(root),
        "swap_bytes": _swap_bytes(),
    }


def turbo(root: Path = ROOT) -> bool | None:
    """Tell whether processors may run faster than their nominal clock; None where the system does not tell."""
    no_turbo = _read(root / CPUS / "intel_pstate/no_turbo")
    if no_turbo in ("0", "1"):
        return no_turbo == "0"
    boost = _read(root / CPUS / "cpufreq/boost")
    return boost == "1" if boost in ("0", "1") else None


def _quota_of_v2(group: Path) -> float | None:
    """Return the quota in a file such as `150000 100000`, microseconds in each period, or `max 100000`."""
    words = (_read(group / "cpu.max") or "").split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _quota_of_v1(group: Path) -> float | None:
    """Return the quota in two files; -1 stands for none."""
    return _ratio(_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us"))


def _ratio(allowed: str | None, period: str | None) -> float | None:
    try:
        ratio = float(allowed or "") / float(period or "")
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if 0 < ratio < float("inf") else None


def _swap_bytes() -> int | None:
    try:
        return int(psutil.swap_memory().used)
    except (OSError, RuntimeError, ValueError):
        return None


def _joined(values: Iterable[str | None]) -> str | None:
    return ", ".join(sorted({value for value in values if value})) or None
