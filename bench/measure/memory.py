"""Memory that is free for workers, and the processes that the system killed for want of it."""

from __future__ import annotations

from pathlib import Path

import psutil

from .cgroups import ROOT, folders, read

FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""The limit of a control group and what it uses, of its second version and of its first."""


def free_bytes(root: Path = ROOT) -> int:
    """The least of what the system has and of what the control groups of this process leave it."""
    groups = (left for group in folders("memory", root) for left in _left(group))
    return min([int(psutil.virtual_memory().available), *groups])


def kills(root: Path = ROOT) -> int:
    """How many processes Linux has killed for want of memory, of the whole system or of these control groups; 0 where
    it does not say."""
    counts = [_count(read(root / "proc/vmstat"), "oom_kill")]
    counts += [_count(read(group / "memory.events"), "oom_kill") for group in folders("memory", root)]
    return sum(counts)


def _left(group: Path) -> list[int]:
    left, parts = [], read(group / "memory.stat")
    files = _count(parts, "inactive_file") + _count(parts, "active_file")  # given up before a process is refused any
    for limit, used in FILES:
        try:
            in_use = int(read(group / used) or "") - files
            left.append(max(0, int(read(group / limit) or "") - in_use))
        except ValueError:  # `max`, or no such file
            continue
    return left


def _count(text: str | None, name: str) -> int:
    """Of a file of lines like `oom_kill 3`."""
    lines = (line.split() for line in (text or "").splitlines())
    return next((int(words[1]) for words in lines if len(words) == 2 and words[0] == name and words[1].isdecimal()), 0)
