"""Cells of a run that tell of each other's noise: simulated runs of which the truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.analyse.estimates.pooling import FEWEST_CELLS, independent, pooled, usual
from bench.analyse.estimates.statistics import UNKNOWN, Estimate, estimate, unpaired, verdicts
from tests.bench.made import steady

RUNS = 100
PASSES, CELLS, SPREAD, SLOWER = 5, 40, 0.01, 0.05
Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def alike(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return SPREAD * draw.normal(size=size)


def of_many_sizes(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Cells of which some are three times as noisy as others."""
    return alike(draw, size) * np.exp(0.5 * draw.normal(size=(size[0], 1)))


def heavy_tailed(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return SPREAD * draw.standard_t(3, size) / math.sqrt(3)


def with_bad_passes(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return alike(draw, size) + 0.3 * (draw.random(size) < 0.01)


def in_common(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Half of the variance is a pass's, whatever the cell."""
    return (alike(draw, size) + SPREAD * draw.normal(size=(1, size[1]))) / math.sqrt(2)


NOISES = [alike, of_many_sizes, heavy_tailed, with_bad_passes, in_common]


@cache
def simulated(noise: Noise, cells: int = CELLS, passes: int = PASSES) -> list[list[Estimate]]:
    """Runs of which the first cell is slower, and the others are as fast as what they are compared with."""
    draw = np.random.default_rng(20260103)
    runs = []
    for _ in range(RUNS):
        logs = noise(draw, (cells, passes))
        logs[0] -= math.log1p(SLOWER)
        runs.append([estimate(np.exp(row)) for row in logs])
    return runs


def found(runs: list[list[Estimate]]) -> float:
    return float(np.mean([verdicts(run)[0] == "slower" for run in runs]))


@pytest.mark.parametrize("noise", NOISES)
def test_intervals_have_the_truth_in_92_to_98_of_100_cells(noise):
    told = [one for run in simulated(noise) for one in pooled(run)[1:]]
    assert 0.92 <= np.mean([one.low <= 1.0 <= one.high for one in told]) <= 0.98


@pytest.mark.parametrize("cells", [10, CELLS])
@pytest.mark.parametrize("noise", NOISES)
def test_in_less_than_1_of_100_cells_a_difference_is_seen_that_is_not_there(noise, cells):
    told = [verdict for run in simulated(noise, cells) for verdict in verdicts(pooled(run))[1:]]
    assert np.mean([verdict in ("faster", "slower") for verdict in told]) <= 0.001


@pytest.mark.parametrize(("cells", "alone"), [(10, 0.8), (40, 0.5), (100, 0.4)])
def test_a_lone_slowdown_among_many_cells_is_found_by_what_the_others_tell_of_the_noise(cells, alone):
    runs = simulated(alike, cells)
    assert found([pooled(run) for run in runs]) >= 0.95
    assert found(runs) <= alone


@pytest.mark.parametrize(("noise", "rate"), [(heavy_tailed, 0.88), (with_bad_passes, 0.88), (in_common, 0.8)])
def test_it_is_found_in_noise_that_is_worse(noise, rate):
    assert found([pooled(run) for run in simulated(noise)]) >= rate


def test_of_many_sizes_of_noise_each_is_told_apart():
    draw = np.random.default_rng(1)
    quiet = [estimate(np.exp(row)) for row in 0.001 * draw.normal(size=(20, 8))]
    noisy = [estimate(np.exp(row)) for row in 0.1 * draw.normal(size=(20, 8))]
    told = pooled([*quiet, *noisy])
    assert max(one.half_width for one in told[:20]) < 0.01
    assert min(one.half_width for one in told[20:]) > 0.015


def test_a_cell_that_was_disturbed_stays_uncertain_and_leaves_the_others_as_sure_as_they_are():
    draw = np.random.default_rng(2)
    calm = [estimate(np.exp(row)) for row in 0.01 * draw.normal(size=(19, 5))]
    wild = estimate([1.0, 1.0, 1.0, 1.0, 3.0])
    with_it, without = pooled([*calm, wild]), pooled(calm)
    assert with_it[-1].half_width == pytest.approx(wild.half_width, rel=0.05)
    assert verdicts(with_it)[-1] == "unclear"
    widths = [one.half_width / other.half_width for one, other in zip(with_it, without, strict=False)]
    assert 0.9 < np.median(widths) < 1.1


def test_cells_of_one_noise_are_as_sure_as_if_it_were_known():
    draw = np.random.default_rng(3)
    told = pooled([estimate(np.exp(row)) for row in 0.01 * draw.normal(size=(200, 4))])
    known = math.expm1(stats.norm.ppf(0.975) * 0.01 / math.sqrt(4))
    assert np.median([one.half_width for one in told]) == pytest.approx(known, rel=0.1)


def test_too_few_cells_are_left_as_they_are():
    few = [estimate(np.exp(row)) for row in 0.01 * np.random.default_rng(4).normal(size=(FEWEST_CELLS - 1, 5))]
    assert pooled(few) == few
    assert pooled([]) == []
    unknown = [UNKNOWN, estimate([2.0]), *few]
    assert pooled(unknown) == unknown


def test_two_passes_tell_too_little_to_be_pooled():
    two = [estimate(np.exp(row)) for row in 0.01 * np.random.default_rng(5).normal(size=(40, 2))]
    assert pooled(two) == two


def test_cells_without_any_noise_are_left_as_they_are():
    same = [estimate([2.0] * 5)] * 6
    assert pooled(same) == same


def test_an_interval_stays_as_wide_as_its_blocks_make_it():
    draw = np.random.default_rng(6)
    told = [estimate(np.exp(row), [0.1] * 5) for row in 0.001 * draw.normal(size=(20, 5))]
    assert [one.half_width for one in pooled(told)] == pytest.approx([one.half_width for one in told])


def test_processes_that_are_not_paired_are_pooled_as_well():
    draw = np.random.default_rng(7)
    runs = []
    for _ in range(RUNS):
        bases, heads = np.exp(0.01 * draw.normal(size=(2, CELLS, PASSES)))
        heads[0] *= 1 + SLOWER
        runs.append([unpaired(*two) for two in zip(bases, heads, strict=True)])
    told = [pooled(run) for run in runs]
    assert found(told) >= 0.85 > 0.4 > found(runs)
    assert 0.93 <= np.mean([one.low <= 1.0 <= one.high for run in told for one in run[1:]]) <= 0.98


numbers = st.lists(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=6), min_size=FEWEST_CELLS, max_size=9)


@steady
@given(numbers)
def test_pooling_moves_no_value_and_keeps_it_in_its_interval(cells):
    before = [estimate(one) for one in cells]
    for one, other in zip(before, pooled(before), strict=True):
        assert (other.value, other.passes, other.confidence) == (one.value, one.passes, one.confidence)
        assert other.low <= other.value * (1 + 1e-9)
        assert other.value <= other.high * (1 + 1e-9)


@steady
@given(numbers, st.randoms(use_true_random=False))
def test_the_order_of_the_cells_does_not_matter(cells, random):
    order = random.sample(range(len(cells)), len(cells))
    told, shuffled = pooled([estimate(one) for one in cells]), pooled([estimate(cells[place]) for place in order])
    for place, one in zip(order, shuffled, strict=True):
        assert math.log(one.high) == pytest.approx(math.log(told[place].high), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("degrees", "prior"), [(4, 3.0), (4, 20.0), (9, 6.0)])
def test_the_usual_variance_and_how_well_it_is_known_are_those_that_were_drawn(degrees, prior):
    variances = 0.04 * stats.f.rvs(degrees, prior, size=4000, random_state=8)
    told = usual(variances, np.full(4000, float(degrees)))
    assert told.variance == pytest.approx(0.04, rel=0.1)
    assert told.degrees == pytest.approx(prior, rel=0.35)


def test_a_fifth_of_disturbed_cells_does_not_change_what_is_usual_by_much():
    variances = 0.04 * stats.chi2.rvs(4, size=2000, random_state=9) / 4
    variances[:400] *= 1000
    told = usual(variances, np.full(2000, 4.0))
    assert told.variance == pytest.approx(0.04, rel=0.5)
    assert usual(np.zeros(9), np.full(9, 4.0)) is None


def test_independent_cells_count_each_and_those_that_move_together_once():
    draw = np.random.default_rng(10)
    apart = draw.normal(size=(40, 6))
    assert independent(apart - apart.mean(axis=1, keepdims=True)) > 20
    assert independent([draw.normal(size=6)] * 40) == pytest.approx(1.0)
    assert independent([[0.0] * 6] * 40) == 1.0
