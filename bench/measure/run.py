"""The order of things: passes of fresh processes, rounds in random order, one contender awake at a time."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, TypeVar

from bench.plan import work
from bench.plan.cells import Cell, Contender, Shape, without_variant
from bench.plan.plan import Plan

from . import checked, memory
from .adaptive import Schedule, fixed
from .client import Worker, WorkerFailed
from .journal import Journal
from .progress import Progress, Tally
from .records import Block, Ceiling, Entered, Failed, Left, PassChosen, Prepared, Record, WorkerStarted
from .state import State
from .worker.one_line import all_visible

T = TypeVar("T")
R = TypeVar("R", bound=Record)
Open = Callable[[Contender, int], Worker]
"""Starts a contender's process for a pass."""


@dataclass
class _Live:
    """A started process."""

    number: int
    worker: Worker
    shape: Shape | None = None
    """That it is prepared for."""


class Run:
    """Measures a plan. Every outcome goes to the journal the moment it is known."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        open_worker: Open,
        state: State | None = None,
        notify: Callable[[Progress], None] = lambda progress: None,
        now: Callable[[], float] = time.perf_counter,
        free_bytes: Callable[[], int] = memory.free_bytes,
    ) -> None:
        self.plan, self.journal, self.open_worker, self.now = plan, journal, open_worker, now
        self.free_bytes = free_bytes
        self.in_a_row: Counter[Contender] = Counter()
        """Failures of a contender since it was last measured."""
        self.state = state or State()
        self.notify = notify
        self.tally = Tally(plan, self.state, now)
        self.live: dict[Contender, _Live] = {}

    def measure(self, schedule: Schedule | None = None) -> None:
        """Every pass to its end: those of the plan, or those that a schedule gives."""
        schedule = schedule or fixed(self.plan)
        for pass_number in count(1):
            plan = schedule(self, pass_number)
            if plan is None:
                return
            self.plan = self.tally.plan = plan
            self.tally.begin(pass_number)
            for group in self._shuffled(_groups(self.plan.cells), pass_number):
                awaited = [cell for cell in group if self._rounds_left(cell, pass_number)]
                self._visit(awaited, pass_number, self._time, partial(self._ceilings, group))

    @property
    def chosen(self) -> dict[int, PassChosen]:
        """What a schedule has chosen for each pass so far."""
        return self.state.chosen

    @property
    def failed(self) -> dict[str, Failed]:
        """By key, the cells that will not be visited again."""
        return self.state.failed

    def cost(self, plan: Plan, passes: int = 1) -> float:
        """Seconds that the next passes of a plan are expected to take."""
        return self.tally.cost(plan, passes)

    def verify(self) -> None:
        """Each cell that is not verified yet is called once and verified, and nothing is timed."""
        for group in _groups(self.plan.cells):
            unverified = {cell.key for cell in group} - self.state.verified - self.state.failed.keys()
            self._visit([cell for cell in group if cell.key in unverified], 1, lambda cells, pass_number: None)

    def _visit(
        self,
        pending: list[Cell],
        pass_number: int,
        use: Callable[[list[Cell], int], None],
        afterwards: Callable[[int], None] = lambda pass_number: None,
    ) -> None:
        """A fresh process for each contender, and then shape by shape."""
        contenders = list(dict.fromkeys(cell.contender for cell in pending))
        try:
            for contender in self._shuffled(contenders, pass_number, "start"):
                self._start(contender, pass_number)
            shapes = list(dict.fromkeys(cell.shape for cell in pending))
            for shape in self._shuffled(shapes, pass_number, contenders[0].group if contenders else ""):
                here = [cell for cell in pending if cell.shape == shape]
                for contender in self._shuffled(contenders, pass_number, shape, "prepare"):
                    self._prepare(contender, shape, here, pass_number)
                use(here, pass_number)
            afterwards(pass_number)
        finally:
            for contender in list(self.live):
                self._close(contender)

    def _time(self, cells: list[Cell], pass_number: int) -> None:
        """One shape's phases, each in rounds."""
        scope = (cells[0].contender.group, cells[0].shape)
        for phase in self._shuffled(list(dict.fromkeys(cell.phase for cell in cells)), pass_number, *scope):
            here = [cell for cell in cells if cell.phase == phase]
            for cell in self._shuffled(here, pass_number, *scope, phase, "enter"):
                self._enter(cell, cells, pass_number)
            for cell, round_number, position in self._turns(here, pass_number, *scope, phase):
                self._block(cell, cells, pass_number, round_number, position)
            for cell in here:
                self._leave(cell, pass_number)

    def _turns(self, cells: list[Cell], pass_number: int, *where: object) -> Iterator[tuple[Cell, int, int]]:
        """Each cell with its round and its position in it, in the order they are timed."""
        for round_number in range(1, self.plan.rounds + 1):
            awaited = [cell for cell in cells if self._rounds_left(cell, pass_number) > self.plan.rounds - round_number]
            for position, cell in enumerate(self._in_turn(awaited, pass_number, round_number, *where), 1):
                yield cell, round_number, position

    def _in_turn(self, cells: list[Cell], pass_number: int, round_number: int, *where: object) -> list[Cell]:
        """A round's cells in a random order. Both sides of one stand next to each other, in the one round base
        first and in the next head."""
        if not self.plan.sides:
            return self._shuffled(cells, pass_number, *where, round_number)
        pairs: dict[str, list[Cell]] = {}
        for cell in cells:
            pairs.setdefault(without_variant(cell.key), []).append(cell)
        order: list[Cell] = []
        for key in self._shuffled([*pairs], pass_number, *where, round_number):
            # From pass to pass as well: of an odd number of rounds, one side is first in one more.
            swapped = (round_number + pass_number + self._random(key, "first").getrandbits(1)) % 2
            order += pairs[key][::-1] if swapped else pairs[key]
        return order

    def _ceilings(self, group: list[Cell], pass_number: int) -> None:
        """What a group's devices can do, by every backend. Last in its pass: the memory that this takes
        would be the peak of the cells after it."""
        reached = {cell.contender.place for cell in group if cell.key not in self.state.failed}
        here = [
            contender
            for contender in self.plan.ceilings
            if contender.place in reached
            and not self._is_missing(contender)
            and contender.label not in self.state.without_ceilings
            and (pass_number, contender.label) not in self.state.ceilings
        ]
        for contender in self._shuffled(here, pass_number, "ceilings"):
            self.notify(self.tally.progress(pass_number, "ceiling", contender.device, str(contender)))
            started, alone = self.now(), contender not in self.live
            self._ceiling(contender, pass_number)
            self.tally.did("ceiling", self.now() - started)
            if alone and contender in self.live:
                self._close(contender)

    def _ceiling(self, contender: Contender, pass_number: int) -> None:
        """In the contender's process of this pass, or in one of its own."""
        number, started = 0, self.now()
        try:
            if contender not in self.live:
                self._open(contender, pass_number)
            live = self.live[contender]
            number, started = live.number, self.now()
            with self._awake(live):
                answer = live.worker.ask("ceiling")
            wall = self.now() - started
            own = {"number": number, "pass_number": pass_number, "contender": contender.label, "wall_seconds": wall}
            self.record(_answered(Ceiling, answer, **own))
        except WorkerFailed as failure:
            self._put_aside(contender, failure)
            reason, wall = f"{failure.status}: {failure.reason}", self.now() - started
            self.record(Ceiling(number, pass_number, contender.label, reason=reason, wall_seconds=wall))

    def _start(self, contender: Contender, pass_number: int) -> None:
        cells = self._of(contender)
        if not cells:
            return
        started = self.now()
        with self._failing(cells, contender, pass_number, started):
            self._open(contender, pass_number)
            known = any(cell.key in self.state.verified for cell in cells)
            self.tally.did("start" if known else "first start", self.now() - started)

    def _open(self, contender: Contender, pass_number: int) -> None:
        """A process that has its backend. Raises WorkerFailed."""
        started = self.now()
        self.state.processes += 1
        live = _Live(self.state.processes, self.open_worker(contender, pass_number))
        self.live[contender] = live
        with self._awake(live):
            answer = live.worker.ask("start")
            self.record(
                _answered(
                    WorkerStarted,
                    answer,
                    number=live.number,
                    pass_number=pass_number,
                    contender=contender.label,
                    threads=self.plan.threads(contender),
                    wall_seconds=self.now() - started,
                )
            )

    def _prepare(self, contender: Contender, shape: Shape, cells: list[Cell], pass_number: int) -> None:
        mine = [cell for cell in cells if cell.contender == contender and cell.key not in self.state.failed]
        if not mine:
            return
        if contender not in self.live:
            self._start(contender, pass_number)
        live = self.live.get(contender)
        if live is None:
            return
        started = self.now()
        try:
            with self._awake(live):
                self._prepare_all(live, contender, shape, mine, pass_number)
        except WorkerFailed as failure:
            if failure.alive or len(mine) == 1:
                self._fail(mine, contender, failure, pass_number, started)
                return
            self._put_aside(contender, failure)
            for cell in mine:  # each by itself: one phase's failure is not the others'
                self._prepare(contender, shape, [cell], pass_number)

    def _prepare_all(
        self, live: _Live, contender: Contender, shape: Shape, cells: list[Cell], pass_number: int
    ) -> None:
        """In one request. Raises WorkerFailed."""
        started = self.now()
        check = any(cell.key not in self.state.verified for cell in cells)
        self._check_memory(contender, shape, check)
        answer = live.worker.ask(
            "prepare",
            shape=[shape.N, shape.D_in, shape.H, shape.D_out],
            phases=[cell.phase for cell in cells],
            steps=self.plan.steps,
            check=check,
            device_bytes=work.needed_device_bytes(shape, work.ITEM_BYTES[contender.dtype]),
        )
        first_calls = answer.pop("first_calls", None)
        calls = {cell.key: first_calls.get(cell.phase) for cell in cells} if isinstance(first_calls, dict) else None
        wall = self.now() - started
        own = {"number": live.number, "pass_number": pass_number, "cells": calls, "wall_seconds": wall}
        self.record(_answered(Prepared, answer, **own))
        self.tally.did("first prepare" if check else "prepare", wall)
        live.shape = shape

    def _enter(self, cell: Cell, cells: list[Cell], pass_number: int) -> None:
        if cell.key in self.state.failed:
            return
        self._recover(cell, cells, pass_number)
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        inner, samples = self.state.chosen_for(cell.key, pass_number) or (None, self.plan.samples)
        started = self.now()
        with self._failing([cell], cell.contender, pass_number, started), self._awake(live):
            # Variants of one contender get the same places in memory, so that these cancel in their ratio.
            seed = self._random(pass_number, without_variant(cell.key), "layout").getrandbits(32)
            answer = live.worker.ask("enter", phase=cell.phase, samples=samples, inner=inner, seed=seed)
            wall = self.now() - started
            self.tally.did("enter" if inner else "first enter", wall)
            own = {"number": live.number, "pass_number": pass_number, "cell": cell.key, "wall_seconds": wall}
            entered = _answered(Entered, answer, **own)
            if inner and (entered.inner, entered.samples) != (inner, samples):
                raise _misfit(f"it chose {entered.inner} iterations and {entered.samples} samples of its own")
            self.record(entered)

    def _block(self, cell: Cell, cells: list[Cell], pass_number: int, round_number: int, position: int) -> None:
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        self.notify(self.tally.progress(pass_number, cell.phase, str(cell.shape), str(cell.contender)))
        started = self.now()
        with self._failing([cell], cell.contender, pass_number, started), self._awake(live):
            answer = live.worker.ask("block")
            inner, samples = self.state.calibrated[without_variant(cell.key)]
            wall = self.now() - started
            self.tally.did("train" if cell.phase == "train" else "block", wall)
            own = {"number": live.number, "pass_number": pass_number, "cell": cell.key, "wall_seconds": wall}
            block = _answered(Block, answer, round=round_number, position=position, inner=inner, **own)
            if len(block.seconds) != samples:
                raise _misfit(f"it took {len(block.seconds)} samples where {samples} were due")
            self.record(block)
            self.in_a_row[cell.contender] = 0

    def _leave(self, cell: Cell, pass_number: int) -> None:
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        with self._failing([cell], cell.contender, pass_number, self.now()), self._awake(live):
            own = {"number": live.number, "pass_number": pass_number, "cell": cell.key}
            self.record(_answered(Left, live.worker.ask("leave"), **own))

    def _recover(self, cell: Cell, cells: list[Cell], pass_number: int) -> None:
        """After a cell took its process with it, the contender's other cells get a new one."""
        live = self.live.get(cell.contender)
        if live is None or live.shape != cell.shape:
            self._prepare(cell.contender, cell.shape, cells, pass_number)

    def _check_memory(self, contender: Contender, shape: Shape, is_verified: bool) -> None:
        """Raises WorkerFailed where a shape cannot fit: the system would end a process for it, and maybe this one."""
        needed = work.needed_bytes(shape, work.ITEM_BYTES[contender.dtype], is_verified)
        free, limit = self.free_bytes(), self.plan.memory_limit
        for there, what in ((free, "are free"), (limit, "are allowed by --memory-limit")):
            if there is not None and needed > there:
                reason = f"its arrays need {_gigabytes(needed)} at least, and {_gigabytes(there)} {what}"
                raise WorkerFailed("out_of_memory", reason, alive=True)

    @contextmanager
    def _awake(self, live: _Live) -> Iterator[None]:
        """A worker runs only while it is asked something."""
        live.worker.resume()
        yield
        live.worker.suspend()

    @contextmanager
    def _failing(self, cells: list[Cell], contender: Contender, pass_number: int, started: float) -> Iterator[None]:
        """A failed request is its cells' outcome, and no one else's."""
        try:
            yield
        except WorkerFailed as failure:
            self._fail(cells, contender, failure, pass_number, started)

    def _fail(
        self, cells: list[Cell], contender: Contender, failure: WorkerFailed, pass_number: int, started: float
    ) -> None:
        self._put_aside(contender, failure)
        keys = [cell.key for cell in cells]
        wall = self.now() - started
        self.record(Failed(pass_number, keys, failure.status, failure.reason, failure.error, failure.tolerance, wall))
        self.tally.drop()
        self._count_failure(contender, failure, pass_number)

    def _count_failure(self, contender: Contender, failure: WorkerFailed, pass_number: int) -> None:
        """Leave a contender alone that has failed too often in a row."""
        if failure.status in ("wrong", "unavailable", "unsupported"):
            return
        self.in_a_row[contender] += 1
        rest = [cell.key for cell in self._of(contender)]
        if self.in_a_row[contender] >= self.plan.max_failures > 0 and rest:
            times = f"{self.in_a_row[contender]} failures in a row" if self.plan.max_failures > 1 else "a failure"
            reason = f"not tried after {times}, the last of them: {failure.status}, {failure.reason}"
            self.record(Failed(pass_number, rest, "not_run", reason))
            if contender in self.live:
                self._close(contender)

    def _put_aside(self, contender: Contender, failure: WorkerFailed) -> None:
        """Stop a process that failed a request; end it where it can be asked nothing more."""
        if contender not in self.live:  # it could not be started
            return
        if failure.alive:
            self.live[contender].worker.suspend()
        else:
            self._close(contender)

    def _close(self, contender: Contender) -> None:
        self.live.pop(contender).worker.close()

    def record(self, record: Record) -> None:
        self.state.take(record)
        self.journal.append(record)

    def _of(self, contender: Contender) -> list[Cell]:
        return [cell for cell in self.plan.cells if cell.contender == contender and cell.key not in self.state.failed]

    def _is_missing(self, contender: Contender) -> bool:
        """Whether its cells have shown that its backend or device is not here."""
        failed = (self.state.failed.get(cell.key) for cell in self.plan.cells if cell.contender == contender)
        return any(failure is not None and failure.status in ("unavailable", "unsupported") for failure in failed)

    def _rounds_left(self, cell: Cell, pass_number: int) -> int:
        if cell.key in self.state.failed:
            return 0
        return self.plan.rounds - self.state.blocks[pass_number, cell.key]

    def _shuffled(self, things: list[T], *where: object) -> list[T]:
        """In an order that depends on the seed and the place in the run alone, so that a resumed run keeps it."""
        order = list(things)
        self._random(*where).shuffle(order)
        return order

    def _random(self, *where: object) -> random.Random:
        return random.Random("/".join(map(str, (self.plan.seed, *where))))


class BackToBack(Run):
    """One contender after the other, each timed from its first block to its last: how many other tools
    do it, and what taking turns is calibrated against."""

    def _turns(self, cells: list[Cell], pass_number: int, *where: object) -> Iterator[tuple[Cell, int, int]]:
        for position, cell in enumerate(self._shuffled(cells, pass_number, *where), 1):
            for round_number in range(1, self.plan.rounds + 1):
                yield cell, round_number, position


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"


def _answered(kind: type[R], answer: dict[str, Any], **own: Any) -> R:
    """A record of a worker's answer and of what is known here. Raises WorkerFailed where the answer does not fit."""
    try:
        return checked.record(kind, all_visible(answer) | own)
    except ValueError as error:
        raise _misfit(str(error)) from error
    except RecursionError as error:
        raise _misfit("it is nested too deep") from error


def _misfit(why: str) -> WorkerFailed:
    return WorkerFailed("crashed", f"the worker process answered what does not fit: {why}", alive=False)


def _groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells whose contenders are timed in turns."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.contender.group, []).append(cell)
    return list(groups.values())
