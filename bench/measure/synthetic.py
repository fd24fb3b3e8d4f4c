"""A made journal of a run of any size, like those of real runs, to see how long it takes to read and analyse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice, product
from random import Random

from bench.plan.cells import PHASES, Cell, Contender, Shape, flops
from bench.plan.plain import to_plain
from bench.plan.plan import Plan

from .records import (
    Block,
    Ceiling,
    Entered,
    Failed,
    Left,
    Prepared,
    Record,
    RunEnded,
    RunStarted,
    WorkerStarted,
)

DTYPES = ("float32", "float64")
IMPLEMENTATIONS = ("numpy", "torch", "torch_autograd", "jax", "jax_grad")
CEILINGS = ("numpy", "torch", "jax")
PASSES, ROUNDS, SAMPLES, STEPS = 5, 2, 5, 100
FLOPS_PER_SECOND, CALL_SECONDS = 1e11, 2e-5
PASS_NOISE, BLOCK_NOISE, SAMPLE_NOISE = 0.02, 0.005, 0.01
"""The standard deviations of logs that the samples of a pass, of a block, and each sample alone have."""
WRONG_EVERY, LATE_EVERY = 211, 307
"""Of so many cells one is wrong from the beginning, and one fails in its third pass."""


def plan_of(cells: int) -> Plan:
    """Return a plan of so many cells: contenders with two dtypes, in every phase, at as many shapes as it takes."""
    contenders = [Contender(name, "cpu", dtype, 1) for dtype in DTYPES for name in IMPLEMENTATIONS]
    number_of_shapes = -(-cells // (len(PHASES) * len(contenders)))
    sizes = (
        (64 * n, 100 * d, 50 * h)
        for total in count(3)
        for n, d, h in product(range(1, total), repeat=3)
        if n + d + h == total
    )
    shapes = [Shape(*each) for each in islice(sizes, number_of_shapes)]
    every = (Cell(contender, shape, phase) for phase, shape, contender in product(PHASES, shapes, contenders))
    ceilings = tuple(contender for contender in contenders if contender.implementation in CEILINGS)
    return Plan(
        grid="selfcheck",
        cells=tuple(islice(every, cells)),
        passes=PASSES,
        rounds=ROUNDS,
        samples=SAMPLES,
        baseline=IMPLEMENTATIONS[0],
        steps=STEPS,
        timeout=60,
        cpus=2,
        seed=1,
        ceilings=ceilings,
    )


def records(plan: Plan) -> Iterator[Record]:
    """Yield the records of a run of a plan, in which a few cells fail. The same plan gives the same numbers."""
    draw = Random(plan.seed)
    machine = {"cpu": "made", "processors": plan.cpus, "usable_processors": plan.cpus, "memory_bytes": 1 << 33}
    yield RunStarted("selfcheck", "2026-01-02T03:04:05+00:00", to_plain(plan), machine, ["selfcheck"])
    contenders = list(dict.fromkeys(cell.contender for cell in plan.cells))
    failing = {cell.key: 1 for cell in plan.cells[WRONG_EVERY - 1 :: WRONG_EVERY]}
    failing |= {cell.key: 3 for cell in plan.cells[LATE_EVERY - 1 :: LATE_EVERY]}
    for pass_number in range(1, plan.passes + 1):
        numbers = {each: len(contenders) * (pass_number - 1) + index for index, each in enumerate(contenders, 1)}
        for contender, number in numbers.items():
            yield _started(contender, number, pass_number, plan, draw)
            if contender in plan.ceilings:
                yield _ceiling(contender, number, pass_number, draw)
        yield from _visits(plan, pass_number, numbers, failing, draw)
    yield RunEnded(True, 1.0)


def _visits(
    plan: Plan, pass_number: int, numbers: dict[Contender, int], failing: dict[str, int], draw: Random
) -> Iterator[Record]:
    """Yield the records of the cells of a pass, of which some fail for good."""
    by_shape: dict[Shape, list[Cell]] = {}
    for cell in plan.cells:
        by_shape.setdefault(cell.shape, []).append(cell)
    for of_shape in by_shape.values():
        left = [cell for cell in of_shape if failing.get(cell.key, pass_number) >= pass_number]
        failed = [cell.key for cell in left if failing.get(cell.key) == pass_number]
        if failed:
            status = "wrong" if pass_number == 1 else "crashed"
            yield Failed(pass_number, failed, status, "made to fail", wall_seconds=0.1)
        timed = [cell for cell in left if cell.key not in failed]
        for contender in dict.fromkeys(cell.contender for cell in timed):
            first_calls = {cell.key: draw.uniform(0.001, 0.01) for cell in timed if cell.contender == contender}
            number, setup = numbers[contender], draw.uniform(0.001, 0.002)
            yield Prepared(number, pass_number, first_calls, setup, 1e-7, 1e-5, "w1", 0.1, 0.2)
        for phase in PHASES:
            yield from _blocks([cell for cell in timed if cell.phase == phase], pass_number, numbers, plan, draw)


def _blocks(
    cells: list[Cell], pass_number: int, numbers: dict[Contender, int], plan: Plan, draw: Random
) -> Iterator[Record]:
    """Yield the records of a pass of the cells of one shape and phase, which take turns."""
    for cell in cells:
        yield Entered(numbers[cell.contender], pass_number, cell.key, 16, plan.samples, 0.03)
    paces = [draw.gauss(0, PASS_NOISE) for _ in cells]
    for round_number in range(1, plan.rounds + 1):
        for position, (cell, pace) in enumerate(zip(cells, paces, strict=True), 1):
            pace_of_block = draw.gauss(pace, BLOCK_NOISE)
            seconds = [
                _seconds(cell, plan) * draw.lognormvariate(pace_of_block, SAMPLE_NOISE) for _ in range(plan.samples)
            ]
            yield Block(
                number=numbers[cell.contender],
                pass_number=pass_number,
                round=round_number,
                position=position,
                cell=cell.key,
                inner=16,
                seconds=seconds,
                cpu_per_wall=1.0,
                rewarm_seconds=0.005,
                wall_seconds=0.05,
                processor_seconds=0.08,
                waited_seconds=draw.uniform(0, 0.001),
                others_seconds=draw.uniform(-0.001, 0.002),
                stolen_seconds=0.0,
                switches=draw.randrange(9),
                alignment=round_number % 4,
            )
    for cell in cells:
        yield Left(numbers[cell.contender], pass_number, cell.key, 200 << 20, None, 0.01)


def _seconds(cell: Cell, plan: Plan) -> float:
    """Return the typical seconds of an iteration, of which each implementation takes its own multiple."""
    slower = 1 + 0.1 * IMPLEMENTATIONS.index(cell.contender.implementation)
    steps = plan.steps if cell.phase == "train" else 1
    rate = FLOPS_PER_SECOND / (1 if cell.contender.dtype == "float32" else 2)
    return slower * (CALL_SECONDS * steps + flops(cell.shape, cell.phase, plan.steps) / rate)


def _started(contender: Contender, number: int, pass_number: int, plan: Plan, draw: Random) -> Record:
    backend = contender.implementation.partition("_")[0]
    imports = draw.uniform(0.2, 0.3)
    details = {"numpy": "2.0.0", "blas": "made"}
    threads = plan.threads(contender)
    return WorkerStarted(
        number, pass_number, contender.label, backend, "1.0", "CPython", "", "highest", threads, imports, 0.5, details
    )


def _ceiling(contender: Contender, number: int, pass_number: int, draw: Random) -> Record:
    rate = 2 * FLOPS_PER_SECOND * draw.lognormvariate(0, 0.01)
    streams = {str(4**power): rate / 10 for power in (9, 11, 14)}
    return Ceiling(number, pass_number, contender.label, {"512x512x512": rate}, streams, streams, wall_seconds=1.0)
