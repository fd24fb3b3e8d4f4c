"""How a run spends its time best, as text: a table for each thread limit."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from tabulate import tabulate

from bench.analyse.machine.design import ROUNDS, SAMPLES, Choice, Design
from bench.plan.units import NONE, duration, short_percent


def text(choices: Sequence[Choice]) -> str:
    """What the cells of each thread limit vary by and cost, and the intervals of other designs in the same time."""
    return "\n\n".join(map(_choice, choices))


def _choice(choice: Choice) -> str:
    threads = "1 thread" if choice.threads == 1 else f"{choice.threads} threads"
    components, cost = choice.components, choice.cost
    levels = (components.process, components.round, components.sample)
    deviations = [short_percent(sqrt(variance)) for variance in levels]
    lines = [
        f"{threads}: {_design(choice.used)}, {duration(choice.seconds)} a cell.",
        f"The ratio of two cells varies by {deviations[0]} from process to process, {deviations[1]} from round to "
        f"round and {deviations[2]} from sample to sample (standard deviations of medians).",
        f"A cell takes {duration(cost.process)} in each pass, {duration(cost.block)} in each block beside its samples, "
        f"and {duration(cost.sample)} a sample.",
        f"The narrowest interval in the same time: {_design(choice.best)}.",
        "Half the width of the interval of a ratio, and the passes that fit, by rounds and samples in a block:",
    ]
    by_size = {(design.rounds, design.samples): design for design in choice.designs}
    rows = [[rounds, *(_entry(by_size.get((rounds, samples))) for samples in SAMPLES)] for rounds in ROUNDS]
    table = tabulate(
        rows, ["rounds", *SAMPLES], "simple", colalign=["right"] * (1 + len(SAMPLES)), disable_numparse=True
    )
    return "\n".join(lines) + f"\n\n{table}"


def _design(design: Design) -> str:
    return (
        f"{design.passes} passes × {design.rounds} rounds × {design.samples} samples give ± "
        f"{short_percent(design.half_width)}"
    )


def _entry(design: Design | None) -> str:
    return f"{short_percent(design.half_width)} ({design.passes})" if design else NONE
