"""Whether a calibration would resolve more if its disturbed rounds were set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.analyse.estimates.statistics import estimate, floor, typical, verdicts
from bench.analyse.run.disturbance import disturbed_rounds
from bench.analyse.run.recorded import RunRecords
from bench.analyse.run.resolution import smallest_found
from bench.measure.calibrate import REFERENCE, VARIANTS
from bench.measure.records import Block

SETS = 200
"""The number of random sets of passes, each of which stands for a trial."""
MOST_SHARE = 0.5
"""The largest share of a pass's rounds that is set aside: fewer samples cost precision too."""
Pair = tuple[Block, Block]
"""The blocks of both sides in one round."""
Pass = tuple[list[Pair], list[Pair]]
"""All rounds of a pass, and the rounds that are kept."""


Quantity = Callable[[Sequence[float]], float]
"""Returns a value of a block's samples."""
QUANTITIES: dict[str, Quantity] = {"floor": floor, "typical": typical}


def trial(run: RunRecords, seed: int = 0) -> list[dict[str, Any]]:
    """Return, for each thread limit of a calibration in turns, the share of rounds that are set aside, and for floors
    and typical times the noise of a pass and what is found, from all rounds and from those that are kept.

    A round is set aside on both sides of a ratio if either was disturbed in it, the most disturbed rounds first, and no
    more than half of a pass's rounds. Both ways have the same passes.
    """
    plan = run.plan
    contenders = {records.cell.contender: records.blocks for records in run.cells.values()}
    results = []
    for threads in dict.fromkeys(plan.threads(contender) for contender in contenders):
        variants = {each.variant: blocks for each, blocks in contenders.items() if plan.threads(each) == threads}
        reference = variants.pop(REFERENCE)
        pairs = {VARIANTS[variant]: _pairs(reference, blocks, plan.rounds) for variant, blocks in variants.items()}
        offered = sum(len(all_rounds) for passes in pairs.values() for all_rounds, _ in passes)
        kept = sum(len(kept_rounds) for passes in pairs.values() for _, kept_rounds in passes)
        results.append(
            {
                "threads": threads,
                "set_aside": 1 - kept / offered if offered else 0.0,
                "passes": min((len(passes) for passes in pairs.values()), default=0),
                **{name: _compared(pairs, quantity, plan.passes, seed) for name, quantity in QUANTITIES.items()},
            }
        )
    return results


def _pairs(reference: Sequence[Block], slowed: Sequence[Block], rounds: int) -> list[Pass]:
    """Return the pairs of each complete pass, in the order of its rounds."""
    disturbed = disturbed_rounds(reference, slowed)
    bases, others = ({(block.pass_number, block.round): block for block in side} for side in (reference, slowed))
    passes: dict[int, list[tuple[int, int]]] = {}
    for key in sorted(bases.keys() & others.keys()):
        passes.setdefault(key[0], []).append(key)
    pairs = []
    for keys in passes.values():
        if len(keys) == rounds:
            worst_first = sorted(disturbed.keys() & set(keys), key=lambda key: (-disturbed[key], key))
            aside = worst_first[: int(MOST_SHARE * rounds)]
            all_rounds = [(key, (bases[key], others[key])) for key in keys]
            pairs.append(([pair for _, pair in all_rounds], [pair for key, pair in all_rounds if key not in aside]))
    return pairs


def _compared(
    pairs: Mapping[float, Sequence[Pass]],
    quantity: Quantity,
    passes: int,
    seed: int,
) -> dict[str, Any]:
    """Return the results of `all` rounds and of the `kept` ones."""
    return {
        name: _judged(
            {
                slowdown: np.array([_log(pass_pair[index], quantity) for pass_pair in pass_pairs])
                for slowdown, pass_pairs in pairs.items()
            },
            passes,
            seed,
        )
        for index, name in enumerate(("all", "kept"))
    }


def _log(pairs: Sequence[Pair], quantity: Quantity) -> float:
    """Return the median over the rounds of the log ratio of a quantity."""
    return float(
        np.median([np.log(quantity(slowed.seconds) / quantity(reference.seconds)) for reference, slowed in pairs])
    )


def _judged(logs: Mapping[float, np.ndarray], passes: int, seed: int) -> dict[str, Any]:
    """Return the noise of a pass (standard deviation of the log ratio), how often each slowdown is found, and the
    resolution; the latter two are None where there are too few passes for one trial."""
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
    """Return how often random sets of passes show the slowdown, or, where it is 0, any change."""
    draw = np.random.default_rng(seed)
    wanted = ("slower",) if slowdown else ("slower", "faster")
    judged = [verdicts([estimate(np.exp(-draw.permutation(logs)[:passes]))])[0] for _ in range(SETS)]
    return float(np.mean([verdict in wanted for verdict in judged]))
