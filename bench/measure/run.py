"""Measure a plan: passes of fresh processes, rounds in random order, one contender running at a time."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, TypeVar

from bench.plan import work
from bench.plan.cells import Cell, Contender, Shape, without_variant
from bench.plan.plan import Plan
from bench.plan.units import gigabytes

from . import checked, memory
from .adaptive import Schedule, fixed
from .client import Worker, WorkerFailed
from .journal import Journal
from .probing import is_due, is_full
from .progress import Progress, Tally
from .records import Block, Calls, Ceiling, Entered, Failed, Left, PassChosen, Prepared, Record, WorkerStarted
from .references import References
from .state import State
from .worker.one_line import all_visible

T = TypeVar("T")
R = TypeVar("R", bound=Record)
ALONE_PASSES = 3
"""In so many passes, contenders start one at a time: these are the imports that are reported."""
MOST_AT_ONCE = 8
"""The most processes that start at the same time in later passes."""
CEILING_SHARE = 0.03
"""The share of a run's time after which its ceilings are content with what they have measured."""
ALIGNMENTS = 4
"""The quarters of a cache line in which an allocator begins an array."""
Open = Callable[[Contender, int], Worker]
"""A function that starts a contender's process for a pass."""


@dataclass
class _Live:
    """A started process."""

    number: int
    worker: Worker
    shape: Shape | None = None
    """The shape that it is prepared for."""
    precision: str = ""
    """The precision of its float32 matrix products."""


class RunInProgress:
    """Measures a plan. Every outcome is written to the journal as soon as it is known."""

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
        self.references: References | None = None
        """Where references are computed once for all contenders; else each computes its own."""
        self.in_a_row: Counter[Contender] = Counter()
        """Each contender's failures since it was last measured."""
        self.state = state or State()
        self.notify = notify
        self.tally = Tally(plan, self.state, now)
        self.live: dict[Contender, _Live] = {}

    def measure(self, schedule: Schedule | None = None) -> None:
        """Measure every pass of the plan, or of a schedule; of a run that is extended, only the further ones."""
        schedule = schedule or fixed(self.plan)
        for pass_number in count(self.state.finished + 1):
            plan = schedule(self, pass_number)
            if plan is None:
                return
            self.plan = self.tally.plan = plan
            self.tally.begin(pass_number)
            groups = _groups(self.plan.cells)
            for group in self._shuffled(groups, pass_number) if pass_number > 1 else groups:
                awaited = [cell for cell in group if self._rounds_left(cell, pass_number)]
                self._visit(awaited, pass_number, self._time, partial(self._ceilings, group))

    @property
    def chosen(self) -> dict[int, PassChosen]:
        """What a schedule has chosen for each pass so far."""
        return self.state.chosen

    @property
    def failed(self) -> dict[str, Failed]:
        """The failures of cells that will not be visited again, by cell key."""
        return self.state.failed

    def cost(self, plan: Plan, passes: int = 1) -> float:
        """Return the seconds that the next passes of a plan are expected to take."""
        return self.tally.cost(plan, passes)

    def verify(self) -> None:
        """Call and verify once each cell that is not verified yet, without timing anything."""
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
        """Start a fresh process for each contender, and use them shape by shape."""
        contenders = list(dict.fromkeys(cell.contender for cell in pending))
        try:
            self._start_all(self._shuffled(contenders, pass_number, "start"), pass_number)
            shapes = list(dict.fromkeys(cell.shape for cell in pending))
            if pass_number > 1:  # in the first, the plan's first shape leads, which can then be shown within a minute
                shapes = self._shuffled(shapes, pass_number, contenders[0].group if contenders else "")
            for shape in shapes:
                of_shape = [cell for cell in pending if cell.shape == shape]
                for contender in self._shuffled(contenders, pass_number, shape, "prepare"):
                    self._prepare(contender, shape, of_shape, pass_number)
                use(of_shape, pass_number)
            afterwards(pass_number)
        finally:
            for live in self.live.values():
                live.worker.begin_close()
            for contender in list(self.live):
                self._close(contender)

    def _start_all(self, contenders: Sequence[Contender], pass_number: int) -> None:
        """Start contenders' processes, each while those that may start at the same time do so."""
        at_once, begun = self._at_once(pass_number), 0
        for index, contender in enumerate(contenders):
            while at_once > 1 and begun < min(len(contenders), index + at_once):
                self._begin_start(contenders[begun], pass_number)
                begun += 1
            self._start(contender, pass_number)

    def _at_once(self, pass_number: int) -> int:
        """Return how many processes may start at the same time. What they take alone is known after a few passes. With
        a memory limit there is one, since a process is watched only while it is waited for.

        They never prepare a shape at the same time: on two processors that took longer than one after the other, since
        the threads of each spin while those of the other work.
        """
        if pass_number <= ALONE_PASSES or self.plan.memory_limit is not None:
            return 1
        return min(self.plan.cpus, MOST_AT_ONCE)

    def _begin_start(self, contender: Contender, pass_number: int) -> None:
        """Start a contender's process, whose answer `_start` waits for."""
        if self._of(contender) and contender not in self.live:
            with suppress(WorkerFailed):  # `_start` tries again, and records it
                self._launch(contender, pass_number).worker.begin("start")

    def _time(self, cells: list[Cell], pass_number: int) -> None:
        """Time one shape's phases, each in rounds."""
        scope = (cells[0].contender.group, cells[0].shape)
        for phase in self._shuffled(list(dict.fromkeys(cell.phase for cell in cells)), pass_number, *scope):
            of_phase = [cell for cell in cells if cell.phase == phase]
            for cell in self._shuffled(of_phase, pass_number, *scope, phase, "enter"):
                self._enter(cell, cells, pass_number)
            for cell, round_number, position in self._order(of_phase, pass_number, *scope, phase):
                self._block(cell, cells, pass_number, round_number, position)
            for cell in of_phase:
                self._leave(cell, pass_number)

    def _order(self, cells: list[Cell], pass_number: int, *scope: object) -> Iterator[tuple[Cell, int, int]]:
        """Yield each cell with its round and its position in the round, in the order of timing."""
        for round_number in range(1, self.plan.rounds + 1):
            awaited = [cell for cell in cells if self._rounds_left(cell, pass_number) > self.plan.rounds - round_number]
            for position, cell in enumerate(self._round_order(awaited, pass_number, round_number, *scope), 1):
                yield cell, round_number, position

    def _round_order(self, cells: list[Cell], pass_number: int, round_number: int, *scope: object) -> list[Cell]:
        """Return a round's cells in random order. Both sides of a cell are adjacent, base first in one round and head
        first in the next."""
        if not self.plan.sides:
            return self._shuffled(cells, pass_number, *scope, round_number)
        pairs: dict[str, list[Cell]] = {}
        for cell in cells:
            pairs.setdefault(without_variant(cell.key), []).append(cell)
        order: list[Cell] = []
        for key in self._shuffled([*pairs], pass_number, *scope, round_number):
            # They alternate over passes too: of an odd number of rounds, one side is first in one more.
            swapped = (round_number + pass_number + self._random(key, "first").getrandbits(1)) % 2
            order += pairs[key][::-1] if swapped else pairs[key]
        return order

    def _ceilings(self, group: list[Cell], pass_number: int) -> None:
        """Measure what a group's devices can do, by every backend, and what its contenders' calls take. This is last in
        its pass: the memory that it takes would be the peak of the cells after it."""
        if not is_due(self.plan, pass_number):
            return
        pending = [cell for cell in group if cell.key not in self.state.failed]
        places = {cell.contender.place for cell in pending}
        contenders = [
            contender
            for contender in self.plan.ceilings
            if contender.place in places
            and not self._is_missing(contender)
            and contender.label not in self.state.without_ceilings
            and (pass_number, contender.label) not in self.state.ceilings
        ]
        if self.plan.ceilings and is_full(pass_number):
            for contender in self._shuffled([*self.live], pass_number, "calls"):
                self._calls(contender, pass_number, [cell.phase for cell in pending if cell.contender == contender])
        for contender in self._shuffled(contenders, pass_number, "ceilings"):
            self.notify(self.tally.progress(pass_number, "ceiling", contender.device, str(contender)))
            started = self.now()
            self._ceiling(contender, pass_number, [cell for cell in pending if cell.contender.place == contender.place])
            self.tally.did("ceiling", self.now() - started)
            if contender in self.live:
                self._close(contender)  # which gives back the memory that it took

    def _ceiling(self, contender: Contender, pass_number: int, cells: list[Cell]) -> None:
        """Measure ceilings in the contender's process of this pass, or in one of their own."""
        number, started, probe = 0, self.now(), not is_full(pass_number)
        try:
            if contender not in self.live:
                self._open(contender, pass_number)
            live = self.live[contender]
            number, started = live.number, self.now()
            with self._awake(live):
                seconds = CEILING_SHARE * self.tally.total() / len(self.plan.ceilings)
                footprints = work.streamed_footprints(cells)
                answer = live.worker.ask("ceiling", footprints=footprints, probe=probe, seconds=seconds)
            wall = self.now() - started
            facts = {"number": number, "pass_number": pass_number, "contender": contender.label, "wall_seconds": wall}
            self.record(_answered(Ceiling, answer, probe=probe, **facts))
        except WorkerFailed as failure:
            self._put_aside(contender, failure)
            reason, wall = f"{failure.status}: {failure.reason}", self.now() - started
            self.record(Ceiling(number, pass_number, contender.label, reason=reason, wall_seconds=wall))

    def _calls(self, contender: Contender, pass_number: int, phases: list[str]) -> None:
        """Measure what the calls of a contender's process take."""
        timed = [phase for phase in dict.fromkeys(phases) if phase != "train"]
        if not timed or (pass_number, contender.label) in self.state.calls:
            return
        live, started = self.live[contender], self.now()
        facts: dict[str, Any] = {"number": live.number, "pass_number": pass_number, "contender": contender.label}
        try:
            with self._awake(live):
                answer = live.worker.ask("calls", phases=timed)
            self.record(_answered(Calls, answer, wall_seconds=self.now() - started, **facts))
        except WorkerFailed as failure:
            self._put_aside(contender, failure)
            reason = f"{failure.status}: {failure.reason}"
            self.record(Calls(**facts, reason=reason, wall_seconds=self.now() - started))

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
        """Start a contender's process and import its backend. Raises WorkerFailed."""
        started = self.now()
        live = self.live.get(contender) or self._launch(contender, pass_number)
        with self._awake(live):
            answer = live.worker.ask("start")
            record = _answered(
                WorkerStarted,
                answer,
                number=live.number,
                pass_number=pass_number,
                contender=contender.label,
                threads=self.plan.threads(contender),
                wall_seconds=self.now() - started,
                concurrent=self._at_once(pass_number) > 1,
            )
            live.precision = record.precision
            self.record(record)

    def _launch(self, contender: Contender, pass_number: int) -> _Live:
        """Start a contender's process. Raises WorkerFailed."""
        self.state.processes += 1
        self.live[contender] = live = _Live(self.state.processes, self.open_worker(contender, pass_number))
        return live

    def _prepare(self, contender: Contender, shape: Shape, cells: list[Cell], pass_number: int) -> None:
        pending = [cell for cell in cells if cell.contender == contender and cell.key not in self.state.failed]
        if not pending:
            return
        if contender not in self.live:
            self._start(contender, pass_number)
        live = self.live.get(contender)
        if live is None:
            return
        started = self.now()
        try:
            with self._awake(live):
                self._prepare_all(live, contender, shape, pending, pass_number)
        except WorkerFailed as failure:
            if failure.alive or len(pending) == 1:
                self._fail(pending, contender, failure, pass_number, started)
                return
            self._put_aside(contender, failure)
            for cell in pending:  # one by one, so that one phase's failure is not the others'
                self._prepare(contender, shape, [cell], pass_number)

    def _prepare_all(
        self, live: _Live, contender: Contender, shape: Shape, cells: list[Cell], pass_number: int
    ) -> None:
        """Prepare all of a contender's cells of a shape in one request. Raises WorkerFailed."""
        check = any(cell.key not in self.state.verified for cell in cells)
        self._check_memory(contender, shape, check)
        reference = self._reference(live, contender, shape) if check else {}
        started = self.now()
        answer = live.worker.ask(
            "prepare",
            shape=[shape.N, shape.D_in, shape.H, shape.D_out],
            phases=[cell.phase for cell in cells],
            steps=self.plan.steps,
            check=check,
            device_bytes=work.needed_device_bytes(shape, work.ITEM_BYTES[contender.dtype]),
            **reference,
        )
        if self.references and answer.pop("reference_changed", False):
            self.references.forget(shape, contender.dtype, live.precision)
        first_calls = answer.pop("first_calls", None)
        calls = {cell.key: first_calls.get(cell.phase) for cell in cells} if isinstance(first_calls, dict) else None
        wall = self.now() - started
        facts = {"number": live.number, "pass_number": pass_number, "cells": calls, "wall_seconds": wall}
        self.record(_answered(Prepared, answer, **facts))
        self.tally.did("first prepare" if check else "prepare", wall)
        live.shape = shape

    def _reference(self, live: _Live, contender: Contender, shape: Shape) -> dict[str, Any]:
        """Return the part of a request that names the shape's reference; nothing where the worker computes its own."""
        if self.references is None:
            return {}
        started = self.now()
        reference = self.references.of(shape, contender.dtype, live.precision)
        self.tally.begun += self.now() - started  # other shapes' requests do not take longer for it
        return {"reference": reference} if reference else {}

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
            # Variants of one contender get the same memory layouts, so that these cancel in their ratio.
            seed = self._random(pass_number, without_variant(cell.key), "layout").getrandbits(32)
            answer = live.worker.ask("enter", phase=cell.phase, samples=samples, inner=inner, seed=seed)
            wall = self.now() - started
            self.tally.did("enter" if inner else "first enter", wall)
            facts = {"number": live.number, "pass_number": pass_number, "cell": cell.key, "wall_seconds": wall}
            entered = _answered(Entered, answer, **facts)
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
            # All contenders' weights begin in the same quarter of a cache line in a round, and in each equally often.
            cycle, index = divmod(round_number - 1, ALIGNMENTS)
            order = self._shuffled([*range(ALIGNMENTS)], pass_number, cell.shape, cell.phase, cycle, "alignment")
            answer = live.worker.ask("block", alignment=order[index])
            inner, samples = self.state.calibrated[without_variant(cell.key)]
            wall = self.now() - started
            self.tally.did("train" if cell.phase == "train" else "block", wall)
            facts = {"number": live.number, "pass_number": pass_number, "cell": cell.key, "wall_seconds": wall}
            block = _answered(Block, answer, round=round_number, position=position, inner=inner, **facts)
            if len(block.seconds) != samples:
                raise _misfit(f"it took {len(block.seconds)} samples where {samples} were due")
            self.record(block)
            self.in_a_row[cell.contender] = 0

    def _leave(self, cell: Cell, pass_number: int) -> None:
        live = self.live.get(cell.contender)
        if live is None or cell.key in self.state.failed:
            return
        with self._failing([cell], cell.contender, pass_number, self.now()), self._awake(live):
            facts = {"number": live.number, "pass_number": pass_number, "cell": cell.key}
            self.record(_answered(Left, live.worker.ask("leave"), **facts))

    def _recover(self, cell: Cell, cells: list[Cell], pass_number: int) -> None:
        """Start a new process for a contender's other cells after a cell has ended theirs."""
        live = self.live.get(cell.contender)
        if live is None or live.shape != cell.shape:
            self._prepare(cell.contender, cell.shape, cells, pass_number)

    def _check_memory(self, contender: Contender, shape: Shape, is_verified: bool) -> None:
        """Raise WorkerFailed if a shape cannot fit: else the system would kill a process, maybe this one."""
        needed = work.needed_bytes(shape, work.ITEM_BYTES[contender.dtype], is_verified)
        free, memory_limit = self.free_bytes(), self.plan.memory_limit
        for available, description in ((free, "are free"), (memory_limit, "are allowed by --memory-limit")):
            if available is not None and needed > available:
                reason = f"its arrays need {gigabytes(needed)} at least, and {gigabytes(available)} {description}"
                raise WorkerFailed("out_of_memory", reason, alive=True)

    @contextmanager
    def _awake(self, live: _Live) -> Iterator[None]:
        """Let a worker run only while it answers a request."""
        live.worker.resume()
        yield
        live.worker.suspend()

    @contextmanager
    def _failing(self, cells: list[Cell], contender: Contender, pass_number: int, started: float) -> Iterator[None]:
        """Record a failed request as the outcome of its cells alone."""
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
        """Stop trying a contender that has failed too often in a row."""
        if failure.status in ("wrong", "unavailable", "unsupported"):
            return
        self.in_a_row[contender] += 1
        untried = [cell.key for cell in self._of(contender)]
        if self.in_a_row[contender] >= self.plan.max_failures > 0 and untried:
            times = f"{self.in_a_row[contender]} failures in a row" if self.plan.max_failures > 1 else "a failure"
            reason = f"not tried after {times}, the last of them: {failure.status}, {failure.reason}"
            self.record(Failed(pass_number, untried, "not_run", reason))
            if contender in self.live:
                self._close(contender)

    def _put_aside(self, contender: Contender, failure: WorkerFailed) -> None:
        """Suspend a process that failed a request; end it where it cannot answer any more."""
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
        """Tell whether a contender's cells have shown that its backend or device is missing."""
        failed = (self.state.failed.get(cell.key) for cell in self.plan.cells if cell.contender == contender)
        return any(failure is not None and failure.status in ("unavailable", "unsupported") for failure in failed)

    def _rounds_left(self, cell: Cell, pass_number: int) -> int:
        if cell.key in self.state.failed:
            return 0
        return self.plan.rounds - self.state.blocks[pass_number, cell.key]

    def _shuffled(self, items: list[T], *scope: object) -> list[T]:
        """Return items in an order that depends only on the seed and the scope, so that a resumed run keeps it."""
        order = list(items)
        self._random(*scope).shuffle(order)
        return order

    def _random(self, *scope: object) -> random.Random:
        return random.Random("/".join(map(str, (self.plan.seed, *scope))))


class BackToBack(RunInProgress):
    """Times one contender after the other, each from its first block to its last, as many other tools do; taking turns
    is calibrated against this."""

    def _order(self, cells: list[Cell], pass_number: int, *scope: object) -> Iterator[tuple[Cell, int, int]]:
        for position, cell in enumerate(self._shuffled(cells, pass_number, *scope), 1):
            for round_number in range(1, self.plan.rounds + 1):
                yield cell, round_number, position


def _answered(kind: type[R], answer: dict[str, Any], **facts: Any) -> R:
    """Return a record of a worker's answer and of further facts. Raises WorkerFailed where the answer does not fit."""
    try:
        return checked.record(kind, all_visible(answer) | facts)
    except ValueError as error:
        raise _misfit(str(error)) from error
    except RecursionError as error:
        raise _misfit("it is nested too deep") from error


def _misfit(why: str) -> WorkerFailed:
    return WorkerFailed("crashed", f"the worker process answered what does not fit: {why}", alive=False)


def _groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Return the groups of cells whose contenders take turns."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.contender.group, []).append(cell)
    return list(groups.values())
