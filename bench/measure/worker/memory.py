"""The most memory this process has held."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path


def reset_peak() -> None:
    """Begin a new peak, where the system can (Linux); elsewhere the peak is the process's whole life's."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_bytes() -> int:
    """Peak resident set since the last reset."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    high_water = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(high_water[1]) * 1024 if high_water else 0
