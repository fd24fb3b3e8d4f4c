"""Which cells may share a ratio, a rank, a break-even or a crossover: decided here alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from bench.plan.cells import Shape


@dataclass(frozen=True)
class Terms:
    """What a time depends on besides its implementation."""

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
    """The side of a comparison, or by how much the contender was slowed on purpose."""

    @property
    def on_host(self) -> bool:
        """Whether it is a time of the processor rather than of an accelerator."""
        return self.device == "cpu"

    @property
    def likeness(self) -> tuple[object, ...]:
        """What comparable cells have in common, wherever they run."""
        return self.dtype, self.precision, self.shape, self.phase, self.variant

    @property
    def is_comparable(self) -> bool:
        """Whether there can be any cell to compare it with: on the host, its thread limit held."""
        return not self.on_host or self.threads == self.thread_limit


def are_comparable(first: Terms, second: Terms) -> bool:
    """Whether two cells may share a ratio, a rank, a break-even or a crossover.

    They agree in dtype, precision, shape, phase and variant and, where both ran on the host, in threads. A cell that
    exceeded its thread limit on the host is comparable to none.
    """
    if not (first.is_comparable and second.is_comparable) or first.likeness != second.likeness:
        return False
    return not (first.on_host and second.on_host) or first.threads == second.threads


C = TypeVar("C")


def baseline_of(terms: Terms, baselines: Iterable[tuple[Terms, C]]) -> C | None:
    """The first of some baselines that a cell is comparable to, one on its own device before others; or None."""
    alike = [(base, cell) for base, cell in baselines if are_comparable(terms, base)]
    own_device = [cell for base, cell in alike if base.device == terms.device]
    return next(iter([*own_device, *(cell for _, cell in alike if not terms.on_host)]), None)
