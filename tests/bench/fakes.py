"""Fakes for what takes time: a clock set by the test, nets with fixed costs, workers that follow a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from bench.measure import journal
from bench.measure.client import WorkerFailed
from bench.measure.progress import Progress
from bench.measure.records import Block, RunStarted
from bench.measure.run import RunInProgress
from bench.measure.state import State
from bench.measure.worker.session import Failure, Session
from bench.measure.worker.timing import Clocks
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.plain import to_plain
from bench.plan.plan import Plan
from implementations import numpy_

MICRO = 2.0**-20
"""About a microsecond, as a power of two, so that sums are exact."""


class FakeClock:
    """A clock that stands still until `spend` is called."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


class FakeNet:
    """A net without arrays, whose phases cost seconds on a clock; a `lazy` net spends them when synchronised."""

    consumes_graph = False

    def __init__(
        self, clock: FakeClock, lazy: bool = False, watch: Callable[[str], None] | None = None, **costs: float
    ):
        self.clock, self.lazy, self.costs = clock, lazy, costs
        self.watch = watch or (lambda name: None)
        self.calls: list[str] = []
        self.owed = 0.0
        self.graph = False
        self._do("make")

    def _do(self, name: str, times: int = 1) -> None:
        self.calls.append(name)
        self.watch(name)
        if self.lazy:
            self.owed += times * self.costs.get(name, 0.0)
        else:
            self.clock.spend(times * self.costs.get(name, 0.0))

    def forward(self) -> None:
        self.graph = True
        self._do("forward")

    def backward(self) -> None:
        if self.consumes_graph:
            assert self.graph, "a backward whose graph is spent"
            self.graph = False
        self._do("backward")

    def update(self) -> None:
        self._do("update")

    def step(self) -> None:
        self._do("step")

    def train(self, steps: int) -> None:
        self._do("train", steps)

    def weights(self) -> tuple[()]:
        self.synchronize()
        self._do("weights")
        self.synchronize()
        return ()

    def synchronize(self) -> None:
        self.clock.spend(self.owed)
        self.owed = 0.0

    def peak_device_bytes(self) -> None:
        return None


class GraphNet(FakeNet):
    """A net that needs a forward before every backward."""

    consumes_graph = True


class Costly(numpy_.Net):
    """NumPy's net with correct results, whose phases cost the class's seconds on the class's clock."""

    clock: ClassVar[FakeClock] = FakeClock()
    costs: ClassVar[dict[str, float]] = {}
    speed: ClassVar[float] = 1.0

    def _spend(self, phase: str) -> None:
        self.clock.spend(self.costs[phase] / self.speed)

    def forward(self) -> None:
        super().forward()
        self._spend("forward")

    def backward(self) -> None:
        super().backward()
        self._spend("backward")

    def update(self) -> None:
        super().update()
        self._spend("update")


class Slow(Costly):
    costs: ClassVar = {"forward": 256 * MICRO, "backward": 512 * MICRO, "update": 128 * MICRO}


class Fast(Slow):
    """A net four times as fast as Slow."""

    speed = 4.0


class Lagging(Slow):
    """A net half as fast as Slow."""

    speed = 0.5


class InProcess:
    """A worker that is a real session in this process, on its net's clock."""

    def __init__(self, contender: Contender, clock: FakeClock) -> None:
        self.session = Session(contender.implementation, contender.device, contender.dtype, clocks=Clocks(clock, clock))
        self.clock = clock

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        request = json.loads(json.dumps(request)) | ({"started": self.clock()} if verb == "start" else {})
        try:
            return json.loads(json.dumps(getattr(self.session, verb)(**request)))
        except Failure as failure:
            raise WorkerFailed(failure.status, str(failure), True, **failure.figures) from failure

    def begin(self, verb: str, **request: Any) -> None: ...

    def resume(self) -> None: ...

    def suspend(self) -> None: ...

    def begin_close(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Ask:
    """One request to a scripted worker. `where` is a shape for prepare, a phase from enter on."""

    number: int
    pass_number: int
    contender: Contender
    verb: str
    where: str
    request: dict[str, Any]


@dataclass
class Office:
    """Opens scripted workers and records their requests."""

    clock: FakeClock = field(default_factory=FakeClock)
    fault: Callable[[Ask], WorkerFailed | None] = lambda ask: None
    """Returns the failure of a request, if any."""
    interrupt_at: int | None = None
    """The request, counted from 0, that Ctrl-C interrupts."""
    inner: Callable[[int], int] = lambda number: 10_000 + number
    """Returns the `inner` that a process chooses for its samples, by the process's number."""
    asked: list[Ask] = field(default_factory=list)
    events: list[tuple[str, str, Contender, int]] = field(default_factory=list)
    """`begun` for each request that was sent before it was waited for, and `answered` for each answer: with its verb,
    contender and pass."""
    opened: list[Scripted] = field(default_factory=list)
    blocks_answered: int = 0

    def open(self, contender: Contender, pass_number: int) -> Scripted:
        worker = Scripted(self, contender, pass_number, len(self.opened) + 1)
        self.opened.append(worker)
        return worker

    def of(self, verb: str) -> list[Ask]:
        return [ask for ask in self.asked if ask.verb == verb]


class Scripted:
    """A fake worker process. Asserts that it is asked only while it alone is awake."""

    def __init__(self, office: Office, contender: Contender, pass_number: int, number: int) -> None:
        self.office, self.contender, self.pass_number, self.number = office, contender, pass_number, number
        self.state = "awake"  # like any process that has just started
        self.begun: tuple[str, dict[str, Any]] | None = None
        self.phase = ""
        self.inner = self.samples = 0

    def resume(self) -> None:
        assert self.state in ("awake", "stopped")
        self.state = "awake"

    def suspend(self) -> None:
        assert self.state == "awake"
        self.state = "stopped"

    def begin_close(self) -> None:
        assert self.state != "closed"

    def begin(self, verb: str, **request: Any) -> None:
        assert self.state == "awake"
        assert self.begun is None
        self.begun = verb, request
        self.office.events.append(("begun", verb, self.contender, self.pass_number))

    def close(self) -> None:
        assert self.state != "closed"
        self.state = "closed"

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        assert self.begun in (None, (verb, request)), "what was begun is what is asked"
        self.begun = None
        awake = [worker for worker in self.office.opened if worker.state == "awake" and worker.begun is None]
        assert awake == [self], "only the workers that are asked are awake"
        self.phase = request.get("phase", self.phase)
        where = {"start": "", "prepare": str(Shape(*request.get("shape", (1, 1, 1))))}.get(verb, self.phase)
        ask = Ask(self.number, self.pass_number, self.contender, verb, where, request)
        self.office.asked.append(ask)
        self.office.events.append(("answered", verb, self.contender, self.pass_number))
        self.office.clock.spend(1024 * MICRO)
        if self.office.interrupt_at == len(self.office.asked) - 1:
            raise KeyboardInterrupt
        if failure := self.office.fault(ask):
            if not failure.alive:
                self.state = "dead"
            raise failure
        return getattr(self, f"_{verb}")(**request)

    def _start(self) -> dict[str, Any]:
        return {
            "backend": "fake",
            "backend_version": "1",
            "interpreter": "CPython",
            "device_name": "",
            "precision": "highest",
            "import_seconds": 0.5,
            "details": {},
        }

    def _prepare(
        self,
        shape: list[int],
        phases: list[str],
        steps: int,
        check: bool = True,
        device_bytes: int = 0,
        reference: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "setup_seconds": 0.25,
            "first_calls": dict.fromkeys(phases, 0.125),
            "tensor": "prediction",
            "error": 1e-8,
            "tolerance": 1e-6,
            "verify_seconds": 0.25,
        }

    def _enter(self, phase: str, samples: int, inner: int | None, seed: int = 0) -> dict[str, Any]:
        # Calibrations differ between processes, so that a kept one is not mistaken for a new one.
        self.inner, self.samples = (self.office.inner(self.number), samples) if inner is None else (inner, samples)
        return {"inner": self.inner, "samples": self.samples}

    def _block(self, alignment: int) -> dict[str, Any]:
        self.office.blocks_answered += 1
        return {"seconds": [MICRO * self.number] * self.samples, "cpu_per_wall": 1.0, "rewarm_seconds": 0.008}

    def _leave(self) -> dict[str, Any]:
        return {"host_bytes": 1000, "device_bytes": None}

    def _ceiling(self, footprints: list[int], probe: bool, seconds: float) -> dict[str, Any]:
        return {"products": {"8x8x8": 1e9}, "copies": {"4096": 2e9}, "sums": {} if probe else {"4096": 3e9}}

    def _calls(self, phases: list[str]) -> dict[str, Any]:
        return {"seconds": dict.fromkeys(phases, MICRO)}


def plan_of(
    implementations: Iterable[str] = ("a", "b", "c"),
    shapes: Iterable[Shape] = (Shape(4, 5, 3),),
    phases: Iterable[str] = ("forward", "step"),
    **changes: Any,
) -> Plan:
    """Return a plan of contenders by these names on the host, in float32."""
    contenders = [Contender(name, "cpu", "float32") for name in implementations]
    cells = [Cell(contender, shape, phase) for phase in phases for shape in shapes for contender in contenders]
    settings = {
        "passes": 2,
        "rounds": 2,
        "samples": 3,
        "baseline": "a",
        "steps": 2,
        "timeout": 60,
        "cpus": 2,
        "seed": 7,
    }
    return Plan(grid="fake", cells=tuple(cells), **settings | changes)


def measured(
    plan: Plan,
    folder: Path,
    office: Office,
    notify: Callable[[Progress], None] = lambda progress: None,
    resumed: bool = False,
) -> RunInProgress:
    """Measure a plan with scripted workers, with the journal in `folder`; return the run."""
    state = State.of(journal.read(folder)) if resumed else State()
    with journal.Journal(folder) as writer:
        if not resumed:
            writer.append(RunStarted(folder.name, "2026-01-01T00:00:00+00:00", to_plain(plan), {}, []))
        run = RunInProgress(plan, writer, office.open, state, notify, office.clock)
        run.measure()
    return run


def records_of(folder: Path, kind: type[Any]) -> list[Any]:
    return [record for record in journal.read(folder) if isinstance(record, kind)]


def places(blocks: Sequence[Block]) -> list[tuple[int, int, str]]:
    """Return (pass, round, cell) of each block."""
    return [(block.pass_number, block.round, block.cell) for block in blocks]
