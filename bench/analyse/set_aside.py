"""What it buys to set disturbed rounds aside, tried on a calibration's own samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.measure.calibrate import REFERENCE, VARIANTS
from bench.measure.records import Block, Record
from bench.measure.session import plan_of

from . import tables
from .disturbance import disturbed_rounds
from .resolution import smallest_found
from .statistics import estimate, floor, typical, verdicts

SETS = 200
"""Random sets of passes that stand for trials."""
LEAST_SHARE = 0.5
"""Of a pass's rounds, what must be left for the pass to count, with and without the others."""
Rounds = Mapping[int, Block]
"""The blocks of one contender in one pass, by round."""


def _log_floors(reference: Sequence[Block], slowed: Sequence[Block]) -> float:
    """Log ratio of the floors of each side's samples."""
    floors = [floor(np.concatenate([block.seconds for block in blocks])) for blocks in (reference, slowed)]
    return float(np.log(floors[1] / floors[0]))


def _log_typical(reference: Sequence[Block], slowed: Sequence[Block]) -> float:
    """Median over the rounds of the log ratio of block medians."""
    pairs = zip(reference, slowed, strict=True)
    return float(np.median([np.log(typical(np.array(b.seconds)) / typical(np.array(a.seconds))) for a, b in pairs]))


QUANTITIES: dict[str, Callable[[Sequence[Block], Sequence[Block]], float]] = {
    "floor": _log_floors,
    "typical": _log_typical,
}


def trial(records: Sequence[Record], seed: int = 0) -> list[dict[str, Any]]:
    """For each thread limit of a calibration in turns: the share of rounds that are set aside, and for floors and
    typical times the noise of a pass and what is found, from all rounds and from those that are kept.

    A round is set aside on both sides of a ratio if either was disturbed in it. Both ways have the same passes.
    """
    plan = plan_of(tables.started(records))
    contenders = {held.cell.contender: held.blocks for held in tables.by_cell(records).values()}
    results = []
    for threads in dict.fromkeys(plan.threads(contender) for contender in contenders):
        here = {each.variant: blocks for each, blocks in contenders.items() if plan.threads(each) == threads}
        reference = here.pop(REFERENCE)
        pairs = {VARIANTS[variant]: _pairs(reference, blocks, plan.rounds) for variant, blocks in here.items()}
        offered = sum(len(both) for passes in pairs.values() for both, _ in passes)
        kept = sum(len(rest) for passes in pairs.values() for _, rest in passes)
        usable = {
            slowdown: [(both, rest) for both, rest in passes if len(rest) >= LEAST_SHARE * plan.rounds]
            for slowdown, passes in pairs.items()
        }
        results.append(
            {
                "threads": threads,
                "set_aside": 1 - kept / offered if offered else 0.0,
                "passes": min((len(passes) for passes in usable.values()), default=0),
                "passes_measured": max((len(passes) for passes in pairs.values()), default=0),
                **{name: _compared(usable, log, plan.passes, seed) for name, log in QUANTITIES.items()},
            }
        )
    return results


Pair = tuple[Block, Block]


def _pairs(reference: Sequence[Block], slowed: Sequence[Block], rounds: int) -> list[tuple[list[Pair], list[Pair]]]:
    """Of each whole pass: the pairs of blocks of a round, all of them and those that were not disturbed."""
    aside = disturbed_rounds(reference, slowed)
    ours, theirs = ({(block.passage, block.round): block for block in blocks} for blocks in (reference, slowed))
    passes: dict[int, list[tuple[int, int]]] = {}
    for place in sorted(ours.keys() & theirs.keys()):
        passes.setdefault(place[0], []).append(place)
    return [
        (
            [(ours[place], theirs[place]) for place in places],
            [(ours[place], theirs[place]) for place in places if place not in aside],
        )
        for places in passes.values()
        if len(places) == rounds
    ]


def _compared(
    pairs: Mapping[float, Sequence[tuple[list[Pair], list[Pair]]]],
    log: Callable[[Sequence[Block], Sequence[Block]], float],
    passes: int,
    seed: int,
) -> dict[str, Any]:
    """`all` rounds and the `kept` ones."""
    return {
        name: _judged(
            {
                slowdown: np.array([log(*zip(*each[which], strict=True)) for each in told])
                for slowdown, told in pairs.items()
            },
            passes,
            seed,
        )
        for which, name in enumerate(("all", "kept"))
    }


def _judged(logs: Mapping[float, np.ndarray], passes: int, seed: int) -> dict[str, Any]:
    """The noise of a pass (standard deviation of the log ratio), how often each slowdown is found, and what is
    resolved; the latter two None where there are too few passes for one trial."""
    noise = [float(np.std(each, ddof=1)) for each in logs.values() if len(each) > 1]
    enough = all(len(each) >= passes for each in logs.values())
    detected = (
        [(slowdown, _detected(each, slowdown, passes, seed)) for slowdown, each in logs.items()] if enough else []
    )
    return {
        "noise": float(np.median(noise)) if noise else None,
        "detected": [{"slowdown": slowdown, "detected": rate} for slowdown, rate in detected] or None,
        "resolution": smallest_found(detected) if detected else None,
    }


def _detected(logs: np.ndarray, slowdown: float, passes: int, seed: int) -> float:
    """How often random sets of passes show the slowdown; of none, how often they show any change."""
    draw = np.random.default_rng(seed)
    wanted = ("slower",) if slowdown else ("slower", "faster")
    judged = [verdicts([estimate(np.exp(-draw.permutation(logs)[:passes]))])[0] for _ in range(SETS)]
    return float(np.mean([verdict in wanted for verdict in judged]))
