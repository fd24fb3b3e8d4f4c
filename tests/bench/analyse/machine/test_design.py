"""Tests of the design of a run, from journals with known variances and costs."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.machine import design
from bench.analyse.machine.design import Components, Cost
from bench.analyse.run.recorded import CellRecords
from bench.analyse.run.run import Run
from bench.measure.records import Block
from bench.plan import looks
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells

PLAN = plan_of_cells((NUMPY, TORCH), rounds=8)
variances, seconds = st.floats(0, 0.1), st.floats(1e-4, 1.0)


def pair(process: float, in_round: float, sample: float, passes: int, rounds: int, samples: int):
    """Return the records of two cells whose logs have these standard deviations, half of the variance each."""
    draw = np.random.default_rng(2)

    def side(cell) -> CellRecords:
        blocks = []
        for pass_number in range(1, passes + 1):
            of_process = draw.normal(0, process)
            for number in range(1, rounds + 1):
                logs = of_process + draw.normal(0, in_round) + draw.normal(0, sample, samples)
                logs = -7 + logs / sqrt(2)
                blocks.append(Block(1, pass_number, number, 1, cell.key, 1, np.exp(logs).tolist(), 1.0, 0.0, 1.0))
        return CellRecords(cell, blocks)

    return tuple(map(side, PLAN.cells))


@pytest.mark.parametrize("deviations", [(0.02, 0.05, 0.1), (0.0, 0.05, 0.0), (0.05, 0.0, 0.1), (0.0, 0.0, 0.05)])
def test_components_are_those_of_the_data(deviations):
    found = design.components([pair(*deviations, passes=200, rounds=25, samples=25)])
    process, in_round, sample = deviations
    assert sqrt(found.process) == pytest.approx(process, rel=0.15, abs=0.006)
    efficiency = sqrt(np.pi / 2)  # of medians
    assert sqrt(found.round) == pytest.approx(efficiency * in_round, rel=0.1, abs=0.015)
    assert sqrt(found.sample) == pytest.approx(efficiency**2 * sample, rel=0.1, abs=0.001)


def test_components_need_two_passes_of_two_rounds():
    for passes, rounds in ((1, 4), (4, 1)):
        with pytest.raises(ValueError, match="no two of its cells that can be compared have two passes of two rounds"):
            design.components([pair(0.1, 0.1, 0.1, passes, rounds, 3)])
    assert design.components([pair(0.1, 0.1, 0.1, 2, 2, 1)]).sample == 0, (
        "one sample a block shows no variance of its own"
    )


@given(
    st.builds(Components, variances, variances, variances),
    st.builds(Cost, seconds, seconds, seconds),
    st.integers(1, 20),
)
def test_designs_fit_their_time_and_the_best_is_not_improved_by_less(components, cost, passes):
    total = passes * cost.seconds(5, 12)
    designs = design.designs(components, cost, total)
    for each in designs:
        assert each.passes >= looks.FIRST
        assert each.passes * cost.seconds(each.rounds, each.samples) <= total * (1 + 1e-9)
        assert each.half_width >= 0
        more_passes = design.design(components, each.passes + 1, each.rounds, each.samples)
        assert more_passes.half_width <= each.half_width


def test_the_best_design_is_that_of_the_formula():
    """The optimum of nested sampling without bounds is at samples² = sample / round · block cost / sample cost."""
    components, cost = Components(1e-4, 4e-4, 36e-4), Cost(0.5, 0.016, 0.004)
    designs = design.designs(components, cost, 1000.0)
    best = min(designs, key=lambda each: each.half_width)
    assert best.samples == 6 == round(sqrt(9 * 4))
    per_round = (components.round + components.sample / 6) * cost.process / (cost.block + 6 * cost.sample)
    assert best.rounds == pytest.approx(sqrt(per_round / components.process), rel=0.2)


def test_choice_has_the_costs_of_the_later_passes():
    made = Story(PLAN).records()
    dear = [
        replace(each, wall_seconds=9.0) if isinstance(each, Block) and each.pass_number == 1 else each for each in made
    ]
    [choice] = design.choices(Run.of(dear))
    [block, *_] = [each for each in made if isinstance(each, Block)]
    timed = np.mean(
        [each.inner * sum(each.seconds) for each in dear if isinstance(each, Block) and each.pass_number > 1]
    )
    assert choice.cost.process == pytest.approx(0.5 + 0.0625 + 0.03125), "the start, the preparation, the warm-up"
    assert choice.cost.block == pytest.approx(block.wall_seconds - timed)
    assert choice.cost.sample == pytest.approx(timed / 5)
    assert (choice.threads, choice.used.passes, choice.used.rounds, choice.used.samples) == (2, 5, 8, 5)
    assert choice.best.half_width == min(each.half_width for each in [choice.used, *choice.designs])


def test_the_best_is_the_one_used_where_nothing_else_fits():
    used = design.design(Components(0.0, 0.01, 0.0), 5, 7, 30)
    assert design.Choice(1, Components(0.0, 0.01, 0.0), Cost(1.0, 1.0, 1.0), 1.0, used, []).best == used


def test_run_without_a_comparison_is_refused():
    with pytest.raises(ValueError, match="has no cell that was compared with a baseline"):
        design.choices(Story(plan_of_cells((NUMPY,))).run())
