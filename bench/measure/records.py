"""What a run's journal holds: one frozen record per thing that happened, in the order it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, ConfigDict, Field

from .worker.one_line import one_line


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Time = Annotated[str, AfterValidator(_is_time)]
"""ISO 8601."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Number = Annotated[int, Field(ge=1, lt=1 << 63)]
"""Counted from 1."""


@dataclass(frozen=True)
class RunStarted:
    """The first record: what was asked, and of which machine."""

    run: str
    started: Time
    """UTC, ISO 8601."""
    plan: dict[str, Any]
    machine: dict[str, Any]
    options: list[str]
    """The command line."""
    calibration: dict[str, Any] | None = None
    """What the machine's last calibration had found when the run began."""
    surroundings: dict[str, str] = field(default_factory=dict)
    """What the times depend on and could have changed when the run goes on, by what it is."""
    calibration_damaged: str = ""
    """Why the machine's last calibration could not be read; empty where it could, or where there was none."""


@dataclass(frozen=True)
class RunResumed:
    """A run that had been cut off goes on; seconds count from here again."""

    started: Time
    options: list[str]
    surroundings: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    """What was no longer as it had been, each in words; every cell is verified again then."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "changed", [one_line(one) for one in self.changed])


@dataclass(frozen=True)
class PassChosen:
    """In a run whose passes are not all alike: what the next one visits."""

    pass_number: Number
    cells: list[str]
    rounds: Number
    confirming: bool = False
    """Whether it is there to confirm what the passes before it showed."""


@dataclass(frozen=True)
class WorkerStarted:
    """A contender's process is up: its framework is imported, its devices are known."""

    number: Number
    """Counts the run's processes."""
    pass_number: Number
    """The pass, from 1."""
    contender: str
    backend: str
    backend_version: str
    interpreter: str
    device_name: str
    precision: str
    threads: Number
    """The limit that was set."""
    import_seconds: Amount
    wall_seconds: Amount
    """From asking for the process to its first answer."""
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _put_on_one_line(self, "backend", "backend_version", "interpreter", "device_name", "precision")


@dataclass(frozen=True)
class Prepared:
    """A contender has a shape's problem: set up, called once, and verified if it had not been before."""

    number: Number
    pass_number: Number
    cells: dict[str, Amount]
    """First call of each cell, in seconds, by cell key."""
    setup_seconds: Amount
    error: float | None
    """Of the tensor that used most of its tolerance; None in a pass that did not verify again."""
    tolerance: float | None
    tensor: str
    verify_seconds: Amount
    wall_seconds: Amount


@dataclass(frozen=True)
class Entered:
    """A contender is warm in a cell."""

    number: Number
    pass_number: Number
    cell: str
    inner: Number
    samples: Number
    """To be taken in each block."""
    wall_seconds: Amount


@dataclass(frozen=True)
class Block:
    """One block: a re-warm and then samples."""

    number: Number
    pass_number: Number
    round: Number
    position: Number
    """Within the round, from 1."""
    cell: str
    inner: Number
    seconds: Annotated[list[Positive], Field(min_length=1)]
    """Of each sample, per iteration."""
    cpu_per_wall: Amount
    """Processor seconds per second while sampling: how many threads were busy."""
    rewarm_seconds: Amount
    wall_seconds: Amount
    processor_seconds: Amount | None = None
    """While sampling, of the processors that the process may run on; this and the next ones None where the system does
    not tell."""
    waited_seconds: Amount | None = None
    """That its threads waited for a processor: for other processes, or for one another."""
    others_seconds: Finite | None = None
    """Of the processors' time, what neither the process used nor was idle or stolen. Of several processors it is within
    some 10 ms only, and may be negative: sums over blocks are of use."""
    stolen_seconds: Amount | None = None
    """Of the processors' time, what the hypervisor gave to other machines."""
    switches: Count | None = None
    """While sampling, involuntary ones of all its threads."""


@dataclass(frozen=True)
class Left:
    """A contender is done with a cell."""

    number: Number
    pass_number: Number
    cell: str
    host_bytes: Count | None
    device_bytes: Count | None
    check_seconds: Amount = 0.0
    """Of checking, after its blocks, that their work was done."""


@dataclass(frozen=True)
class Ceiling:
    """The most that a backend got out of its device in a pass, or why nothing is known of it."""

    number: Count
    """Of the process; 0 where none could be started."""
    pass_number: Number
    contender: str
    products: dict[str, Positive] = field(default_factory=dict)
    """Floating-point operations a second of large products x·w1, by `NxD_inxH`."""
    copies: dict[str, Positive] = field(default_factory=dict)
    """Bytes a second of copying x over w1, one read and one written, by the bytes of both."""
    sums: dict[str, Positive] = field(default_factory=dict)
    """Bytes a second of adding x onto w1, two read and one written, by the bytes of both."""
    reason: str = ""
    wall_seconds: Amount = 0.0

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


@dataclass(frozen=True)
class Failed:
    """Some cells have an outcome other than `ok`, and will not be visited again."""

    pass_number: Number
    cells: list[str]
    status: str
    reason: str
    error: float | None = None
    tolerance: float | None = None
    wall_seconds: Amount = 0.0

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


@dataclass(frozen=True)
class RunEnded:
    """The last record of a run that was not killed."""

    complete: bool
    wall_seconds: Amount
    reason: str = ""
    """Why a run of as many passes as it takes made no more of them."""


@dataclass(frozen=True)
class Unread:
    """A line of a journal that could not be read; it is never written to one."""

    line: int
    """From 1."""
    reason: str

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


Record = (
    RunStarted
    | RunResumed
    | PassChosen
    | WorkerStarted
    | Prepared
    | Entered
    | Block
    | Left
    | Ceiling
    | Failed
    | RunEnded
    | Unread
)

for _kind in get_args(Record):
    _kind.__pydantic_config__ = ConfigDict(strict=True, extra="forbid")

STATUSES = ("ok", "wrong", "unavailable", "unsupported", "out_of_memory", "timeout", "crashed", "not_run")


def _put_on_one_line(record: Record, *names: str) -> None:
    """Of what a contender's own code says. Here, because a record is made of it both when it is measured and when a
    journal is read: whatever shows a record, of whichever age, has one row for it."""
    for name in names:
        object.__setattr__(record, name, one_line(str(getattr(record, name))))
