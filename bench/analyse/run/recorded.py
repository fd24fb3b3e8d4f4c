"""The records of a run's journal: its plan, and what happened in each cell."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Self, TypeVar

import numpy as np

from bench.analyse.estimates.statistics import Blocks, Summary, floor, standard_error, summary, typical
from bench.measure import extending
from bench.measure.records import (
    Block,
    Failed,
    Left,
    Prepared,
    Record,
    RunEnded,
    RunResumed,
    RunStarted,
    WorkerStarted,
)
from bench.plan.cells import Cell, Contender
from bench.plan.looks import Spending
from bench.plan.plain import from_plain
from bench.plan.plan import Plan

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class CellRecords:
    """A journal's records of one cell. Seconds are of one iteration."""

    cell: Cell
    blocks: Sequence[Block] = ()
    workers: Sequence[WorkerStarted] = ()
    """The processes of its contender, which all of the contender's cells share."""
    prepared: Sequence[Prepared] = ()
    left: Sequence[Left] = ()
    """One for each visit that was finished."""
    failed: Failed | None = None
    changed: Sequence[str] = ()
    """What had changed, in words, between the cell's first blocks and a later resume."""

    @property
    def status(self) -> str:
        """One of STATUSES. A time that cannot be true is still `ok` here: `suspicion` marks it later."""
        if self.failed:
            return self.failed.status
        return "ok" if self.blocks else "not_run"

    @property
    def untimed_reason(self) -> str:
        """Why the cell has no time; empty where it has one."""
        if self.failed:
            return self.failed.reason
        return "" if self.blocks else "the run ended before this cell's first block"

    @property
    def started_alone(self) -> Sequence[WorkerStarted]:
        """The starts of its processes while no other started; all starts where there is none like that."""
        return [worker for worker in self.workers if not worker.concurrent] or self.workers

    @property
    def blocks_by_pass(self) -> dict[int, list[np.ndarray]]:
        """The samples of each block (samples,), by pass, in the order they were taken."""
        samples: dict[int, list[np.ndarray]] = defaultdict(list)
        for block in self.blocks:
            samples[block.pass_number].append(np.array(block.seconds))
        return dict(samples)

    @property
    def samples_by_pass(self) -> dict[int, np.ndarray]:
        """The samples of each pass (samples,), in the order they were taken."""
        return {pass_number: np.concatenate(blocks) for pass_number, blocks in self.blocks_by_pass.items()}

    @property
    def passes(self) -> int:
        """The number of passes in which the cell was timed."""
        return len({block.pass_number for block in self.blocks})

    @property
    def samples(self) -> tuple[float, ...]:
        """All samples, in the order they were taken."""
        return tuple(seconds for block in self.blocks for seconds in block.seconds)

    @cached_property
    def summaries(self) -> dict[int, Summary]:
        """What is known of each pass's samples."""
        samples: dict[int, list[float]] = defaultdict(list)
        for block in self.blocks:
            samples[block.pass_number] += block.seconds
        return {pass_number: summary(seconds) for pass_number, seconds in samples.items()}

    @cached_property
    def typicals(self) -> dict[int, float]:
        """The typical seconds of each pass: the median of its samples."""
        return {pass_number: process.typical for pass_number, process in self.summaries.items()}

    @cached_property
    def floors(self) -> dict[int, float]:
        """The floor of each pass: the median of its blocks' floors."""
        return {pass_number: median(rounds.values()) for pass_number, rounds in self.block_floors.items()}

    @cached_property
    def block_typicals(self) -> Blocks:
        """The typical seconds of each block, by pass and round."""
        return self._by_block(typical)

    @cached_property
    def block_floors(self) -> Blocks:
        """The floor of each block, by pass and round."""
        return self._by_block(floor)

    @cached_property
    def block_errors(self) -> dict[int, float]:
        """The standard error of each pass's log time, from the medians of its blocks."""
        return {pass_number: standard_error([*rounds.values()]) for pass_number, rounds in self.block_typicals.items()}

    @property
    def busy(self) -> float:
        """How many threads were busy while the cell was sampled, processor seconds per second: the blocks' median."""
        return typical([block.cpu_per_wall for block in self.blocks]) if self.blocks else math.nan

    @property
    def peaks(self) -> list[tuple[int, int]]:
        """The pass and the peak bytes of each visit: the device's on an accelerator, else the process's."""
        on_host = self.cell.contender.device == "cpu"
        peaks = [(left.pass_number, left.host_bytes if on_host else left.device_bytes) for left in self.left]
        return [(pass_number, peak) for pass_number, peak in peaks if peak is not None]

    def of_passes(self, is_counted: Callable[[int], bool]) -> CellRecords:
        """Return the same cell with only the blocks of some passes."""
        return replace(self, blocks=[block for block in self.blocks if is_counted(block.pass_number)])

    def _by_block(self, value: Callable[[Sequence[float]], float]) -> Blocks:
        """Return a value of each block's samples, by pass and round."""
        values: dict[int, dict[int, float]] = defaultdict(dict)
        for block in self.blocks:
            values[block.pass_number][block.round] = value(block.seconds)
        return dict(values)


@dataclass(frozen=True)
class RunRecords:
    """A run's records, in the order they were made, and its plan."""

    records: Sequence[Record] = field(repr=False)
    plan: Plan = field(repr=False)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Self:
        """Return the run of a journal's records. Raises ValueError where the first record has no valid plan."""
        first = records[0]
        assert isinstance(first, RunStarted)
        return cls(records, extending.extended(from_plain(first.plan), records))

    @property
    def head(self) -> RunStarted:
        """The first record: what was asked, and of which machine."""
        first = self.records[0]
        assert isinstance(first, RunStarted)
        return first

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.head.run

    def of_kind(self, kind: type[R]) -> list[R]:
        """Return the records of one kind, in their order."""
        return self._by_kind.get(kind, [])  # type: ignore[return-value, arg-type]

    @cached_property
    def _by_kind(self) -> dict[type[Record], list[Record]]:
        kinds: dict[type[Record], list[Record]] = defaultdict(list)
        for record in self.records:
            kinds[type(record)].append(record)
        return dict(kinds)

    @property
    def is_complete(self) -> bool:
        """Whether the run finished what was planned, rather than being cut off."""
        return extending.is_complete(self.records)

    @property
    def spending(self) -> Spending:
        """How much of the error rate the run's intervals may spend: less while it may still go on."""
        if not self.plan.adaptive and self.plan.passes == self.head.plan["passes"]:
            return Spending.WHOLE  # a run that was extended after its end was looked at before
        endings = [record for record in self.records if isinstance(record, RunEnded | RunResumed)]
        return Spending.AT_END if endings and isinstance(endings[-1], RunEnded) else Spending.AT_LOOK

    @cached_property
    def cells(self) -> dict[str, CellRecords]:
        """The records of each of the plan's cells, by its key, in the plan's order."""
        return _by_cell(self.records, self.plan)


def _by_cell(records: Sequence[Record], plan: Plan) -> dict[str, CellRecords]:
    keys = {cell.key: cell for cell in plan.cells}
    blocks: dict[str, list[Block]] = {key: [] for key in keys}
    prepared: dict[str, list[Prepared]] = {key: [] for key in keys}
    left: dict[str, list[Left]] = {key: [] for key in keys}
    failed: dict[str, Failed] = {}
    changed: dict[str, list[str]] = {key: [] for key in keys}
    workers: dict[str, list[WorkerStarted]] = defaultdict(list)
    for record in records:
        match record:
            case RunResumed(changed=[_, *_]):
                for key in keys:
                    changed[key] += record.changed if blocks[key] else []
            case WorkerStarted():
                workers[record.contender].append(record)
            case Block():
                blocks[record.cell].append(record)
            case Left():
                left[record.cell].append(record)
            case Prepared():
                for key in record.cells:
                    prepared[key].append(record)
            case Failed():
                failed |= dict.fromkeys(record.cells, record)
    labels: dict[Contender, str] = {cell.contender: cell.contender.label for cell in plan.cells}
    return {
        key: CellRecords(
            cell, blocks[key], workers[labels[cell.contender]], prepared[key], left[key], failed.get(key), changed[key]
        )
        for key, cell in keys.items()
    }
