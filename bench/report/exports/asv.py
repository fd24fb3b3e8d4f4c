"""A tree of results as airspeed velocity (asv) keeps it, for `asv publish`, `asv compare` and `asv show`.

`benchmarks.json` (its format 2), and by machine `machine.json` (format 1) and a file a commit and
environment (format 2), as `asv/benchmarks.py`, `asv/machine.py` and `asv/results.py` of asv 0.6 read
them. In `asv.conf.json`, `results_dir` names the folder, `repo` a repository that has the commits.

A phase is a benchmark, contender and shape are its parameters. asv's word for a cell that failed is
null, for one that was skipped NaN; why, it has no place for, nor for verdicts. A sample is a whole
pass, because asv takes samples to be independent and only processes are; so its `compare` decides by
99 % intervals that do not overlap, as long as there are few passes. That a tree was dirty is left out:
asv knows commits only, and a second run of the same commit, machine and versions replaces the first.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import product
from typing import Any

import numpy as np

from bench.analyse.estimates.statistics import CONFIDENCE, Estimate, confidence_after, estimate, standard_error

from .cells import Exported, Measured
from .commits import Commit

BENCHMARKS = "benchmarks.json"
MOST_BYTES = 1 << 28
"""Of a tree's benchmarks.json."""
BENCHMARKS_FORMAT, MACHINE_FORMAT, RESULTS_FORMAT = 2, 1, 2
PREFIX = "two_layer_net.time_"
VERSION = "1"
"""Of the benchmarks: asv sets no result beside one of another version."""
CONFIDENCE_OF_ASV = 0.99
SKIPPED = ("unavailable", "unsupported", "not_run")
LONGEST_NAME = 128
"""From which on asv names an environment by its hash."""
STATISTICS = ("ci_99_a", "ci_99_b", "q_25", "q_75", "number", "repeat")
COLUMNS = ("result", "params", "version", "started_at", *(f"stats_{name}" for name in STATISTICS), "samples")


def files(run: Exported, commit: Commit, known: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the tree's files, by path. `known` is what the tree's `benchmarks.json` holds
    already: what it has beyond this run stays."""
    hardware, requirements = _hardware(run), _requirements(run)
    environment = _environment(python := _python(run), requirements)
    results = {
        "commit_hash": commit.hash,
        "env_name": environment,
        "date": commit.milliseconds if commit.milliseconds is not None else _started(run),
        "params": {**hardware, "python": python, **requirements},
        "python": python,
        "requirements": requirements,
        "env_vars": {},
        "result_columns": [*COLUMNS],
        "results": {PREFIX + phase: _columns(cells, run) for phase, cells in _by_phase(run).items()},
        "durations": {},
        "version": RESULTS_FORMAT,
    }
    machine = hardware["machine"]
    return {
        f"{machine}/machine.json": _json({**hardware, "version": MACHINE_FORMAT}),
        f"{machine}/{commit.hash[:8]}-{_shortened(environment)}.json": _json(results),
        BENCHMARKS: _json({**known, **_benchmarks(run, known), "version": BENCHMARKS_FORMAT}),
    }


def read_benchmarks(text: str, path: object) -> dict[str, Any]:
    """What a tree's `benchmarks.json` holds. Raises ValueError where it is not asv's of this format."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(found, dict) or found.get("version") != BENCHMARKS_FORMAT:
        raise ValueError(f"{path}: not asv's list of benchmarks in its format {BENCHMARKS_FORMAT}")
    for name, held in found.items():
        if name.startswith(PREFIX) and not _ours(held):
            raise ValueError(f"{path}: {name} is not a benchmark that relubench exported")
    return found


def _ours(held: Any) -> bool:
    axes = held.get("params") if isinstance(held, dict) else None
    return isinstance(axes, list) and len(axes) == 2 and all(isinstance(axis, list) for axis in axes)


def _by_phase(run: Exported) -> dict[str, list[Measured]]:
    phases: dict[str, list[Measured]] = {}
    for one in run.cells:
        phases.setdefault(one.cell.phase, []).append(one)
    return phases


def _axes(cells: Iterable[Measured]) -> list[list[str]]:
    """The contenders and the shapes, as asv writes parameters: by their repr."""
    cells = list(cells)
    labels = dict.fromkeys(repr(one.cell.contender.label) for one in cells)
    return [[*labels], [*dict.fromkeys(repr(str(one.cell.shape)) for one in cells)]]


def _benchmarks(run: Exported, known: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for phase, cells in _by_phase(run).items():
        name = PREFIX + phase
        before = known.get(name, {}).get("params", [[], []])
        found[name] = {
            "name": name,
            "pretty_name": phase,
            "type": "time",
            "unit": "seconds",
            "param_names": ["contender", "shape"],
            "params": [[*dict.fromkeys([*old, *new])] for old, new in zip(before, _axes(cells), strict=True)],
            "version": VERSION,
            "code": "",
            "timeout": 60.0,
        }
    return found


def _columns(cells: list[Measured], run: Exported) -> list[Any]:
    """One benchmark's row: each column a list over the product of its parameters."""
    axes = _axes(cells)
    at = {(repr(one.cell.contender.label), repr(str(one.cell.shape))): one for one in cells}
    contenders, shapes = axes
    ordered = [at.get(key) for key in product(contenders, shapes)]
    known = [_statistics(one, run) for one in ordered]
    columns = {
        "result": [_result(one) for one in ordered],
        "params": axes,
        "version": VERSION,
        "started_at": _started(run),
        **{f"stats_{name}": [held.get(name) for held in known] for name in STATISTICS},
        "samples": [one.per_pass() if one and one.ok and one.samples else None for one in ordered],
    }
    return [columns[name] for name in COLUMNS]


def _result(one: Measured | None) -> float | None:
    if one is None or one.row["status"] in SKIPPED:
        return math.nan
    return float(one.row["seconds"]) if one.ok else None


def _statistics(one: Measured | None, run: Exported) -> dict[str, float]:
    """Of the passes' typical seconds; nothing where there are no samples."""
    if one is None or not one.ok or not one.samples:
        return {}
    passes = one.per_pass()
    spread = _interval(one, run)
    low, high = (spread.low, spread.high) if len(passes) > 1 else (-math.inf, math.inf)
    quartiles = np.quantile(passes, [0.25, 0.75])
    found = low, high, *map(float, quartiles), one.row["inner"], len(passes)
    return dict(zip(STATISTICS, found, strict=True))


def _interval(one: Measured, run: Exported) -> Estimate:
    """At asv's 99 %, and like all intervals wider where the run was looked at more than once."""
    passes = one.per_pass()
    share = (1 - confidence_after(len(passes), run.adaptive)) / (1 - CONFIDENCE)
    within = [standard_error([*rounds.values()]) for rounds in one.per_block().values()]
    return estimate(passes, within, 1 - (1 - CONFIDENCE_OF_ASV) * share)


def _hardware(run: Exported) -> dict[str, str]:
    """asv's facts of a machine. It is named by what it is made of: hosts of a cloud change names every day."""
    facts = run.run.info.get("machine", {})
    cpu = str(facts.get("cpu") or _first(run, "device_name") or "unknown")
    usable = facts.get("usable_processors")
    named = "-".join(map(str, filter(None, [cpu, usable, *facts.get("accelerators", ())])))
    return {
        "machine": re.sub(r"[^\w.+]+", "-", named).strip("-.") or "unknown",
        "os": str(facts.get("system", "")),
        "arch": str(facts.get("architecture", "")),
        "cpu": cpu,
        "num_cpu": str(facts.get("processors", "")),
        "ram": str(facts.get("memory_bytes", "")),
    }


def _python(run: Exported) -> str:
    """The version as asv gives it, like `3.11`."""
    told = str(run.run.info.get("machine", {}).get("python") or _first(run, "interpreter"))
    return ".".join(told.rpartition(" ")[2].split(".")[:2])


def _requirements(run: Exported) -> dict[str, str]:
    """The backends and their versions: what tells one environment from another."""
    versions: dict[str, set[str]] = {}
    for one in run.cells:
        if one.row["backend"] and one.row["backend_version"]:
            versions.setdefault(one.row["backend"], set()).add(one.row["backend_version"])
    return {backend: "+".join(sorted(found)) for backend, found in sorted(versions.items())}


def _environment(python: str, requirements: Mapping[str, str]) -> str:
    named = "-".join(["relubench", f"py{python}", *(f"{name}{version}" for name, version in requirements.items())])
    return re.sub(r"[^\w.+-]+", "_", named)


def _shortened(environment: str) -> str:
    if len(environment) < LONGEST_NAME:
        return environment
    return "env-" + hashlib.md5(environment.encode(), usedforsecurity=False).hexdigest()


def _started(run: Exported) -> int:
    """Milliseconds since 1970; 0 where only a CSV is left."""
    told = run.run.info.get("started")
    return round(datetime.fromisoformat(told).timestamp() * 1000) if told else 0


def _first(run: Exported, column: str) -> str:
    return next((str(one.row[column]) for one in run.cells if one.row[column]), "")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
