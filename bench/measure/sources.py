"""What a run's times depend on and could have changed when it goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from .records import Record, WorkerStarted
from .worker import environment

ROOT = Path(__file__).parent.parent.parent
MACHINE = ("host", "cpu", "architecture", "usable_processors", "memory_bytes", "system", "accelerators", "driver")
HARNESS = ("bench/measure", "bench/plan")
DIGITS = 16


def surroundings(names: Iterable[str], path: Sequence[str], facts: Mapping[str, Any]) -> dict[str, str]:
    """By what a user would call it: the sources of the implementations and of what they import from `path` or from
    this project, the harness's own, the machine, and the variables that change speed."""
    found = {f"the source of {name}": digest(files_of(name, path)) for name in dict.fromkeys(names)}
    harness = (file for folder in HARNESS for file in sorted((ROOT / folder).rglob("*.py")))
    found["relubench's own source"] = digest(harness)
    found |= {f"the machine's {name.replace('_', ' ')}": str(facts.get(name)) for name in (*MACHINE, "python")}
    variables = environment.recorded(dict(os.environ))
    return found | {f"the variable {name}": str(value) for name, value in variables.items()}


def changes(before: Mapping[str, str], now: Mapping[str, str], records: Iterable[Record]) -> list[str]:
    """What is no longer as it was, each in words. `records` are the run's so far: they have the versions of backends.
    Empty for a run of an earlier version of relubench, which did not keep this."""
    if not before:
        return []
    changed = [
        _words(name, before.get(name), now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    versions = {record.backend: record.backend_version for record in records if isinstance(record, WorkerStarted)}
    for backend, version in versions.items():
        try:
            installed = metadata.version(backend)
        except metadata.PackageNotFoundError:  # its distribution has another name, or it is gone: its worker will tell
            continue
        if installed != version:
            changed.append(f"{backend} ({version}, now {installed})")
    return changed


def files_of(name: str, path: Sequence[str]) -> list[Path]:
    """An implementation's file and those that it imports from this project and from `path`; none is run. Empty where it
    cannot be read: its worker will say why."""
    import implementations  # only now: it imports NumPy

    finder = ModuleFinder([str(ROOT), *path])
    try:
        finder.import_hook(implementations.module_of(name, path))
    except Exception:  # ModuleFinder reads other people's files, and raises what it likes
        return []
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    return sorted(Path(file) for file in files if file)


def digest(files: Iterable[Path]) -> str:
    """Of the files' contents in order; empty where there are none."""
    total, any_file = hashlib.sha256(), False
    for file in files:
        any_file = True
        total.update(hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest())
    return total.hexdigest()[:DIGITS] if any_file else ""


def _words(name: str, before: str | None, now: str | None) -> str:
    if "source" in name:
        return name
    return f"{name} ({before if before is not None else 'not set'}, now {now if now is not None else 'not set'})"
