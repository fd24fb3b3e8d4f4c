"""Command-line options become one frozen plan, once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import implementations
from bench.measure import machine, session
from bench.plan import grid
from bench.plan.plan import Plan, resolve

# option, key of a grid, what it means
AXES = (
    ("--implementations", "implementation", "contenders, like numpy,torch,my_module:MyNet; or all"),
    ("--devices", "device", "like cpu,cuda,cuda:1; or auto, those present"),
    ("--dtypes", "dtype", "float32,float64"),
    ("--threads", "threads", "host threads each contender may use, like 1,2; or all"),
    ("--N", "N", "batch sizes"),
    ("--D-in", "D_in", "input sizes"),
    ("--H", "H", "hidden sizes"),
    ("--D-out", "D_out", "output sizes"),
    ("--phases", "phase", "of forward,backward,update,step,train"),
)
SCALARS = (
    ("--passes", "passes", "fresh processes per contender; or auto, until all is decided"),
    ("--time-budget", "time_budget", "of --passes auto, like 90s, 5m or 1h (5m where it is left out)"),
    ("--precision", "precision", "of --passes auto: a time known to ± this, like 1%%, is precise enough"),
    ("--min-effect", "min_effect", "a difference too small to matter, like 2%%"),
    ("--baseline", "baseline", "the implementation that speed-ups are over"),
    ("--steps", "steps", "training steps in one train"),
    ("--cell-timeout", "timeout", "seconds a worker may take over one request"),
    ("--ceilings", "ceilings", "measure what the devices can do at most: yes or no"),
)


@dataclass(frozen=True)
class Asked:
    """What the command line comes to."""

    plan: Plan
    results: Path
    resume: Path | None
    path: tuple[str, ...]
    """Folders in which people's own classes are found."""


def add_options(group: Any) -> None:
    """Every option of `pytest bench/`."""
    group.addoption("--grid", metavar="NAME|FILE", help="a preset or a .toml file (default: default)")
    for option, key, meaning in AXES:
        group.addoption(
            option, dest=f"relubench_{key}", metavar="LIST", help=f"{meaning} (by comma; overrides the grid)"
        )
    for option, key, meaning in SCALARS:
        group.addoption(option, dest=f"relubench_{key}", metavar="VALUE", help=f"{meaning} (overrides the grid)")
    group.addoption("--seed", metavar="N", help="of the random orders (default: from the clock)")
    group.addoption("--results", metavar="DIR", default="results", help="where runs are written (default: results)")
    group.addoption("--resume", metavar="RUN", help="go on with a run that was cut off, by its name or folder")


def plan_from(config: pytest.Config) -> Asked:
    """The plan the options ask for on this machine. Raises PlanError."""
    invoked_in = config.invocation_params.dir
    results = _results(invoked_in / config.getoption("--results"))
    python_path = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    path = tuple(dict.fromkeys([str(invoked_in), *python_path]))
    options = {key: option for option, key, _ in (*AXES, *SCALARS)}
    given = {key: config.getoption(f"relubench_{key}") for key in options}
    if config.getoption("--resume"):
        others = {"--grid": config.getoption("--grid"), "--seed": config.getoption("--seed")}
        asked_for = {options[key]: text for key, text in given.items()} | others
        if changed := [option for option, text in asked_for.items() if text is not None]:
            raise grid.PlanError(f"{changed[0]}: a run that is resumed goes on as it was asked for; leave it out")
        folder = _run_folder(config.getoption("--resume"), results, invoked_in)
        return Asked(session.resumable(folder), results, folder, path)
    lists = {key for _, key, _ in AXES}
    asked = {key: text.split(",") if key in lists else text for key, text in given.items() if text is not None}
    wanted = grid.override(_grid(config.getoption("--grid") or "default", invoked_in), asked, lambda key: options[key])
    plan = resolve(
        wanted,
        machine.here(),
        implementations.names(),
        lambda name: implementations.device_kinds(name, path),
        _seed(config.getoption("--seed")),
        {key: options[key] for key in asked},
    )
    return Asked(plan, results, None, path)


def _grid(name: str, invoked_in: Path) -> grid.Grid:
    return grid.read(name if name in grid.names() or not name.endswith(".toml") else str(invoked_in / name))


def _results(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise grid.PlanError(f"--results: {folder} is not a folder")
    return folder


def _seed(text: str | None) -> int:
    if text is None:
        return time.time_ns() % 2**32
    if not text.isdecimal():
        raise grid.PlanError(f"--seed: {text!r} is not a whole number of at least 0")
    return int(text)


def _run_folder(name: str, results: Path, invoked_in: Path) -> Path:
    folder = results / "runs" / name
    return folder if folder.is_dir() else invoked_in / name
