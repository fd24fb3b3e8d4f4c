"""pytest-benchmark's JSON, as `pytest bench --benchmark-json` writes it for the same run.

Names, parameters and statistics are those of the tests in `bench/test_two_layer_net.py`, so that
`pytest-benchmark compare` compares an exported run with a native one. As there, all samples of a cell are
pooled, so that their spread includes that between processes. Cells without a time are left out, and so are a
commit's time and branch, which a run does not know.
"""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

from pytest_benchmark.stats import Stats

from .cells import Exported, Measured

FILE = "bench/test_two_layer_net.py"
EXTRA = (
    *("run", "threads", "precision", "backend_version", "seconds", "seconds_low", "seconds_high"),
    *("speedup", "speedup_low", "speedup_high", "verdict", "gflops"),
)


def text(run: Exported) -> str:
    """The JSON text of a run. Raises ValueError where no cell has a time, or samples are lost."""
    info = run.run.info
    report = {
        "machine_info": _machine(info.get("machine", {})),
        "commit_info": _commit(run),
        "benchmarks": [_benchmark(measured) for measured in run.sampled()],
        "datetime": info.get("started"),
        "version": metadata.version("pytest-benchmark"),
    }
    return json.dumps(report, indent=4, allow_nan=False) + "\n"


def _benchmark(measured: Measured) -> dict[str, Any]:
    contender, shape = measured.cell.contender, measured.cell.shape
    name = f"test_{measured.cell.phase}[{measured.cell.id}]"
    return {
        "group": None,
        "name": name,
        "fullname": f"{FILE}::{name}",
        "params": {
            "implementation": contender.implementation,
            "device": contender.device,
            "dtype": contender.dtype,
            "threads": contender.threads,
            "N": shape.N,
            "D_in": shape.D_in,
            "H": shape.H,
            "D_out": shape.D_out,
        },
        "param": measured.cell.id,
        "extra_info": {name: measured.row[name] for name in EXTRA},
        "options": {},
        "stats": _stats(measured.pooled()),
    }


def _stats(seconds: list[float]) -> dict[str, Any]:
    """The statistics of pytest-benchmark's own class, whose quartiles NumPy does not have."""
    stats = Stats()
    for second in seconds:
        stats.update(second)
    return {**stats.as_dict(), "data": stats.data, "iterations": 1}


def _machine(facts: dict[str, Any]) -> dict[str, Any]:
    """What a run knows of its machine, in pytest-benchmark's keys."""
    implementation, _, version = str(facts.get("python", "")).partition(" ")
    system, _, release = str(facts.get("system", "")).partition(" ")
    return {
        "node": facts.get("host", ""),
        "machine": facts.get("architecture", ""),
        "python_implementation": implementation,
        "python_version": version,
        "system": system,
        "release": release,
        "cpu": {"brand_raw": facts.get("cpu", ""), "count": facts.get("processors")},
    }


def _commit(run: Exported) -> dict[str, Any]:
    return {
        "id": run.source.removesuffix("-dirty") or "unversioned",
        "time": None,
        "author_time": None,
        "dirty": run.source.endswith("-dirty"),
        "project": "relubench",
        "branch": "(unknown)",
    }
