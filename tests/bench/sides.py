"""Made-up sides, and journals of runs that compared them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.measure.records import PassChosen, Record
from bench.plan.cells import Cell, Shape, Side
from bench.plan.looks import FIRST
from bench.plan.sides import BASE, HEAD, doubled
from tests.bench.made import NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells, settled

LABELS = {BASE: "9bd0a46 (origin/main)", HEAD: "this tree"}
JITTER = (1.0, 1.002, 0.998, 1.001, 0.999)
"""The deviations of a ratio by pass, repeated."""


def side(name: str, *implementations: str, **others: Any) -> Side:
    names = implementations or ("numpy", "torch")
    return Side(
        **{"name": name, "label": LABELS[name], "interpreter": "/bin/python", "source": "/tree", **others},
        implementations=names,
    )


SIDES = side(BASE), side(HEAD)


def compared(
    factor: Callable[[Cell, int], float] = lambda cell, pass_number: 1.0,
    sides: Sequence[Side] = SIDES,
    outcomes: dict[tuple[str, str], Outcome] | None = None,
    confirmed: int = 0,
    shapes: Sequence[Shape] = (SMALL,),
    gone: Callable[[Cell], bool] = lambda cell: False,
    passes: int | None = None,
    **plan: Any,
) -> list[Record]:
    """Return the journal of NumPy and PyTorch on both sides; head takes `factor(cell, pass)` times as long as base.

    `outcomes` are by side and implementation. The last `confirmed` passes were made to confirm.
    """
    single = plan_of_cells((NUMPY, TORCH), shapes, **plan)
    both = doubled(single, tuple(sides), [cell for cell in single.cells if gone(cell)])
    planned = both.passes

    def seconds(cell: Cell, pass_number: int) -> float:
        base_seconds = settled(cell, pass_number)
        is_head = cell.contender.variant == HEAD
        return base_seconds * (factor(cell, pass_number) * JITTER[(pass_number - 1) % len(JITTER)] if is_head else 1.0)

    outcome_by_cell = {
        cell: outcome
        for cell in both.cells
        for (name, implementation), outcome in (outcomes or {}).items()
        if (cell.contender.variant, cell.contender.implementation) == (name, implementation)
    }
    story = Story(both, seconds, outcome_by_cell, passes=passes or planned + confirmed)
    first, *rest = story.records()
    keys = [cell.key for cell in both.cells]
    confirming = range(planned + 1, planned + confirmed + 1)
    chosen = [PassChosen(pass_number, keys, both.rounds, True) for pass_number in confirming]
    return [first, *chosen, *rest]


def slower(implementation: str, by: float) -> Callable[[Cell, int], float]:
    """Return the factor of head where an implementation is slower in every pass."""
    return lambda cell, pass_number: 1 + by * (cell.contender.implementation == implementation)


def at_first(implementation: str, by: float) -> Callable[[Cell, int], float]:
    """Return the factor of head where an implementation is slower in the planned passes only."""
    return lambda cell, pass_number: 1 + by * (cell.contender.implementation == implementation and pass_number <= FIRST)
