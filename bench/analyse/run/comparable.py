"""Which cells may share a ratio, a rank, a break-even or a crossover."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from bench.plan.cells import Shape


@dataclass(frozen=True)
class Terms:
    """What a time depends on besides the implementation."""

    device: str
    dtype: str
    precision: str
    thread_limit: int
    threads: int
    """Host threads in force."""
    shape: Shape | None = None
    """None where contenders are compared over many sizes."""
    phase: str = ""
    variant: str = ""
    """The side of a comparison, or the slowdown of a contender that was slowed on purpose."""

    @property
    def on_host(self) -> bool:
        """Whether the time is of the processor rather than of an accelerator."""
        return self.device == "cpu"

    @property
    def likeness(self) -> tuple[object, ...]:
        """What comparable cells agree in on any device; host threads are compared apart."""
        return self.dtype, self.precision, self.shape, self.phase, self.variant

    @property
    def kept_to_limit(self) -> bool:
        """Whether the cell kept to its thread limit, if it ran on the host; else it is compared with none."""
        return not self.on_host or self.threads == self.thread_limit


def are_comparable(first: Terms, second: Terms) -> bool:
    """Return whether two cells may share a ratio, a rank, a break-even or a crossover.

    They may if they agree in dtype, precision, shape, phase and variant and, where both ran on the host, in threads. A
    cell that exceeded its thread limit on the host is comparable to none.
    """
    if not (first.kept_to_limit and second.kept_to_limit) or first.likeness != second.likeness:
        return False
    return not (first.on_host and second.on_host) or first.threads == second.threads


C = TypeVar("C")


def baseline_of(terms: Terms, baselines: Iterable[tuple[Terms, C]]) -> C | None:
    """Return the first baseline that a cell is comparable to, or None: one on its own device, and for a cell on an
    accelerator, where there is none, one on the host."""
    alike = [(base, cell) for base, cell in baselines if are_comparable(terms, base)]
    own_device = [cell for base, cell in alike if base.device == terms.device]
    return next(iter([*own_device, *(cell for _, cell in alike if not terms.on_host)]), None)
