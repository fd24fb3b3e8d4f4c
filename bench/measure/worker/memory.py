"""This process's peak memory, the memory that is available, and the size of the cache."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

UNKNOWN_CACHE_BYTES = 64 * 2**20
MOST_CACHE_BYTES = 16 * 2**20
"""The most of a last-level cache that counts for one processor: few have more."""


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
    """Return the usable processors' share of the first one's largest cache on Linux; elsewhere a generous guess.

    A virtual machine on a large host may report the whole socket's cache, as shared by all of its processors or by its
    own few alone: no processor counts for more than MOST_CACHE_BYTES.
    """
    caches = [(_cache_bytes(index / "size"), _processors(index / "shared_cpu_list")) for index in folder.glob("index*")]
    largest, sharing = max(caches, default=(0, 1))
    if not largest:
        return UNKNOWN_CACHE_BYTES
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(largest * min(usable, sharing) // sharing, usable * MOST_CACHE_BYTES)


def _cache_bytes(file: Path) -> int:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    text = _text(file)
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units and text[:-1].isdecimal() else 0


def _processors(file: Path) -> int:
    """Return how many processors a list like `0-3,8` names; 1 where there is none."""
    ranges = re.findall(r"(\d+)(?:-(\d+))?", _text(file))
    return sum(int(last or first) - int(first) + 1 for first, last in ranges) or 1


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
