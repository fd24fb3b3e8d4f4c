"""A grid met with a machine: every cell that will be a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .cells import Cell, Contender
from .grid import Grid, PlanError

DEVICE = re.compile(r"[a-z]+(:\d+)?")


@dataclass(frozen=True)
class Machine:
    """What the plan needs to know of a machine."""

    cpus: int
    """Those this process may run on."""
    accelerators: tuple[str, ...] = ()
    """The devices present besides `cpu`, like `cuda` or `cuda:0`, `cuda:1`."""


@dataclass(frozen=True)
class Plan:
    """The cells of a run and how each is to be measured."""

    grid: str
    cells: tuple[Cell, ...]
    passes: int
    rounds: int
    samples: int
    baseline: str
    steps: int
    timeout: int
    cpus: int
    seed: int
    """Of the random orders."""

    def threads(self, contender: Contender) -> int:
        """The number of host threads a contender may use."""
        return self.cpus if contender.threads == "all" else contender.threads

    def select(self, cells: Sequence[Cell]) -> Plan:
        """The same plan for some of its cells, in the plan's order."""
        wanted = set(cells)
        return replace(self, cells=tuple(cell for cell in self.cells if cell in wanted))


def resolve(
    grid: Grid,
    machine: Machine,
    names: Sequence[str],
    device_kinds: Callable[[str], Sequence[str]],
    seed: int,
    where: Mapping[str, str] | None = None,
) -> Plan:
    """Every cell a grid means on a machine, its contenders in the order they were asked for.

    `names` are the implementations there are, `device_kinds(name)` the kinds of device one knows
    (raising LookupError for a name that is none), `where` the words that begin a complaint about a
    grid's key. Raises PlanError.
    """
    where = {key: f"grid {grid.name}: {key}" for key in ("implementation", "device", "threads", "baseline")} | dict(
        where or {}
    )
    chosen = tuple(names) if grid.implementation == "all" else grid.implementation
    kinds = {}
    for name in chosen:
        try:
            kinds[name] = tuple(device_kinds(name))
        except (LookupError, SyntaxError) as error:
            raise PlanError(f"{where['implementation']}: {error}") from error
    _check_devices(grid, where["device"])
    for threads in grid.threads:
        if threads != "all" and threads > machine.cpus:
            raise PlanError(f"{where['threads']}: {threads} is more than the {machine.cpus} processors usable here")
    contenders = [
        Contender(name, device, dtype, threads)
        for dtype in grid.dtype
        for threads in grid.threads
        for name in chosen
        for device in _devices(grid, machine, kinds[name])
        if device == "cpu" or threads == grid.threads[0]
    ]
    if not contenders:
        raise PlanError(f"{where['device']}: none of {', '.join(chosen)} knows {', '.join(grid.device)}")
    _check_baseline(grid.baseline, names, contenders, where["baseline"])
    cells = tuple(
        Cell(contender, shape, phase) for phase in grid.phase for shape in grid.shapes() for contender in contenders
    )
    return Plan(
        grid=grid.name,
        cells=cells,
        passes=grid.passes,
        rounds=grid.rounds,
        samples=grid.samples,
        baseline=grid.baseline,
        steps=grid.steps,
        timeout=grid.timeout,
        cpus=machine.cpus,
        seed=seed,
    )


def _check_devices(grid: Grid, where: str) -> None:
    for device in () if grid.device == "auto" else grid.device:
        if device == "auto" or not DEVICE.fullmatch(device):
            raise PlanError(f"{where}: {device!r} is not a device; devices are like cpu, cuda, cuda:1, mps, or auto")


def _check_baseline(baseline: str, names: Sequence[str], contenders: Sequence[Contender], where: str) -> None:
    """A baseline that is left out of a run is no mistake, one that does not exist is."""
    present = dict.fromkeys([*(contender.implementation for contender in contenders), *names])
    if baseline not in present:
        raise PlanError(f"{where}: {baseline!r} is not an implementation; there are {', '.join(present)}")


def _devices(grid: Grid, machine: Machine, kinds: Sequence[str]) -> list[str]:
    """The devices an implementation is a contender on.

    Left to `auto`: the present ones it knows, or its first kind, so that a backend that finds no
    device is a row that says so. Asked for: those it knows, present or not; one that makes no
    sense for it only where the implementation was asked for by name as well.
    """
    if grid.device == "auto":
        present = [device for device in ("cpu", *machine.accelerators) if device.partition(":")[0] in kinds]
        return present or [kinds[0]]
    by_name = grid.implementation != "all"
    return [device for device in grid.device if by_name or device.partition(":")[0] in kinds]
