"""What a run has measured so far, by its journal."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.plan.cells import without_variant

from .records import (
    Block,
    Calls,
    Ceiling,
    Entered,
    Failed,
    PassChosen,
    Prepared,
    Record,
    RunEnded,
    RunResumed,
    WorkerStarted,
)
from .worker.timing import SAMPLE_SECONDS

TOO_SHORT = 0.5
"""The share of a sample's least duration below which `inner` is chosen again."""


@dataclass
class State:
    """All that is needed to resume a run."""

    blocks: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    """The number of blocks that are done, by pass and cell key."""
    calibrated: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(inner, samples) by cell key, the same for all variants, which must not differ in how they are sampled."""
    entered: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The cell keys, as in `calibrated`, by pass: one variant chooses for all."""
    quickest: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    """The seconds of the quickest sample, by cell key, as in `calibrated`, and by pass."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """The failures, by cell key."""
    verified: set[str] = field(default_factory=set)
    """The keys of verified cells. Seeds are fixed: what was right once is right in every pass."""
    chosen: dict[int, PassChosen] = field(default_factory=dict)
    """The choices of a schedule, by pass."""
    ceilings: set[tuple[int, str]] = field(default_factory=set)
    """The pass and contender label of each measured ceiling."""
    calls: set[tuple[int, str]] = field(default_factory=set)
    """The pass and label of each contender whose calls were measured."""
    without_ceilings: set[str] = field(default_factory=set)
    """Labels of contenders that could not measure a ceiling."""
    processes: int = 0
    seconds: float = 0.0
    """The time that the run's requests have taken."""
    finished: int = 0
    """The passes that the run had when it was last complete: a run that is extended visits none of them again."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> State:
        state = cls()
        for record in records:
            state.take(record)
        return state

    def chosen_for(self, key: str, pass_number: int) -> tuple[int, int] | None:
        """Return (inner, samples) of a cell in a pass; None where they are to be chosen, for the first time or again:
        a choice made while other processes had the processors makes samples far too short in all later passes."""
        name = without_variant(key)
        quickest_before = [seconds for number, seconds in self.quickest[name].items() if number < pass_number]
        begun = name in self.entered[pass_number] or pass_number in self.quickest[name]
        if quickest_before and not begun and quickest_before[-1] < TOO_SHORT * SAMPLE_SECONDS:
            return None
        return self.calibrated.get(name)

    def take(self, record: Record) -> None:
        if not isinstance(record, RunEnded):
            self.seconds += getattr(record, "wall_seconds", 0.0)
        match record:
            case RunEnded(complete=True):
                self.finished = max((pass_number for pass_number, _ in self.blocks), default=0)
            case RunResumed(changed=[_, *_]):
                self.verified.clear()
            case WorkerStarted():
                self.processes = max(self.processes, record.number)
            case Entered():
                self.calibrated[without_variant(record.cell)] = (record.inner, record.samples)
                self.entered[record.pass_number].add(without_variant(record.cell))
            case Block():
                self.blocks[record.pass_number, record.cell] += 1
                by_pass, shortest = (
                    self.quickest[without_variant(record.cell)],
                    min(record.seconds, default=math.inf) * record.inner,
                )
                by_pass[record.pass_number] = min(shortest, by_pass.get(record.pass_number, shortest))
            case Prepared():
                self.verified.update(record.cells)
            case PassChosen():
                self.chosen[record.pass_number] = record
            case Ceiling(reason=""):
                self.ceilings.add((record.pass_number, record.contender))
            case Calls():
                self.calls.add((record.pass_number, record.contender))
            case Ceiling():
                self.without_ceilings.add(record.contender)
            case Failed():
                self.failed.update(dict.fromkeys(record.cells, record))
