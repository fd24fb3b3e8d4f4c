import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.run import warmup
from bench.analyse.run.run import Run
from bench.analyse.run.warmup import KINDS, advice, classes, classify, of_cell, of_processes
from tests.bench.made import NUMPY, Story, plan_of_cells, steady

PROCESSES = 100
PLANS = [(4, 15), (14, 6)]
"""The number of blocks of a process, and of samples in a block."""
JUMPS = {
    "none": lambda draw, blocks: np.zeros(blocks),
    "gaussian": lambda draw, blocks: draw.normal(0, 0.1, blocks),
    "of two levels": lambda draw, blocks: draw.choice([0.0, 0.3], blocks),
    "rare": lambda draw, blocks: draw.choice([0.0, 0.0, 0.0, 0.0, 0.3], blocks),
}
"""The jumps of the blocks' logs, which come from their place in memory."""


def process(draw, plan, course=lambda progress, within: 0.0, jumps="none", noise=0.02):
    """Return a process's blocks, with autocorrelated noise, 5 % outliers, a level for each block, and a course.

    `course` is a function of a sample's progress through the process and within its block, both from 0 to 1."""
    blocks, samples = plan
    logs = draw.normal(0, 1, (blocks, samples))
    for index in range(1, samples):
        logs[:, index] = 0.2 * logs[:, index - 1] + math.sqrt(1 - 0.2**2) * logs[:, index]
    logs = noise * logs + np.where(draw.random(plan) < 0.05, draw.exponential(0.2, plan), 0)
    logs += JUMPS[jumps](draw, blocks)[:, None]
    progress = np.linspace(0, 1, blocks * samples).reshape(plan)
    return [*np.exp(logs + course(progress, np.linspace(0, 1, samples)))]


def rate(kinds, *args, **others) -> float:
    draw = np.random.default_rng(20260102)
    counts = Counter(classify(process(draw, *args, **others)) for _ in range(PROCESSES))
    return sum(counts[kind] for kind in kinds) / PROCESSES


@pytest.mark.parametrize("jumps", JUMPS)
@pytest.mark.parametrize("plan", PLANS)
def test_steady_process_is_flat_despite_jumps(plan, jumps):
    assert rate(["slowing", "no steady state"], plan, jumps=jumps) < 0.05
    assert rate(["flat"], plan, jumps=jumps) > 0.92


@pytest.mark.parametrize("plan", PLANS)
def test_10_percent_drift_is_found(plan):
    assert rate(["slowing"], plan, lambda progress, within: 0.1 * progress) > 0.6
    assert rate(["warming"], plan, lambda progress, within: -0.1 * progress) > 0.6


@pytest.mark.parametrize("plan", PLANS)
def test_process_that_settles_is_warming(plan):
    assert rate(["warming"], plan, lambda progress, within: 0.1 * (progress < 1 / 3)) > 0.6


@pytest.mark.parametrize("jumps", JUMPS)
@pytest.mark.parametrize("plan", PLANS)
def test_blocks_that_settle_are_warming_despite_jumps(plan, jumps):
    assert rate(["warming"], plan, lambda progress, within: 0.1 * (within < 1 / 3), jumps=jumps) > 0.6


@pytest.mark.parametrize("jumps", JUMPS)
@pytest.mark.parametrize("plan", PLANS)
def test_blocks_that_slow_are_slowing_despite_jumps(plan, jumps):
    assert rate(["slowing"], plan, lambda progress, within: 0.1 * within, jumps=jumps) > 0.6


def test_temporarily_slow_process_has_no_steady_state():
    def hump(progress, within):
        return 0.2 * ((progress > 0.3) & (progress < 0.6))

    assert rate(["no steady state"], (14, 6), hump) > 0.6


def test_process_without_noise_is_classified():
    assert classify([[1.0] * 5] * 8) == "flat"
    assert classify([[1.0, 1.0, 1.1, 1.1, 1.1, 1.1]] * 8) == "slowing"


@pytest.mark.parametrize("blocks", [[], [[]], [[1.0]], [[1.0], [2.0]], [[1.0, 2.0]], [[1.0], [], [3.0]]])
def test_too_few_samples_are_flat(blocks):
    assert classify(blocks) == "flat"


def test_blocks_of_one_sample_are_classified():
    draw = np.random.default_rng(1)
    assert classify([[value] for value in np.exp(draw.normal(0, 0.02, 14))]) == "flat"


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_invalid_samples_are_refused(bad):
    with pytest.raises(ValueError, match="positive, finite samples"):
        classify([[1.0, bad]])


@steady
@given(st.lists(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=6), max_size=6))
def test_any_samples_have_a_class(blocks):
    assert classify(blocks) in KINDS


@steady
@given(st.lists(st.lists(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=4), max_size=4), max_size=6))
def test_processes_have_the_classes_that_each_has_alone(processes):
    assert classes(processes) == [classify(blocks) for blocks in processes]


def test_many_processes_have_the_classes_that_each_has_alone():
    draw = np.random.default_rng(3)
    processes = [
        process(draw, plan, jumps=jumps, noise=noise) for plan in PLANS for jumps in JUMPS for noise in (0, 0.02)
    ]
    assert classes(processes) == [classify(blocks) for blocks in processes]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], "flat"),
        (["flat"], "flat"),
        (["flat", "slowing", "flat"], "flat"),
        (["flat", "slowing"], "slowing"),
        (["warming", "slowing"], "slowing"),
        (["slowing", "no steady state", "slowing"], "slowing"),
        (["no steady state", "slowing", "warming", "flat"], "no steady state"),
    ],
)
def test_cell_has_the_most_frequent_or_else_the_worse_class(kinds, expected):
    assert of_cell(kinds) == expected


def test_processes_are_classified_by_pass():
    cell_records = next(iter(Run.of(Story(plan_of_cells((NUMPY,), samples=5)).records()).cells.values()))
    assert list(of_processes(cell_records)) == [1, 2, 3, 4, 5]
    assert set(of_processes(cell_records).values()) <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_has_one_line_of_advice(kind):
    assert "\n" not in advice(kind)
    assert set(warmup.ADVICE) == set(KINDS)


def test_unknown_class_has_no_advice():
    with pytest.raises(
        ValueError, match="'hot' is no class of warm-up; they are flat, warming, slowing, no steady state"
    ):
        advice("hot")
