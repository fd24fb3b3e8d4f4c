"""The memory that is free for workers, and the processes that the system killed for want of memory."""

from __future__ import annotations

from pathlib import Path

import psutil

from .cgroups import ROOT, folders, read

FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Files of a control group's memory limit and use, in version 2 and in version 1."""


def free_bytes(root: Path = ROOT) -> int:
    """Return the least of the system's free memory and of what each control group of this process leaves."""
    groups = (free for group in folders("memory", root) for free in _free_in(group))
    return min([int(psutil.virtual_memory().available), *groups])


def kills(root: Path = ROOT) -> int:
    """Return how many processes Linux has killed for want of memory, in the system and in these control groups; 0
    where it does not say."""
    counts = [_count(read(root / "proc/vmstat"), "oom_kill")]
    counts += [_count(read(group / "memory.events"), "oom_kill") for group in folders("memory", root)]
    return sum(counts)


def _free_in(group: Path) -> list[int]:
    free, parts = [], read(group / "memory.stat")
    files = _count(parts, "inactive_file") + _count(parts, "active_file")  # the system frees these first
    for limit_file, use_file in FILES:
        try:
            in_use = int(read(group / use_file) or "") - files
            free.append(max(0, int(read(group / limit_file) or "") - in_use))
        except ValueError:  # `max`, or no such file
            continue
    return free


def _count(text: str | None, name: str) -> int:
    """Return a count in a text of lines like `oom_kill 3`; 0 where it is missing."""
    lines = (line.split() for line in (text or "").splitlines())
    return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == name and words[1].isdecimal()), 0)
