"""What a run has so far, as its journal tells."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.plan.cells import without_variant

from .records import Block, Ceiling, Entered, Failed, PassChosen, Prepared, Record, RunEnded, RunResumed, WorkerStarted
from .worker.timing import SAMPLE_SECONDS

TOO_SHORT = 0.5
"""Of what a sample is to take at least, from which `inner` is chosen again."""


@dataclass
class State:
    """All that is needed to go on."""

    blocks: dict[tuple[int, str], int] = field(default_factory=lambda: defaultdict(int))
    """Done, by pass and cell key."""
    calibrated: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(inner, samples) by cell key, the same for all variants: what differs must not be how they are sampled."""
    entered: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Cell keys as in `calibrated`, by pass: one variant chooses for all."""
    quickest: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    """Seconds of the quickest sample, by cell key as in `calibrated` and by pass."""
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

    def chosen_for(self, key: str, pass_number: int) -> tuple[int, int] | None:
        """(inner, samples) of a cell in a pass; None where they are to be chosen, for the first time or again: what was
        chosen while other processes had the processors makes samples far too short for all passes after it."""
        name = without_variant(key)
        earlier = [seconds for number, seconds in self.quickest[name].items() if number < pass_number]
        begun = name in self.entered[pass_number] or pass_number in self.quickest[name]
        if earlier and not begun and earlier[-1] < TOO_SHORT * SAMPLE_SECONDS:
            return None
        return self.calibrated.get(name)

    def take(self, record: Record) -> None:
        if not isinstance(record, RunEnded):
            self.seconds += getattr(record, "wall_seconds", 0.0)
        match record:
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
            case Ceiling():
                self.without_ceilings.add(record.contender)
            case Failed():
                self.failed.update(dict.fromkeys(record.cells, record))
