"""What a run's times depend on and may have changed when it is resumed."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from .worker import environment

ROOT = Path(__file__).parent.parent.parent
MACHINE = ("host", "cpu", "architecture", "usable_processors", "memory_bytes", "system", "accelerators", "driver")
HARNESS = ("bench/measure", "bench/plan")
DIGITS = 16


def surroundings(names: Iterable[str], path: Sequence[str], facts: Mapping[str, Any]) -> dict[str, str]:
    """Return digests or values, by names for users: the sources of the implementations and of what they import from
    `path` or from this project, the harness's own sources, the machine, and the variables that change speed."""
    values: dict[str, str] = {}
    for name in dict.fromkeys(names):
        files, packages = parts_of(name, path)
        values[f"the source of {name}"] = digest(files)
        values |= {f"the version of {package}": metadata.version(package) for package in packages}
    harness = (file for folder in HARNESS for file in sorted((ROOT / folder).rglob("*.py")))
    values["relubench's own source"] = digest(harness)
    values |= {f"the machine's {name.replace('_', ' ')}": str(facts.get(name)) for name in (*MACHINE, "python")}
    variables = environment.recorded(dict(os.environ))
    return values | {f"the variable {name}": str(value) for name, value in variables.items()}


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what has changed, each in words. Empty for a run of an earlier version of relubench, which did not record
    surroundings."""
    if not before:
        return []
    return [
        _words(name, before.get(name), now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def parts_of(name: str, path: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return an implementation's file and those that it imports from this project and from `path`, and the installed
    packages that they import; none is run. Empty where the file cannot be read: its worker will say why."""
    import implementations  # imported late: it imports NumPy

    finder = ModuleFinder([str(ROOT), *path])
    try:
        finder.import_hook(implementations.module_of(name, path))
    except Exception:  # ModuleFinder reads other people's files, and may raise anything
        return [], []
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    elsewhere = {module.partition(".")[0] for module in finder.badmodules}
    packages = {package for module in elsewhere for package in _packages().get(module, ())}
    return sorted(Path(file) for file in files if file), sorted(packages)


@functools.cache
def _packages() -> Mapping[str, list[str]]:
    """Return the installed packages of each module that can be imported."""
    return metadata.packages_distributions()


def digest(files: Iterable[Path]) -> str:
    """Return a digest of the files' contents in order; empty where there are no files."""
    total, any_file = hashlib.sha256(), False
    for file in files:
        any_file = True
        total.update(hashlib.sha256(file.read_bytes() if file.is_file() else b"").digest())
    return total.hexdigest()[:DIGITS] if any_file else ""


def _words(name: str, before: str | None, now: str | None) -> str:
    if "source" in name:
        return name
    return f"{name} ({before if before is not None else 'not set'}, now {now if now is not None else 'not set'})"
