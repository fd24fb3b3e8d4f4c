"""A tree of results as airspeed velocity (asv) keeps it, for `asv publish`, `asv compare` and `asv show`.

The tree has `benchmarks.json` (format 2), and for each machine `machine.json` (format 1) and a file per commit
and environment (format 2), as `asv/benchmarks.py`, `asv/machine.py` and `asv/results.py` of asv 0.6 read
them. In `asv.conf.json`, `results_dir` names the folder, `repo` a repository that has the commits.

A phase is a benchmark; contender and shape are its parameters. asv writes null for a cell that failed and
NaN for one that was skipped; it has no place for reasons and verdicts. A sample is a whole pass, because
asv takes samples to be independent and only processes are; so its `compare` decides by 99 % intervals that
do not overlap, as long as there are few passes. A dirty tree is not marked: asv knows commits only, and a
second run of the same commit, machine and versions replaces the first.
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
from bench.plan.looks import of_ended

from .cells import Exported, Measured
from .commits import Commit

BENCHMARKS = "benchmarks.json"
MOST_BYTES = 1 << 28
"""The largest benchmarks.json that is read."""
BENCHMARKS_FORMAT, MACHINE_FORMAT, RESULTS_FORMAT = 2, 1, 2
PREFIX = "two_layer_net.time_"
VERSION = "1"
"""The version of the benchmarks: asv compares no results of different versions."""
CONFIDENCE_OF_ASV = 0.99
SKIPPED = ("unavailable", "unsupported", "not_run")
LONGEST_NAME = 128
"""The length from which on asv names an environment by its hash."""
STATISTICS = ("ci_99_a", "ci_99_b", "q_25", "q_75", "number", "repeat")
COLUMNS = ("result", "params", "version", "started_at", *(f"stats_{name}" for name in STATISTICS), "samples")


def files(run: Exported, commit: Commit, known: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the tree's files, by path. `known` is the tree's `benchmarks.json`: entries that are not of this
    run stay in it."""
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
    """Parse a tree's `benchmarks.json`. Raises ValueError where it is not asv's of this format."""
    try:
        benchmarks = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(benchmarks, dict) or benchmarks.get("version") != BENCHMARKS_FORMAT:
        raise ValueError(f"{path}: not asv's list of benchmarks in its format {BENCHMARKS_FORMAT}")
    for name, benchmark in benchmarks.items():
        if name.startswith(PREFIX) and not _is_ours(benchmark):
            raise ValueError(f"{path}: {name} is not a benchmark that relubench exported")
    return benchmarks


def _is_ours(benchmark: Any) -> bool:
    axes = benchmark.get("params") if isinstance(benchmark, dict) else None
    return isinstance(axes, list) and len(axes) == 2 and all(isinstance(axis, list) for axis in axes)


def _by_phase(run: Exported) -> dict[str, list[Measured]]:
    phases: dict[str, list[Measured]] = {}
    for measured in run.cells:
        phases.setdefault(measured.cell.phase, []).append(measured)
    return phases


def _axes(cells: Iterable[Measured]) -> list[list[str]]:
    """The contenders and the shapes by their repr, as asv writes parameters."""
    cells = list(cells)
    labels = dict.fromkeys(repr(measured.cell.contender.label) for measured in cells)
    return [[*labels], [*dict.fromkeys(repr(str(measured.cell.shape)) for measured in cells)]]


def _benchmarks(run: Exported, known: Mapping[str, Any]) -> dict[str, Any]:
    benchmarks = {}
    for phase, cells in _by_phase(run).items():
        name = PREFIX + phase
        known_axes = known.get(name, {}).get("params", [[], []])
        benchmarks[name] = {
            "name": name,
            "pretty_name": phase,
            "type": "time",
            "unit": "seconds",
            "param_names": ["contender", "shape"],
            "params": [[*dict.fromkeys([*old, *new])] for old, new in zip(known_axes, _axes(cells), strict=True)],
            "version": VERSION,
            "code": "",
            "timeout": 60.0,
        }
    return benchmarks


def _columns(cells: list[Measured], run: Exported) -> list[Any]:
    """The row of a benchmark: each column is a list over the product of its parameters."""
    axes = _axes(cells)
    by_axes = {(repr(measured.cell.contender.label), repr(str(measured.cell.shape))): measured for measured in cells}
    contenders, shapes = axes
    ordered = [by_axes.get(key) for key in product(contenders, shapes)]
    statistics = [_statistics(measured, run) for measured in ordered]
    columns = {
        "result": [_result(measured) for measured in ordered],
        "params": axes,
        "version": VERSION,
        "started_at": _started(run),
        **{f"stats_{name}": [values.get(name) for values in statistics] for name in STATISTICS},
        "samples": [
            measured.per_pass() if measured and measured.ok and measured.samples else None for measured in ordered
        ],
    }
    return [columns[name] for name in COLUMNS]


def _result(measured: Measured | None) -> float | None:
    if measured is None or measured.row["status"] in SKIPPED:
        return math.nan
    return float(measured.row["seconds"]) if measured.ok else None


def _statistics(measured: Measured | None, run: Exported) -> dict[str, float]:
    """The statistics of the passes' typical seconds; empty where there are no samples."""
    if measured is None or not measured.ok or not measured.samples:
        return {}
    passes = measured.per_pass()
    spread = _interval(measured, run)
    low, high = (spread.low, spread.high) if len(passes) > 1 else (-math.inf, math.inf)
    quartiles = np.quantile(passes, [0.25, 0.75])
    values = low, high, *map(float, quartiles), measured.row["inner"], len(passes)
    return dict(zip(STATISTICS, values, strict=True))


def _interval(measured: Measured, run: Exported) -> Estimate:
    """The interval at asv's 99 %, which like all intervals is wider where the run was looked at more than once."""
    passes = measured.per_pass()
    share = (1 - confidence_after(len(passes), of_ended(run.adaptive))) / (1 - CONFIDENCE)
    within = [standard_error([*rounds.values()]) for rounds in measured.per_block().values()]
    return estimate(passes, within, 1 - (1 - CONFIDENCE_OF_ASV) * share)


def _hardware(run: Exported) -> dict[str, str]:
    """asv's facts of a machine. Its hardware is its name: hosts of a cloud change names every day."""
    facts = run.run.info.get("machine", {})
    cpu = str(facts.get("cpu") or _first(run, "device_name") or "unknown")
    usable = facts.get("usable_processors")
    name = "-".join(map(str, filter(None, [cpu, usable, *facts.get("accelerators", ())])))
    return {
        "machine": re.sub(r"[^\w.+]+", "-", name).strip("-.") or "unknown",
        "os": str(facts.get("system", "")),
        "arch": str(facts.get("architecture", "")),
        "cpu": cpu,
        "num_cpu": str(facts.get("processors", "")),
        "ram": str(facts.get("memory_bytes", "")),
    }


def _python(run: Exported) -> str:
    """Python's version as asv writes it, like `3.11`."""
    interpreter = str(run.run.info.get("machine", {}).get("python") or _first(run, "interpreter"))
    return ".".join(interpreter.rpartition(" ")[2].split(".")[:2])


def _requirements(run: Exported) -> dict[str, str]:
    """The backends and their versions, by which environments differ."""
    versions: dict[str, set[str]] = {}
    for measured in run.cells:
        if measured.row["backend"] and measured.row["backend_version"]:
            versions.setdefault(measured.row["backend"], set()).add(measured.row["backend_version"])
    return {backend: "+".join(sorted(known)) for backend, known in sorted(versions.items())}


def _environment(python: str, requirements: Mapping[str, str]) -> str:
    name = "-".join(["relubench", f"py{python}", *(f"{backend}{version}" for backend, version in requirements.items())])
    return re.sub(r"[^\w.+-]+", "_", name)


def _shortened(environment: str) -> str:
    if len(environment) < LONGEST_NAME:
        return environment
    return "env-" + hashlib.md5(environment.encode(), usedforsecurity=False).hexdigest()


def _started(run: Exported) -> int:
    """When the run was started, in milliseconds since 1970; 0 where only a CSV is left."""
    started = run.run.info.get("started")
    return round(datetime.fromisoformat(started).timestamp() * 1000) if started else 0


def _first(run: Exported, column: str) -> str:
    return next((str(measured.row[column]) for measured in run.cells if measured.row[column]), "")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
