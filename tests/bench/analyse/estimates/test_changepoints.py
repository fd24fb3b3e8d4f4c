import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates import changepoints
from bench.analyse.estimates.changepoints import MIN_SIZE, Noise, noise_of, partition, segment
from tests.bench.made import steady

SERIES = 120
"""The series of each kind: enough to notice a rate that is far off."""
reals = st.lists(st.floats(-5, 5), min_size=6, max_size=12)


def made(draw, count=100, spread=0.02, correlation=0.0, outliers=0.05, step=0.0, at=None) -> np.ndarray:
    """Return a series of lognormal AR(1) noise with outliers above and a step."""
    noise = draw.normal(0, 1, count)
    for index in range(1, count):
        noise[index] = correlation * noise[index - 1] + math.sqrt(1 - correlation**2) * noise[index]
    logs = spread * noise + np.where(draw.random(count) < outliers, draw.exponential(0.2, count), 0)
    if at is not None:
        logs[at:] += math.log1p(step)
    return np.exp(logs)


def cost(values, begins, penalty) -> float:
    parts = np.split(np.asarray(values), begins)
    return sum(np.abs(part - np.median(part)).sum() for part in parts) + penalty * len(begins)


def every_partition(count, min_size):
    for changes in range(count // min_size):
        for begins in itertools.combinations(range(1, count), changes):
            if np.diff([0, *begins, count]).min() >= min_size:
                yield list(begins)


@steady
@given(reals, st.floats(0.01, 5), st.integers(2, 3))
def test_partition_has_lowest_cost(values, penalty, min_size):
    begins_found = partition(values, penalty, min_size)
    lowest_cost = min(cost(values, begins, penalty) for begins in every_partition(len(values), min_size))
    assert cost(values, begins_found, penalty) == pytest.approx(lowest_cost, abs=1e-9)


def test_partition_costs_the_same_as_that_of_ruptures():
    ruptures = pytest.importorskip("ruptures")
    draw = np.random.default_rng(1)
    for penalty in (0.05, 0.2, 1.0):
        values = np.log(made(draw, 60, step=0.1, at=25)) + np.repeat([0, 0, 0.05], 20)
        expected = ruptures.Pelt(model="l1", min_size=MIN_SIZE, jump=1).fit(values[:, None]).predict(pen=penalty)[:-1]
        assert cost(values, partition(values, penalty), penalty) == pytest.approx(cost(values, expected, penalty))


@steady
@given(st.integers(6, 12), st.integers(0, 1000), st.integers(2, 3), st.floats(0.05, 5))
def test_series_that_cannot_change_has_no_partition(count, seed, min_size, penalty):
    draw = np.random.default_rng(seed)
    series = draw.normal(0, 1, (20, count)).round(draw.integers(0, 3)) + draw.choice([0, 3], (20, 1)) * (
        np.arange(count) > 4
    )
    may_change = changepoints._may_change(series, np.full(20, penalty), min_size)
    found = [partition(row, penalty, min_size) for row in series]
    assert [bool(begins) for begins in found] == [
        bool(begins) and may for begins, may in zip(found, may_change, strict=True)
    ]


def test_5_percent_step_is_found_in_2_percent_noise():
    draw = np.random.default_rng(2)
    steps_found = false_changes = 0
    for at in draw.integers(20, 81, SERIES):
        begins = segment(made(draw, step=0.05, at=int(at)))
        hits = [begin for begin in begins if abs(begin - at) <= 2]
        steps_found += bool(hits)
        false_changes += len(begins) - bool(hits)
    assert steps_found / SERIES >= 0.88
    assert false_changes / SERIES <= 0.12


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("outliers", [0.0, 0.05])
def test_noise_alone_rarely_has_a_change(correlation, outliers):
    draw = np.random.default_rng(3)
    changes = sum(len(segment(made(draw, correlation=correlation, outliers=outliers))) for _ in range(SERIES))
    assert changes / SERIES <= 0.1


@pytest.mark.parametrize("count", [6, 8, 12, 20, 40])
def test_short_noise_rarely_has_a_change(count):
    draw = np.random.default_rng(4)
    assert sum(len(segment(made(draw, count))) for _ in range(SERIES)) / SERIES <= 0.1


def test_several_steps_are_found():
    draw = np.random.default_rng(5)
    levels = np.repeat([1.0, 1.1, 0.95, 1.3], 25)
    begins = segment(levels * made(draw, 100, spread=0.01))
    assert np.abs(np.subtract(begins, [25, 50, 75])).max() <= 1


def test_steps_without_noise_are_located_exactly():
    assert segment([1.0] * 7 + [1.1] * 4) == [7]
    assert segment([2.0] * 30) == []


def test_two_adjacent_slow_values_are_no_change():
    assert segment([1.0, 1.01, 0.99, 1.0, 1.01, 9.0, 9.0, 1.0, 0.99, 1.01, 1.0, 1.0]) == []


def test_change_below_minimum_effect_is_ignored():
    series = [1.0] * 20 + [1.04] * 20
    assert segment(series) == [20]
    assert segment(series, min_effect=0.05) == []


def test_known_noise_is_used():
    series = [1.0] * 10 + [1.1] * 10
    assert segment(series, noise=Noise(0.01)) == [10]
    assert segment(series, noise=Noise(0.5)) == []
    assert segment(series, noise=Noise(0.01, inflation=50)) == []


@pytest.mark.parametrize("series", [[], [1.0], [1.0, 2.0, 1.0, 2.0, 9.0]])
def test_too_few_values_have_no_change(series):
    assert segment(series) == []


@pytest.mark.parametrize("bad", [[1.0] * 6 + [0.0], [1.0] * 6 + [-1.0], [math.nan] * 6, [math.inf] * 6, [[1.0] * 6]])
def test_invalid_times_are_refused(bad):
    with pytest.raises(ValueError, match=r"^series: .*positive, finite"):
        segment(bad)


@steady
@given(st.lists(st.floats(0.5, 2.0), min_size=6, max_size=30), st.floats(1e-6, 1e6))
def test_segments_have_minimum_size_and_do_not_depend_on_unit(values, scale):
    begins = segment(values)
    assert np.diff([0, *begins, len(values)]).min() >= MIN_SIZE
    levels = [np.median(part) for part in np.split(np.log(values), begins)]
    assert all(abs(change) >= math.log(1.02) - 1e-12 for change in np.diff(levels))
    assert noise_of(np.log(np.array(values) * scale)).scale == pytest.approx(noise_of(np.log(values)).scale, abs=1e-6)


@pytest.mark.parametrize(("correlation", "low", "high"), [(0.0, 0.0, 0.15), (0.6, 0.45, 0.8)])
def test_step_barely_changes_estimated_noise(correlation, low, high):
    draw = np.random.default_rng(6)
    noises = [noise_of(np.log(made(draw, correlation=correlation, outliers=0, step=0.5, at=50))) for _ in range(60)]
    assert low <= np.median([noise.correlation for noise in noises]) <= high
    assert np.median([noise.scale for noise in noises]) == pytest.approx(0.02, rel=0.25)


def test_noise_of_parts_ignores_their_levels():
    draw = np.random.default_rng(7)
    parts = [np.log(made(draw, 15, outliers=0)) + level for level in (0, 0.3, 0.1, 0.5, 0.2, 0.0)]
    assert noise_of(*parts).scale == pytest.approx(0.02, rel=0.35)


def test_autocorrelation_and_inflation_increase_long_run_noise():
    assert Noise(0.02).long_run == pytest.approx(0.02)
    assert Noise(0.02, inflation=3.0).long_run == pytest.approx(0.06)
    # The signs of a Gaussian AR(1) with ρ = 0.6 have the long-run variance 1 + 4/π Σ asin(0.6^k).
    assert Noise(1.0, 0.6).long_run == pytest.approx(1 + 4 / math.pi * sum(math.asin(0.6**k) for k in range(1, 60)))
