"""Tests of standard errors pooled over the cells of simulated runs."""

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


def equal_noise(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return SPREAD * draw.normal(size=size)


def different_noise(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Some cells are three times as noisy as others."""
    return equal_noise(draw, size) * np.exp(0.5 * draw.normal(size=(size[0], 1)))


def heavy_tailed(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return SPREAD * draw.standard_t(3, size) / math.sqrt(3)


def with_bad_passes(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return equal_noise(draw, size) + 0.3 * (draw.random(size) < 0.01)


def shared_noise(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Half of the variance is a pass's, and shared by its cells."""
    return (equal_noise(draw, size) + SPREAD * draw.normal(size=(1, size[1]))) / math.sqrt(2)


NOISES = [equal_noise, different_noise, heavy_tailed, with_bad_passes, shared_noise]


@cache
def simulated(noise: Noise, cells: int = CELLS, passes: int = PASSES) -> list[list[Estimate]]:
    """Return runs in which the first cell is slower by SLOWER, and the others have not changed."""
    draw = np.random.default_rng(20260103)
    runs = []
    for _ in range(RUNS):
        logs = noise(draw, (cells, passes))
        logs[0] -= math.log1p(SLOWER)
        runs.append([estimate(np.exp(row)) for row in logs])
    return runs


def share_found(runs: list[list[Estimate]]) -> float:
    return float(np.mean([verdicts(run)[0] == "slower" for run in runs]))


@pytest.mark.parametrize("noise", NOISES)
def test_pooled_interval_contains_truth_in_92_to_98_percent(noise):
    ratios = [ratio for run in simulated(noise) for ratio in pooled(run)[1:]]
    assert 0.92 <= np.mean([ratio.low <= 1.0 <= ratio.high for ratio in ratios]) <= 0.98


@pytest.mark.parametrize("cells", [10, CELLS])
@pytest.mark.parametrize("noise", NOISES)
def test_pooled_verdicts_rarely_have_false_alarms(noise, cells):
    judged = [verdict for run in simulated(noise, cells) for verdict in verdicts(pooled(run))[1:]]
    assert np.mean([verdict in ("faster", "slower") for verdict in judged]) <= 0.001


@pytest.mark.parametrize(("cells", "alone"), [(10, 0.8), (40, 0.5), (100, 0.4)])
def test_pooling_finds_one_slowdown_among_many_cells(cells, alone):
    runs = simulated(equal_noise, cells)
    assert share_found([pooled(run) for run in runs]) >= 0.95
    assert share_found(runs) <= alone


@pytest.mark.parametrize(("noise", "rate"), [(heavy_tailed, 0.88), (with_bad_passes, 0.88), (shared_noise, 0.8)])
def test_pooling_finds_slowdown_in_worse_noise(noise, rate):
    assert share_found([pooled(run) for run in simulated(noise)]) >= rate


def test_quiet_and_noisy_cells_keep_their_widths():
    draw = np.random.default_rng(1)
    quiet = [estimate(np.exp(row)) for row in 0.001 * draw.normal(size=(20, 8))]
    noisy = [estimate(np.exp(row)) for row in 0.1 * draw.normal(size=(20, 8))]
    ratios = pooled([*quiet, *noisy])
    assert max(ratio.half_width for ratio in ratios[:20]) < 0.01
    assert min(ratio.half_width for ratio in ratios[20:]) > 0.015


def test_disturbed_cell_stays_unclear_without_changing_others():
    draw = np.random.default_rng(2)
    calm = [estimate(np.exp(row)) for row in 0.01 * draw.normal(size=(19, 5))]
    disturbed = estimate([1.0, 1.0, 1.0, 1.0, 3.0])
    all_ratios, calm_ratios = pooled([*calm, disturbed]), pooled(calm)
    assert all_ratios[-1].half_width == pytest.approx(disturbed.half_width, rel=0.05)
    assert verdicts(all_ratios)[-1] == "unclear"
    widths = [first.half_width / second.half_width for first, second in zip(all_ratios, calm_ratios, strict=False)]
    assert 0.9 < np.median(widths) < 1.1


def test_equal_noise_is_as_precise_as_known_noise():
    draw = np.random.default_rng(3)
    ratios = pooled([estimate(np.exp(row)) for row in 0.01 * draw.normal(size=(200, 4))])
    known = math.expm1(stats.norm.ppf(0.975) * 0.01 / math.sqrt(4))
    assert np.median([ratio.half_width for ratio in ratios]) == pytest.approx(known, rel=0.1)


def test_too_few_cells_are_unchanged():
    few = [estimate(np.exp(row)) for row in 0.01 * np.random.default_rng(4).normal(size=(FEWEST_CELLS - 1, 5))]
    assert pooled(few) == few
    assert pooled([]) == []
    unknown = [UNKNOWN, estimate([2.0]), *few]
    assert pooled(unknown) == unknown


def test_two_passes_are_too_few_to_pool():
    ratios = [estimate(np.exp(row)) for row in 0.01 * np.random.default_rng(5).normal(size=(40, 2))]
    assert pooled(ratios) == ratios


def test_cells_without_noise_are_unchanged():
    same = [estimate([2.0] * 5)] * 6
    assert pooled(same) == same


def test_pooled_interval_is_no_narrower_than_its_blocks_allow():
    draw = np.random.default_rng(6)
    ratios = [estimate(np.exp(row), [0.1] * 5) for row in 0.001 * draw.normal(size=(20, 5))]
    assert [ratio.half_width for ratio in pooled(ratios)] == pytest.approx([ratio.half_width for ratio in ratios])


def test_unpaired_processes_are_pooled():
    draw = np.random.default_rng(7)
    runs = []
    for _ in range(RUNS):
        bases, heads = np.exp(0.01 * draw.normal(size=(2, CELLS, PASSES)))
        heads[0] *= 1 + SLOWER
        runs.append([unpaired(*sides) for sides in zip(bases, heads, strict=True)])
    pooled_runs = [pooled(run) for run in runs]
    assert share_found(pooled_runs) >= 0.85 > 0.4 > share_found(runs)
    assert 0.93 <= np.mean([ratio.low <= 1.0 <= ratio.high for run in pooled_runs for ratio in run[1:]]) <= 0.98


numbers = st.lists(st.lists(st.floats(0.5, 2.0), min_size=3, max_size=6), min_size=FEWEST_CELLS, max_size=9)


@steady
@given(numbers)
def test_pooling_keeps_values_within_intervals(cells):
    estimates = [estimate(passes) for passes in cells]
    for before, after in zip(estimates, pooled(estimates), strict=True):
        assert (after.value, after.passes, after.confidence) == (before.value, before.passes, before.confidence)
        assert after.low <= after.value * (1 + 1e-9)
        assert after.value <= after.high * (1 + 1e-9)


@steady
@given(numbers, st.randoms(use_true_random=False))
def test_order_of_cells_does_not_matter(cells, random):
    order = random.sample(range(len(cells)), len(cells))
    estimates = [estimate(passes) for passes in cells]
    in_order, shuffled = pooled(estimates), pooled([estimates[index] for index in order])
    for index, ratio in zip(order, shuffled, strict=True):
        assert math.log(ratio.high) == pytest.approx(math.log(in_order[index].high), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("degrees", "prior"), [(4, 3.0), (4, 20.0), (9, 6.0)])
def test_usual_recovers_variance_and_degrees(degrees, prior):
    variances = 0.04 * stats.f.rvs(degrees, prior, size=4000, random_state=8)
    estimated = usual(variances, np.full(4000, float(degrees)))
    assert estimated.variance == pytest.approx(0.04, rel=0.1)
    assert estimated.degrees == pytest.approx(prior, rel=0.35)


def test_usual_is_robust_to_disturbed_cells():
    variances = 0.04 * stats.chi2.rvs(4, size=2000, random_state=9) / 4
    variances[:400] *= 1000
    estimated = usual(variances, np.full(2000, 4.0))
    assert estimated.variance == pytest.approx(0.04, rel=0.5)
    assert usual(np.zeros(9), np.full(9, 4.0)) is None


def test_independent_counts_correlated_cells_once():
    draw = np.random.default_rng(10)
    deviations = draw.normal(size=(40, 6))
    assert independent(deviations - deviations.mean(axis=1, keepdims=True)) > 20
    assert independent([draw.normal(size=6)] * 40) == pytest.approx(1.0)
    assert independent([[0.0] * 6] * 40) == 1.0
