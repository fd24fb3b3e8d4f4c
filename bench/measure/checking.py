"""Check an implementation against the interface, in processes that it may crash, leave or hang."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

import implementations
from bench.plan.cells import DTYPES, PHASES, Contender, Shape

from . import checked, machine
from .client import ProcessWorker, Setting, Worker, WorkerFailed
from .worker.conformance import suite
from .worker.one_line import all_visible, one_line

PASSED, FAILED, NOT_RUN, INFORMATION = "passed", "failed", "not run", "information"
NOT_HERE = ("unavailable", "unsupported")
"""The statuses of an implementation that cannot be checked on this machine."""


class Impossible(ValueError):
    """The implementation cannot be checked as asked; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """The result of one check at one shape."""

    name: str
    status: str
    reason: str
    """What was seen."""
    why: str
    """Why a failure matters."""
    device: str
    dtype: str
    shape: Shape | None = None
    share: float = 0.0
    """The part of a tolerance that was used."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """What is to be checked; `path` has folders to look for modules in. Without `devices`, all that are found."""

    implementation: str
    path: Sequence[str]
    devices: tuple[str, ...]
    dtypes: tuple[str, ...] = ()
    """Without them, all that the implementation declares."""
    threads: int | None = None
    """The limit of threads; None for as many as processors."""
    timeout: float = 60.0
    """Seconds that any one check may take."""


@dataclass(frozen=True)
class Answer:
    """A worker's answer to the request for a check."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    passed: bool
    seen: str
    share: float = 0.0


@dataclass(frozen=True)
class Started:
    """What a first process found: the outcome, and if a class can be checked, the process and the class's devices."""

    outcome: Outcome
    worker: Worker | None = None
    devices: tuple[str, ...] = ()


LOST = "its process has ended"
Open = Callable[[Contender, int], Worker]


def check(asked: Asked, open_worker: Open | None = None) -> list[Outcome]:
    """Return the outcomes of all checks. Raises Impossible."""
    folder = Path(tempfile.mkdtemp(prefix="relubench-"))

    def process(contender: Contender, threads: int) -> Worker:
        return ProcessWorker(Setting(contender, threads, asked.timeout, folder / "worker.log", path=asked.path))

    outcomes: list[Outcome] = []
    try:
        outcomes += Checking(asked, open_worker or process).outcomes()
        return outcomes
    finally:
        if not any(folder.name in outcome.reason for outcome in outcomes):  # else a reason names the log
            shutil.rmtree(folder, ignore_errors=True)


class Checking:
    """Makes the checks of one implementation: in a process for each device and dtype, and in one that is limited to
    one thread."""

    def __init__(self, asked: Asked, open_worker: Open) -> None:
        self.asked, self.open_worker = asked, open_worker
        self.has_lost_a_process = False

    def outcomes(self) -> Iterator[Outcome]:
        """Yield each outcome when it is known. Raises Impossible."""
        name, asked = self.asked.implementation, self.asked
        try:
            kinds = implementations.device_kinds(name, asked.path)
            declared = implementations.dtypes_of(name, asked.path)
        except LookupError as error:
            raise Impossible(str(error)) from error
        if missing := [dtype for dtype in asked.dtypes if dtype not in declared]:
            raise Impossible(f"{name} has no {missing[0]}, only {', '.join(declared)}")
        dtypes = asked.dtypes or tuple(dtype for dtype in DTYPES if dtype in declared)
        if not dtypes:
            raise Impossible(f"{name}: its DTYPES, {', '.join(declared)}, are none of {', '.join(DTYPES)}")
        usual = "cpu" if "cpu" in kinds else kinds[0]
        limited = Contender(name, next(iter(asked.devices), usual), dtypes[0], threads=1)
        with ExitStack() as stack:
            started = self._of_class(limited, kinds, stack)
            yield started.outcome
            if started.worker is None:
                return
            started.worker.suspend()
            for device in asked.devices or first_of_each_kind(started.devices):
                for dtype in dtypes:
                    yield from self._group(Contender(name, device, dtype))
            if limited.device == "cpu":
                started.worker.resume()
                yield from self._ask(started.worker, limited, 1, [item for item in suite.SUITE if item.one_thread])

    def _of_class(self, contender: Contender, kinds: Sequence[str], stack: ExitStack) -> Started:
        """Start a process of a class; return it with the devices that the class finds, unless it cannot be used."""
        began = time.monotonic()

        def outcome(status: str, reason: str) -> Outcome:
            seconds = time.monotonic() - began
            return Outcome(
                suite.CLASS.name, status, reason, suite.CLASS.why, contender.device, contender.dtype, seconds=seconds
            )

        try:
            worker = stack.enter_context(closing(self.open_worker(contender, 1)))
            about, devices = worker.ask("start"), _names(worker.ask("devices").get("devices"))
        except WorkerFailed as failure:
            if failure.status in NOT_HERE:
                raise Impossible(f"{contender.implementation}: {failure.status}, {failure.reason}") from failure
            self.has_lost_a_process = True
            return Started(outcome(FAILED, failure.reason))
        if missing := [device for device in self.asked.devices if device not in devices]:
            raise Impossible(f"{contender.implementation} finds only {', '.join(devices)} here, not {missing[0]}")
        if undeclared := [device for device in devices if device.partition(":")[0] not in kinds]:
            reason = f"devices() has {undeclared[0]}, a kind that its DEVICE_KINDS, {', '.join(kinds)}, lacks"
            return Started(outcome(FAILED, reason))
        reason = f"{about.get('backend')} {about.get('backend_version')}, on {', '.join(devices)}"
        return Started(outcome(PASSED, all_visible(reason)), worker, devices)

    def _group(self, contender: Contender) -> Iterator[Outcome]:
        """Yield the outcomes on one device in one dtype, in a process of their own."""
        items = [item for item in suite.SUITE if not item.one_thread]
        threads = self.asked.threads or machine.usable_processors()
        if self.has_lost_a_process:
            yield from _not_run(contender, items, LOST)
            return
        with ExitStack() as stack:
            try:
                worker = stack.enter_context(closing(self.open_worker(contender, threads)))
                worker.ask("start")
            except WorkerFailed as failure:
                self.has_lost_a_process = True
                first, *others = items
                shape = Shape(*first.shapes[0])
                yield _outcome(first, FAILED, f"its process did not start: {failure.reason}", contender, shape)
                yield from _not_run(contender, others, LOST)
                return
            yield from self._ask(worker, contender, threads, items)

    def _ask(
        self, worker: Worker, contender: Contender, threads: int, items: Sequence[suite.Item]
    ) -> Iterator[Outcome]:
        """Yield the outcomes of some checks in a process."""
        is_right = True
        for item in items:
            if self.has_lost_a_process:
                yield from _not_run(contender, [item], LOST)
                continue
            if item.needs_right_results and not is_right:
                yield from _not_run(contender, [item], "made when the results are right")
                continue
            for sizes in item.shapes:
                shape, began = Shape(*sizes), time.monotonic()
                try:
                    answer = worker.ask("conform", check=item.name, shape=[*sizes], phases=[*PHASES], threads=threads)
                    seen = checked.record(Answer, all_visible(answer))
                except WorkerFailed as failure:
                    self.has_lost_a_process, seen = True, Answer(False, failure.reason)
                except ValueError:
                    seen = Answer(False, "its process answered something else than was asked")
                passed = INFORMATION if item.is_information else PASSED
                status = passed if seen.passed else FAILED
                is_right = is_right and (seen.passed or not item.judges_results)
                seconds = time.monotonic() - began
                yield _outcome(item, status, seen.seen, contender, shape, seen.share, seconds)
                if self.has_lost_a_process:
                    break


def _names(devices: object) -> tuple[str, ...]:
    return tuple(one_line(str(device)) for device in devices) if isinstance(devices, list) else ()


def first_of_each_kind(devices: Sequence[str]) -> tuple[str, ...]:
    """Return the first device of each kind, like `cuda` of `cuda`, `cuda:0` and `cuda:1`."""
    firsts: dict[str, str] = {}
    for device in devices:
        firsts.setdefault(device.partition(":")[0], device)
    return tuple(firsts.values())


def _outcome(
    item: suite.Item,
    status: str,
    reason: str,
    contender: Contender,
    shape: Shape,
    share: float = 0.0,
    seconds: float = 0.0,
) -> Outcome:
    return Outcome(item.name, status, reason, item.why, contender.device, contender.dtype, shape, share, seconds)


def _not_run(contender: Contender, items: Sequence[suite.Item], reason: str) -> Iterator[Outcome]:
    for item in items:
        for sizes in item.shapes:
            yield _outcome(item, NOT_RUN, reason, contender, Shape(*sizes))
