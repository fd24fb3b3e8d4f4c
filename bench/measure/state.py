"""What a run has so far, as its journal tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.plan.cells import without_variant

from .records import Block, Ceiling, Entered, Failed, PassChosen, Prepared, Record, RunEnded, WorkerStarted


@dataclass
class State:
    """All that is needed to go on."""

    blocks: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    """Done, by pass and cell key."""
    calibrated: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(inner, samples) by cell key, the same for all variants: what differs must not be how they are sampled."""
    failed: dict[str, Failed] = field(default_factory=dict)
    """By cell key."""
    verified: set[str] = field(default_factory=set)
    """Cell keys. Seeds are fixed: what was right once is right in every pass."""
    chosen: dict[int, PassChosen] = field(default_factory=dict)
    """By pass."""
    ceilings: set[tuple[int, str]] = field(default_factory=set)
    """Measured, by pass and contender label."""
    without_ceilings: set[str] = field(default_factory=set)
    """Labels of contenders that could not measure any."""
    processes: int = 0
    seconds: float = 0.0
    """That its requests have taken."""

    @classmethod
    def of(cls, records: Iterable[Record]) -> State:
        state = cls()
        for record in records:
            state.take(record)
        return state

    def take(self, record: Record) -> None:
        if not isinstance(record, RunEnded):
            self.seconds += getattr(record, "wall_seconds", 0.0)
        match record:
            case WorkerStarted():
                self.processes = max(self.processes, record.number)
            case Entered():
                self.calibrated[without_variant(record.cell)] = (record.inner, record.samples)
            case Block():
                self.blocks[record.passage, record.cell] += 1
            case Prepared():
                self.verified.update(record.cells)
            case PassChosen():
                self.chosen[record.passage] = record
            case Ceiling(reason=""):
                self.ceilings.add((record.passage, record.contender))
            case Ceiling():
                self.without_ceilings.add(record.contender)
            case Failed():
                self.failed.update(dict.fromkeys(record.cells, record))
