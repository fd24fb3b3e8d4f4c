"""This process's peak memory, the memory that is available, and the size of the cache."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

UNKNOWN_CACHE_BYTES = 64 * 2**20


def reset_peak() -> None:
    """Reset the peak where the system can (Linux); elsewhere the peak is of the process's whole life."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_bytes() -> int:
    """Return the peak resident set since the last reset."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    high_water = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(high_water[1]) * 1024 if high_water else 0


def available_bytes() -> int:
    """Return the memory that this process may still take: what the system has left, or its container's limit."""
    try:
        free = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        available = int(free[1]) * 1024 if free else 0
    except OSError:
        available = 0
    available = available or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    try:
        return min(available, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # another system, or no limit
        return available


def last_level_cache_bytes(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int:
    """Return the size of the first processor's largest cache on Linux; elsewhere a generous guess."""
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    sizes = [path.read_text().strip() for path in folder.glob("index*/size")]
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size[-1:] in units), default=UNKNOWN_CACHE_BYTES)
