"""Makes one frozen plan from the command-line options, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import implementations
from bench.measure import checkout, client, lock, machine, session
from bench.plan import grid, values
from bench.plan.cells import Cell, Side
from bench.plan.plan import TIME_BUDGET, Machine, Plan, check_patterns, resolve
from bench.plan.sides import BASE, HEAD

from . import both

# option, key of a grid, meaning
AXES = (
    ("--implementations", "implementation", "contenders, like numpy,torch,my_module:MyNet; or all"),
    ("--devices", "device", "like cpu,cuda,cuda:1; or auto, those present"),
    ("--dtypes", "dtype", "float32,float64"),
    ("--threads", "threads", "host threads each contender may use, like 1,2; or all"),
    ("--N", "N", "batch sizes"),
    ("--D-in", "D_in", "input sizes"),
    ("--H", "H", "hidden sizes"),
    ("--D-out", "D_out", "output sizes"),
    ("--shapes", "shape", "single shapes besides these sizes, like 512x8000x800"),
    ("--phases", "phase", "of forward,backward,update,step,train"),
)
SCALARS = (
    ("--passes", "passes", "fresh processes per contender; or auto, until all is decided"),
    ("--rounds", "rounds", "blocks of samples that each contender takes in a pass"),
    ("--samples", "samples", "the most samples in a block; slow cells take fewer"),
    ("--combine", "combine", "all sizes with each other, product, or one axis at a time, in_turn"),
    ("--time-budget", "time_budget", "of --passes auto, like 90s, 5m or 1h (5m where it is left out)"),
    ("--precision", "precision", "of --passes auto: a time known to ± this, like 1%%, is precise enough"),
    ("--min-effect", "min_effect", "a difference too small to matter, like 2%%"),
    ("--min-effect-of", "min_effect_of", "the same by pattern of a cell's key, like update*=5%%,train*=3%%"),
    ("--baseline", "baseline", "the implementation that speed-ups are over"),
    ("--steps", "steps", "training steps in one train"),
    ("--cell-timeout", "timeout", "seconds a worker may take over one request"),
    ("--ceilings", "ceilings", "measure what the devices can do at most: yes or no"),
    ("--max-cells", "max_cells", "a grid of more cells is refused"),
    ("--memory-limit", "memory_limit", "host memory that a worker may take, like 6GB"),
    ("--max-failures", "max_failures", "failures in a row after which a contender is left alone (3; 0: never)"),
)


OTHERS = ("--grid", "--against", "--fail-on", "--seed", "--results", "--resume")
DEFAULT_RESULTS = "results"
EMPTY = "an empty value, as a variable that is not set gives; name one, or leave the option out"
MOST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    plan: Plan
    results: Path
    resume: Path | None
    path: tuple[str, ...]
    """Folders in which users' own classes are looked up."""
    sides: tuple[Side, Side] | None = None
    """Base and head, if they are to be compared."""
    gone: tuple[Cell, ...] = ()
    """The plan's cells that only base has."""
    fail_on: tuple[str, ...] = ()
    """Verdicts on a change that make the session fail."""
    when_busy: str = lock.WHEN_BUSY[0]
    """What to do while another run measures on this machine."""


def add_options(group: Any) -> None:
    """Add every option of `pytest bench/`."""
    group.addoption("--grid", metavar="NAME|FILE", help="a preset or a .toml file (default: default)")
    for option, key, meaning in AXES:
        group.addoption(
            option, dest=f"relubench_{key}", metavar="LIST", help=f"{meaning} (by comma; overrides the grid)"
        )
    for option, key, meaning in SCALARS:
        group.addoption(option, dest=f"relubench_{key}", metavar="VALUE", help=f"{meaning} (overrides the grid)")
    group.addoption(
        "--against",
        metavar="REF|PYTHON",
        help="compare with a git revision of this repository, or another Python interpreter or environment",
    )
    group.addoption(
        "--fail-on",
        metavar="LIST",
        help="with --against: of slower, unclear, wrong, missing (default: all but unclear)",
    )
    group.addoption("--seed", metavar="N", help="of the random orders (default: from the clock)")
    group.addoption(
        "--results",
        metavar="DIR",
        default=DEFAULT_RESULTS,
        help=f"where runs are written (default: {DEFAULT_RESULTS})",
    )
    group.addoption(
        "--resume", metavar="RUN", help="go on with a run that was cut off, or with more --passes or --time-budget"
    )
    group.addoption(
        "--resume-anyway",
        action="store_true",
        help="with --resume: although sources, versions, the machine or its settings have changed; verifies again",
    )
    group.addoption(
        "--when-busy",
        metavar="|".join(lock.WHEN_BUSY),
        default=lock.WHEN_BUSY[0],
        help="while another run measures on this machine: wait for it, fail, or ignore it (default: wait)",
    )


def plan_from(config: pytest.Config) -> Asked:
    """Make the plan that pytest's options ask for on this machine. Raises PlanError."""
    for name in OTHERS:
        if config.getoption(name) == "":
            raise grid.PlanError(f"{name}: {EMPTY}")
    base, invoked_in, stack = config.getoption("--against"), config.invocation_params.dir, ExitStack()
    if base is None:
        if config.getoption("--fail-on") is not None:
            raise grid.PlanError("--fail-on: there is nothing to fail on without --against")
        return asked_for(config.getoption, invoked_in, stack)
    if config.getoption("benchmark_disable"):
        raise grid.PlanError("--against: nothing is compared while benchmarks are disabled")
    config.add_cleanup(stack.close)
    return asked_for(config.getoption, invoked_in, stack, ((base, "--against"), (checkout.THIS, "")))


def asked_for(
    option: Callable[[str], Any], invoked_in: Path, stack: ExitStack, sides: Sequence[tuple[str, str]] | None = None
) -> Asked:
    """Make the plan that options ask for on this machine. `option` looks one up by name; `sides` are base and head,
    each with the option that names it. Raises PlanError."""
    with _naming("--results"):
        results = _results(invoked_in / option("--results"))
    path = client.folders_of_classes(invoked_in)
    options = {key: name for name, key, _ in (*AXES, *SCALARS)}
    when_busy = lock.checked(option("--when-busy"))
    if option("--resume-anyway") and not option("--resume"):
        raise grid.PlanError("--resume-anyway: there is nothing to go on with without --resume")
    given = {key: option(f"relubench_{key}") for key in options}
    if option("--resume"):
        other_options = {name: option(name) for name in ("--against", "--grid", "--seed")}
        more = {key: text for key in ("passes", "time_budget") if (text := given.pop(key)) is not None}
        asked_again = {options[key]: text for key, text in given.items()} | other_options
        if changed := [name for name, text in asked_again.items() if text is not None]:
            raise grid.PlanError(f"{changed[0]}: a run that is resumed goes on as it was asked for; leave it out")
        with _naming("--resume"):
            folder = _run_folder(option("--resume"), results, invoked_in)
        plan = session.resumable(folder, path, option("--resume-anyway"), more)
        return Asked(plan, results, folder, path, when_busy=when_busy)
    lists = {key for _, key, _ in AXES}
    asked = {key: text.split(",") if key in lists else text for key, text in given.items() if text is not None}
    grid_file = _grid_file(option("--grid") or "default", invoked_in)
    seed, this_machine = _seed(option("--seed")), machine.here()
    where = {key: options[key] for key in asked}
    wanted = grid.override(grid.read(grid_file), asked, options.__getitem__)
    if sides is None:
        kinds = partial(implementations.device_kinds, path=path)
        names, traits = implementations.names(), (implementations.ceilings_of, implementations.style_of)
        plan = resolve(wanted, this_machine, names, kinds, seed, where, *traits)
        _check_patterns(plan, grid_file, this_machine, path, where)
        return Asked(plan, results, None, path, when_busy=when_busy)
    fail_on = _fail_on(option("--fail-on"))
    if wanted.passes == grid.AUTO_PASSES and wanted.time_budget is None:
        wanted = replace(wanted, time_budget=2 * TIME_BUDGET)  # there are twice as many contenders
    base, head = (
        _side(name, text, side_option, stack, invoked_in)
        for name, (text, side_option) in zip((BASE, HEAD), sides, strict=True)
    )
    grid_of_side = partial(both.grid_of, name_or_file=grid_file, wanted=wanted, asked=asked)
    plan, gone = both.planned(wanted, grid_of_side, (base, head), this_machine, path, seed, where)
    _check_patterns(plan, grid_file, this_machine, path, where)
    return Asked(plan, results, None, path, (base, head), gone, fail_on, when_busy)


def _fail_on(text: str | None) -> tuple[str, ...]:
    from bench.analyse.change import gate

    try:
        return gate.DEFAULT_FAIL_ON if text is None else gate.fail_on("--fail-on", text)
    except ValueError as error:
        raise grid.PlanError(str(error)) from error


def _grid_file(name: str, invoked_in: Path) -> str:
    return name if name in grid.names() or not name.endswith(".toml") else str(invoked_in / name)


def _results(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise grid.PlanError(f"--results: {folder} is not a folder")
    return folder


def _seed(text: str | None) -> int:
    try:
        return time.time_ns() % 2**32 if text is None else values.whole(0, MOST_SEED)(text)
    except ValueError as error:
        raise grid.PlanError(f"--seed: {error}") from error


def _side(name: str, text: str, option: str, stack: ExitStack, invoked_in: Path) -> Side:
    with _naming(option):
        return checkout.side(name, text, option, stack, invoked_in)


def _check_patterns(plan: Plan, file: str, machine: Machine, path: Sequence[str], where: Mapping[str, str]) -> None:
    """Refuse a pattern that fits no cell of the grid; it may fit only cells that options have left out."""
    if not plan.min_effects:
        return
    full = []
    with suppress(grid.PlanError):
        kinds = partial(implementations.device_kinds, path=path)
        full = [resolve(grid.read(file), machine, implementations.names(), kinds, plan.seed)]
    check_patterns(plan.min_effects, [plan, *full], where.get("min_effect_of", f"grid {plan.grid}: min_effect_of"))


def _run_folder(name: str, results: Path, invoked_in: Path) -> Path:
    """The folder of a run: a name alone may be that of a run in the results folder; anything else is a path."""
    folder = results / "runs" / name
    is_name = Path(name).name == name
    return folder if is_name and folder.is_dir() else invoked_in / name


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Turn an error about a path, like a name that is too long, into a PlanError of one line."""
    try:
        yield
    except OSError as error:
        raise grid.PlanError(f"{option}: {values.shown(str(error.filename))}: {error.strerror}") from error
