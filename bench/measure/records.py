"""The records of a run's journal: one frozen record per event, in the order of events."""

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
"""A number that is counted from 1."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The first record of a run: what is measured, and on which machine."""

    run: str
    started: Time
    """UTC, ISO 8601."""
    plan: dict[str, Any]
    machine: dict[str, Any]
    options: list[str]
    """The command line."""
    calibration: dict[str, Any] | None = None
    """The machine's last calibration when the run began."""
    surroundings: dict[str, str] = field(default_factory=dict)
    """What the times depend on and may have changed when the run is resumed, by its name."""
    calibration_damaged: str = ""
    """Why the machine's last calibration could not be read; empty where it could, or where there was none."""


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run was resumed, which was interrupted or is to have further passes; seconds count anew from this record."""

    started: Time
    options: list[str]
    surroundings: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    """What had changed since, each in words; if anything had, every cell is verified again."""
    passes: Number | None = None
    """The passes that the run is extended to, in total; None where it only goes on."""
    time_budget: Amount | None = None
    """The seconds that a run of as many passes as needed is extended to, in total; None where it only goes on."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "changed", [one_line(one) for one in self.changed])


@dataclass(frozen=True, slots=True)
class PassChosen:
    """What the next pass visits, in a run whose passes are not all alike."""

    pass_number: Number
    cells: list[str]
    rounds: Number
    confirming: bool = False
    """Whether the pass is to confirm what the passes before it showed."""


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A contender's process has started: its framework is imported, its devices are known."""

    number: Number
    """The number of the process in the run."""
    pass_number: Number
    """The pass, from 1."""
    contender: str
    backend: str
    backend_version: str
    interpreter: str
    device_name: str
    precision: str
    threads: Number
    """The thread limit that was set."""
    import_seconds: Amount
    wall_seconds: Amount
    """The time from starting the process, or from waiting for it alone, to its first answer."""
    details: dict[str, Any] = field(default_factory=dict)
    concurrent: bool = False
    """Whether other processes started at the same time, so that its seconds are not those it takes alone."""

    def __post_init__(self) -> None:
        _put_on_one_line(self, "backend", "backend_version", "interpreter", "device_name", "precision")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A contender has set up a shape's problem, called each phase once, and verified it unless that was done before."""

    number: Number
    pass_number: Number
    cells: dict[str, Amount]
    """First call of each cell, in seconds, by cell key."""
    setup_seconds: Amount
    error: float | None
    """The error of the tensor that used most of its tolerance; None in a pass that did not verify."""
    tolerance: float | None
    tensor: str
    verify_seconds: Amount
    wall_seconds: Amount
    own_reference: str = ""
    """Why it was verified against a reference that its process computed, where one was stored for all contenders."""

    def __post_init__(self) -> None:
        _put_on_one_line(self, "own_reference")


@dataclass(frozen=True, slots=True)
class Reference:
    """The float64 reference of a shape was computed, for all contenders of a dtype and a precision, or why not."""

    shape: str
    dtype: str
    precision: str
    bytes: Count
    """The size of its files at most; 0 where there are none."""
    reason: str
    """Why every contender had to compute its own; empty where none had to."""
    wall_seconds: Amount

    def __post_init__(self) -> None:
        _put_on_one_line(self, "precision", "reason")


@dataclass(frozen=True, slots=True)
class Entered:
    """A contender has warmed up for a cell."""

    number: Number
    pass_number: Number
    cell: str
    inner: Number
    samples: Number
    """The samples to take in each block."""
    wall_seconds: Amount


@dataclass(frozen=True, slots=True)
class Block:
    """A block was taken: a re-warm and then samples."""

    number: Number
    pass_number: Number
    round: Number
    position: Number
    """The position in the round, from 1."""
    cell: str
    inner: Number
    seconds: Annotated[list[Positive], Field(min_length=1)]
    """The seconds of each sample, per iteration."""
    cpu_per_wall: Amount
    """Processor seconds per second while sampling: how many threads were busy."""
    rewarm_seconds: Amount
    wall_seconds: Amount
    processor_seconds: Amount | None = None
    """The time, while sampling, of the processors that the process may run on. This and the next fields are None where
    the system does not tell."""
    waited_seconds: Amount | None = None
    """How long its threads waited for a processor: for other processes, or for one another."""
    others_seconds: Finite | None = None
    """The part of the processors' time that the process did not use and that was neither idle nor stolen. With several
    processors it is precise to some 10 ms only, and may be negative: only sums over blocks are of use."""
    stolen_seconds: Amount | None = None
    """The part of the processors' time that the hypervisor gave to other machines."""
    switches: Count | None = None
    """Involuntary context switches of all its threads while sampling."""
    alignment: Count | None = None
    """The quarter of a cache line, from 0, in which the net's first weights began; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Left:
    """A contender has finished a cell."""

    number: Number
    pass_number: Number
    cell: str
    host_bytes: Count | None
    device_bytes: Count | None
    check_seconds: Amount = 0.0
    """The time of checking, after the blocks, that their work was done."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The highest rates that a backend reached on its device in a pass, or why none are known."""

    number: Count
    """The number of the process; 0 where none could be started."""
    pass_number: Number
    contender: str
    products: dict[str, Positive] = field(default_factory=dict)
    """Floating-point operations per second of large products x·w1, by `NxD_inxH`."""
    copies: dict[str, Positive] = field(default_factory=dict)
    """Bytes per second of copying x over w1, one read and one written, by the bytes of both."""
    sums: dict[str, Positive] = field(default_factory=dict)
    """Bytes per second of adding x onto w1, two read and one written, by the bytes of both."""
    reason: str = ""
    wall_seconds: Amount = 0.0
    probe: bool = False
    """Whether it is only for drift, with a few of the rates."""

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


@dataclass(frozen=True, slots=True)
class Calls:
    """What a contender's calls take without any work, or why that is not known."""

    number: Number
    pass_number: Number
    contender: str
    seconds: dict[str, Positive] = field(default_factory=dict)
    """Seconds of an iteration on arrays of one element, by phase."""
    reason: str = ""
    wall_seconds: Amount = 0.0

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


@dataclass(frozen=True, slots=True)
class Failed:
    """Some cells have failed with a status other than `ok`, and will not be visited again."""

    pass_number: Number
    cells: list[str]
    status: str
    reason: str
    error: float | None = None
    tolerance: float | None = None
    wall_seconds: Amount = 0.0

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last record of a run that was not killed."""

    complete: bool
    wall_seconds: Amount
    reason: str = ""
    """Why a run with a time budget made no more passes."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A line of a journal that could not be read; this record is never written."""

    line: int
    """The line's number, from 1."""
    reason: str

    def __post_init__(self) -> None:
        _put_on_one_line(self, "reason")


Record = (
    RunStarted
    | RunResumed
    | PassChosen
    | WorkerStarted
    | Prepared
    | Reference
    | Entered
    | Block
    | Left
    | Ceiling
    | Calls
    | Failed
    | RunEnded
    | Unread
)

for _kind in get_args(Record):
    _kind.__pydantic_config__ = ConfigDict(strict=True, extra="forbid")

STATUSES = ("ok", "wrong", "unavailable", "unsupported", "out_of_memory", "timeout", "crashed", "not_run")


def _put_on_one_line(record: Record, *names: str) -> None:
    """Put texts of a contender's own code on one line. Records do it, since they are made both when measuring and when
    reading a journal: whatever shows a record, of any age, has one row for it."""
    for name in names:
        object.__setattr__(record, name, one_line(str(getattr(record, name))))
