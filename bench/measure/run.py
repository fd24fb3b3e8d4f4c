"""The order of things: passes of fresh processes, rounds in random order, one contender awake at a time."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from bench.plan.cells import Cell, Contender, Shape
from bench.plan.plan import Plan

from .client import Worker, WorkerFailed
from .journal import Journal
from .progress import Progress, Tally
from .records import Block, Entered, Failed, Left, Prepared, Record, WorkerStarted


@dataclass
class State:
    """What a run has so far, as its journal tells: all that is needed to go on."""

    blocks: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    """Done, by pass and cell key."""
    calibrated: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(inner, samples) by cell key."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """By cell key."""
    processes: int = 0

    @classmethod
    def of(cls, records: Iterable[Record]) -> State:
        state = cls()
        for record in records:
            state.take(record)
        return state

    def take(self, record: Record) -> None:
        match record:
            case WorkerStarted():
                self.processes = max(self.processes, record.number)
            case Entered():
                self.calibrated[record.cell] = (record.inner, record.samples)
            case Block():
                self.blocks[record.passage, record.cell] += 1
            case Failed():
                self.failed.update(dict.fromkeys(record.cells, record))


T = TypeVar("T")
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
    ) -> None:
        self.plan, self.journal, self.open_worker, self.now = plan, journal, open_worker, now
        self.state = state or State()
        self.notify = notify
        self.tally = Tally(plan, self.state.blocks, self.state.failed)
        self.live: dict[Contender, _Live] = {}

    def measure(self) -> None:
        """Every pass to its end."""
        for passage in range(1, self.plan.passes + 1):
            self.tally.begin(passage, self.state.blocks, self.state.failed)
            for group in self._shuffled(_groups(self.plan.cells), passage):
                self._visit(group, passage, self._time)

    def verify(self) -> None:
        """Each cell called once and verified, and nothing timed."""
        for group in _groups(self.plan.cells):
            self._visit(group, 1, lambda cells, passage: None)

    def _visit(self, group: list[Cell], passage: int, use: Callable[[list[Cell], int], None]) -> None:
        """A fresh process for each contender, and then shape by shape."""
        pending = [cell for cell in group if self._rounds_left(cell, passage)]
        contenders = list(dict.fromkeys(cell.contender for cell in pending))
        try:
            for contender in self._shuffled(contenders, passage, "start"):
                self._start(contender, passage)
            shapes = list(dict.fromkeys(cell.shape for cell in pending))
            for shape in self._shuffled(shapes, passage, contenders[0].group if contenders else ""):
                here = [cell for cell in pending if cell.shape == shape]
                for contender in self._shuffled(contenders, passage, shape, "prepare"):
                    self._prepare(contender, shape, here, passage)
                use(here, passage)
        finally:
            for contender in list(self.live):
                self._close(contender)

    def _time(self, cells: list[Cell], passage: int) -> None:
        """One shape's phases, each in rounds."""
        scope = (cells[0].contender.group, cells[0].shape)
        for phase in self._shuffled(list(dict.fromkeys(cell.phase for cell in cells)), passage, *scope):
            here = [cell for cell in cells if cell.phase == phase]
            for cell in self._shuffled(here, passage, *scope, phase, "enter"):
                self._enter(cell, cells, passage)
            for turn in range(1, self.plan.rounds + 1):
                awaited = [cell for cell in here if self._rounds_left(cell, passage) > self.plan.rounds - turn]
                for position, cell in enumerate(self._shuffled(awaited, passage, *scope, phase, turn), 1):
                    self._block(cell, cells, passage, turn, position)
            for cell in here:
                self._leave(cell, passage)

    def _start(self, contender: Contender, passage: int) -> None:
        cells = self._of(contender)
        if not cells:
            return
        started = self.now()
        self.state.processes += 1
        live = _Live(self.state.processes, self.open_worker(contender, passage))
        self.live[contender] = live
        with self._failing(cells, contender, passage, started), self._awake(live):
            answer = live.worker.ask("start")
            wall = self.tally.did("start", self.now() - started)
            self._record(
                WorkerStarted(
                    live.number,
                    passage,
                    contender.label,
                    **answer,
                    threads=self.plan.threads(contender),
                    wall_seconds=wall,
                )
            )

    def _prepare(self, contender: Contender, shape: Shape, cells: list[Cell], passage: int) -> None:
        mine = [cell for cell in cells if cell.contender == contender and cell.key not in self.state.failed]
        if not mine:
            return
        if contender not in self.live:
            self._start(contender, passage)
        live = self.live.get(contender)
        if live is None:
            return
        started = self.now()
        with self._failing(mine, contender, passage, started), self._awake(live):
            sizes = [shape.N, shape.D_in, shape.H, shape.D_out]
            phases = [cell.phase for cell in mine]
            answer = live.worker.ask("prepare", shape=sizes, phases=phases, steps=self.plan.steps)
            live.shape = shape
            first_calls = answer.pop("first_calls")
            wall = self.tally.did("prepare", self.now() - started)
            calls = {cell.key: first_calls[cell.phase] for cell in mine}
            self._record(Prepared(live.number, passage, calls, **answer, wall_seconds=wall))

    def _enter(self, cell: Cell, cells: list[Cell], passage: int) -> None:
        if cell.key in self.state.failed:
            return
        self._recover(cell, cells, passage)
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        inner, samples = self.state.calibrated.get(cell.key, (None, self.plan.samples))
        started = self.now()
        with self._failing([cell], cell.contender, passage, started), self._awake(live):
            seed = self._random(passage, cell.key, "layout").getrandbits(32)
            answer = live.worker.ask("enter", phase=cell.phase, samples=samples, inner=inner, seed=seed)
            self._record(Entered(live.number, passage, cell.key, **answer, wall_seconds=self.now() - started))

    def _block(self, cell: Cell, cells: list[Cell], passage: int, turn: int, position: int) -> None:
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        self.notify(self.tally.progress(passage, cell.phase, str(cell.shape), str(cell.contender)))
        started = self.now()
        with self._failing([cell], cell.contender, passage, started), self._awake(live):
            answer = live.worker.ask("block")
            inner, _ = self.state.calibrated[cell.key]
            wall = self.tally.did("block", self.now() - started)
            self._record(
                Block(live.number, passage, turn, position, cell.key, inner, **answer, wall_seconds=wall),
            )

    def _leave(self, cell: Cell, passage: int) -> None:
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        with self._failing([cell], cell.contender, passage, self.now()), self._awake(live):
            self._record(Left(live.number, passage, cell.key, **live.worker.ask("leave")))

    def _recover(self, cell: Cell, cells: list[Cell], passage: int) -> None:
        """After a cell took its process with it, the contender's other cells get a new one."""
        live = self.live.get(cell.contender)
        if live is None or live.shape != cell.shape:
            self._prepare(cell.contender, cell.shape, cells, passage)

    @contextmanager
    def _awake(self, live: _Live) -> Iterator[None]:
        """A worker runs only while it is asked something."""
        live.worker.resume()
        yield
        live.worker.suspend()

    @contextmanager
    def _failing(self, cells: list[Cell], contender: Contender, passage: int, started: float) -> Iterator[None]:
        """A failed request is its cells' outcome, and no one else's."""
        try:
            yield
        except WorkerFailed as failure:
            if failure.alive:
                self.live[contender].worker.suspend()
            else:
                self._close(contender)
            keys = [cell.key for cell in cells]
            self.tally.drop(cells, passage)
            wall = self.now() - started
            self._record(
                Failed(passage, keys, failure.status, failure.reason, failure.error, failure.tolerance, wall),
            )

    def _close(self, contender: Contender) -> None:
        self.live.pop(contender).worker.close()

    def _record(self, record: Record) -> None:
        self.state.take(record)
        self.journal.append(record)

    def _of(self, contender: Contender) -> list[Cell]:
        return [cell for cell in self.plan.cells if cell.contender == contender and cell.key not in self.state.failed]

    def _rounds_left(self, cell: Cell, passage: int) -> int:
        if cell.key in self.state.failed:
            return 0
        return self.plan.rounds - self.state.blocks[passage, cell.key]

    def _shuffled(self, things: list[T], *where: object) -> list[T]:
        """In an order that depends on the seed and the place in the run alone, so that a resumed run keeps it."""
        order = list(things)
        self._random(*where).shuffle(order)
        return order

    def _random(self, *where: object) -> random.Random:
        return random.Random("/".join(map(str, (self.plan.seed, *where))))


def _groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells whose contenders are timed in turns."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.contender.group, []).append(cell)
    return list(groups.values())
