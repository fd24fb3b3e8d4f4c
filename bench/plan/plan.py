"""Resolve a grid on a machine: the plan of every cell that will be a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from . import effects, looks
from .cells import Cell, Contender, Side, without_variant
from .grid import AUTO_PASSES, Grid, PlanError
from .nearest import hint
from .values import shown

HOST_BACKEND = "numpy"
"""The backend that every process has."""
TIME_BUDGET = 285.0
"""Seconds of a run of `auto` passes without a budget of its own: five minutes with its tables and files."""
DEVICE = re.compile(r"[a-z]+(:(0|[1-9][0-9]{0,2}))?")
KINDS = ("cpu", "cuda", "mps", "auto")
WITHOUT_NUMBER = ("cpu", "mps")
"""Devices of which a machine has only one."""


@dataclass(frozen=True)
class Machine:
    """What the plan needs to know of a machine."""

    cpus: int
    """The number of processors this process may run on."""
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
    """The seed of the random orders."""
    ceilings: tuple[Contender, ...] = ()
    """The contenders that measure, in each pass, what their device can do at most."""
    time_budget: float | None = None
    """Seconds for a run that goes on until its cells are decided; None for a run of exactly `passes` passes."""
    precision: float = 0.01
    """Half a time's interval, as a fraction, from which a cell is precise enough to be left alone."""
    min_effect: float = 0.02
    """A relative difference too small to matter, as a fraction."""
    sides: tuple[Side, ...] = ()
    """Base and head, where two are compared; each cell then belongs to one of them."""
    memory_limit: int | None = None
    """Bytes that a worker's process may take on the host; None for as many as there are."""
    max_failures: int = 3
    """Failures in a row after which a contender is left alone; 0 for no limit."""
    min_effects: tuple[tuple[str, float], ...] = ()
    """Minimum effects by a pattern of cells' keys; the last that matches decides."""
    styles: tuple[tuple[str, str], ...] = ()
    """Each implementation that is a style of another, and that one."""

    @property
    def adaptive(self) -> bool:
        """Whether passes are added until the cells are decided; `passes` is then the minimum."""
        return self.time_budget is not None

    def threads(self, contender: Contender) -> int:
        """Return the number of host threads a contender may use."""
        return self.cpus if contender.threads == "all" else contender.threads

    def min_effect_of(self, cell: Cell) -> float:
        """Return the relative difference too small to matter in a cell, the same on both sides."""
        return effects.of(without_variant(cell.key), self.min_effect, self.min_effects)

    def select(self, cells: Sequence[Cell]) -> Plan:
        """Return the plan of only some of its cells, in the plan's order."""
        wanted = set(cells)
        places = {cell.contender.place for cell in wanted}
        return replace(
            self,
            cells=tuple(cell for cell in self.cells if cell in wanted),
            ceilings=tuple(contender for contender in self.ceilings if contender.place in places),
        )


def resolve(
    grid: Grid,
    machine: Machine,
    names: Sequence[str],
    device_kinds: Callable[[str], Sequence[str]],
    seed: int,
    where: Mapping[str, str] | None = None,
    ceilings_of: Callable[[str], str | None] = lambda name: name.partition("_")[0],
    style_of: Callable[[str], str] = lambda name: name,
) -> Plan:
    """Return the plan of every cell of a grid on a machine, its contenders in the order requested.

    `names` are the known implementations. `device_kinds(name)` returns the kinds of device that one
    knows, and raises LookupError for an unknown name; `ceilings_of(name)` returns the implementation that
    measures the ceilings of its framework, if any does; `style_of(name)` the one that it is a style of.
    `where` has the words that begin a complaint, by the grid's key. Raises PlanError.
    """
    by_name = _is_by_name(grid, where or {})
    where = {
        key: f"grid {grid.name}: {key}"
        for key in ("implementation", "device", "threads", "baseline", "time_budget", "max_cells")
    } | dict(where or {})
    chosen = tuple(names) if grid.implementation == "all" else grid.implementation
    _check_count(grid, len(grid.phase) * grid.number_of_shapes() * len(chosen), where["max_cells"])
    _check_devices(grid, where["device"])
    kinds = {}
    for name in chosen:
        try:
            kinds[name] = tuple(device_kinds(name))
        except (LookupError, SyntaxError) as error:
            raise PlanError(f"{where['implementation']}: {error}") from error
    _check_kinds(grid, kinds, where["device"])
    for threads in grid.threads:
        if threads != "all" and threads > machine.cpus:
            raise PlanError(f"{where['threads']}: {threads} is more than the {machine.cpus} processors usable here")
    devices = {name: _devices(grid, machine, kinds[name], by_name) for name in chosen}
    all_devices = [device for name in chosen for device in devices[name]]
    contender_count = len(grid.dtype) * sum(len(grid.threads) if device == "cpu" else 1 for device in all_devices)
    _check_count(grid, len(grid.phase) * grid.number_of_shapes() * contender_count, where["max_cells"])
    contenders = [
        Contender(name, device, dtype, threads)
        for dtype in grid.dtype
        for threads in grid.threads
        for name in chosen
        for device in devices[name]
        if device == "cpu" or threads == grid.threads[0]
    ]
    if not contenders:
        raise PlanError(f"{where['device']}: none of {', '.join(chosen)} knows {', '.join(grid.device)}")
    adaptive = grid.passes == AUTO_PASSES
    if grid.time_budget and not adaptive:
        raise PlanError(f"{where['time_budget']}: a run of {grid.passes} passes takes its time; ask for --passes auto")
    _check_baseline(grid.baseline, names, contenders, where["baseline"])
    cells = tuple(
        Cell(contender, shape, phase) for phase in grid.phase for shape in grid.shapes() for contender in contenders
    )
    return Plan(
        grid=grid.name,
        cells=cells,
        passes=looks.FIRST if grid.passes == "auto" else grid.passes,
        rounds=grid.rounds,
        samples=grid.samples,
        baseline=grid.baseline,
        steps=grid.steps,
        timeout=grid.timeout,
        memory_limit=grid.memory_limit,
        max_failures=grid.max_failures,
        cpus=machine.cpus,
        seed=seed,
        time_budget=(grid.time_budget or TIME_BUDGET) if adaptive else None,
        precision=grid.precision,
        min_effect=grid.min_effect,
        min_effects=grid.min_effect_of,
        ceilings=_ceilings(contenders, names, device_kinds, ceilings_of) if grid.ceilings else (),
        styles=tuple((name, plain) for name in chosen if (plain := style_of(name)) != name),
    )


def _ceilings(
    contenders: Sequence[Contender],
    names: Sequence[str],
    device_kinds: Callable[[str], Sequence[str]],
    ceilings_of: Callable[[str], str | None],
) -> tuple[Contender, ...]:
    """Return the contenders that measure ceilings, on each device, with each dtype and thread limit of those asked for.

    Of their backends these are all that know the device, each by one implementation. Where none knows the host, as with
    a class of someone's own, NumPy measures it.
    """
    places = dict.fromkeys((contender.device, contender.dtype, contender.threads) for contender in contenders)
    wanted = {ceilings_of(contender.implementation) for contender in contenders}
    known: dict[str, Sequence[str]] = {}
    for name in names:
        if name in {*wanted, HOST_BACKEND}:
            with suppress(LookupError, SyntaxError):  # a message is shown only if it is chosen
                known[name] = device_kinds(name)
    chosen = [name for name in known if name in wanted]
    able = {place: [name for name in chosen if place[0].partition(":")[0] in known[name]] for place in places}
    fallback = [HOST_BACKEND] if HOST_BACKEND in known else []
    return tuple(
        Contender(name, *place)
        for place, backends in able.items()
        for name in backends or (fallback if place[0] == "cpu" else [])
    )


def check_patterns(min_effects: Sequence[tuple[str, float]], plans: Sequence[Plan], where: str) -> None:
    """Raise PlanError for the first pattern that matches no cell's key in any of the plans."""
    keys = {without_variant(cell.key) for plan in plans for cell in plan.cells} if min_effects else set()
    for pattern, _ in min_effects:
        if not any(fnmatchcase(key, pattern) for key in keys):
            example = f"; keys are like {plans[0].cells[0].key}, and a pattern has * for its brackets"
            raise PlanError(f"{where}: no cell's key is like {shown(pattern)}{example}")


def _check_count(grid: Grid, cells: int, where: str) -> None:
    """Raise PlanError for too many cells, counted by multiplication: making millions of cells takes gigabytes."""
    if cells > grid.max_cells:
        raise PlanError(
            f"{where}: the grid has {cells:,} cells or more, and at most {grid.max_cells:,} are measured; take fewer "
            "sizes, or raise the limit by --max-cells or the grid's key max_cells"
        )


def _check_devices(grid: Grid, where: str) -> None:
    for device in () if grid.device == "auto" else grid.device:
        if device == "auto" or not DEVICE.fullmatch(device):
            raise PlanError(
                f"{where}: {shown(device)} is not a device; devices are like cpu, cuda, cuda:1, mps, or auto"
                f"{hint(device, KINDS)}"
            )
        kind, colon, _ = device.partition(":")
        if colon and kind in WITHOUT_NUMBER:
            raise PlanError(f"{where}: {device!r} is not a device; a machine has one {kind}, without a number")


def _check_kinds(grid: Grid, kinds: Mapping[str, Sequence[str]], where: str) -> None:
    """Raise PlanError for a device of no known kind; one of a known kind that is absent gets rows that say so."""
    known = dict.fromkeys([*(kind for known_kinds in kinds.values() for kind in known_kinds), *KINDS])
    for device in () if grid.device == "auto" else grid.device:
        if (kind := device.partition(":")[0]) not in known:
            raise PlanError(f"{where}: none of {', '.join(kinds)} knows {device}{hint(kind, known)}")


def _check_baseline(baseline: str, names: Sequence[str], contenders: Sequence[Contender], where: str) -> None:
    """Raise PlanError for a baseline that does not exist; one that is only left out of the run is no mistake."""
    present = dict.fromkeys([*(contender.implementation for contender in contenders), *names])
    if baseline not in present:
        raise PlanError(
            f"{where}: {shown(baseline)} is not an implementation; there are {', '.join(present)}"
            f"{hint(baseline, present)}"
        )


def _is_by_name(grid: Grid, by_option: Collection[str]) -> bool:
    """Return whether implementations were requested by name for the devices: not if the devices are asked for by an
    option, and the implementations are those of a grid's file."""
    return grid.implementation != "all" and not ("device" in by_option and "implementation" not in by_option)


def _devices(grid: Grid, machine: Machine, kinds: Sequence[str], by_name: bool) -> list[str]:
    """Return the devices that an implementation is a contender on.

    With `auto`: the present ones it knows, or its first kind, so that a backend that finds no device
    gets a row that says so. With devices requested: those it knows, present or not; others only
    where the implementation was requested by name as well.
    """
    if grid.device == "auto":
        present = [device for device in ("cpu", *machine.accelerators) if device.partition(":")[0] in kinds]
        return present or [kinds[0]]
    return [device for device in grid.device if by_name or device.partition(":")[0] in kinds]
