"""Processes of two runs that have nothing to do with each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.analyse.estimates.statistics import UNKNOWN, Estimate, kept_of, unpaired, verdicts
from tests.bench.made import p_beyond, steady

CELLS = 20
few = st.lists(st.floats(1e-9, 1e3), min_size=2, max_size=9)


def processes(trials: int, count: int, spread: float, seed: int, centre: float = 0.0, heavy: bool = False):
    """Values of many runs, one row a run, whose logs have this standard deviation."""
    draw = np.random.default_rng(seed)
    noise = draw.standard_t(3, (trials, count)) / math.sqrt(3) if heavy else draw.normal(size=(trials, count))
    return np.exp(centre + spread * noise)


@pytest.mark.parametrize(("base", "head"), [(4, 4), (4, 3), (6, 6), (11, 11), (16, 16)])
def test_it_is_yuen_s_and_welch_s_test_of_the_logs(base, head):
    one, other = processes(1, base, 0.1, 1, 0.2)[0], processes(1, head, 0.3, 2)[0]
    told = unpaired(one, other)
    trim = (base - kept_of(base)) / 2 / base + 1e-9 if base > 4 else 0
    expected = stats.ttest_ind(np.log(one), np.log(other), equal_var=False, trim=trim)
    assert told.passes == min(base, head)
    assert told.degrees == pytest.approx(expected.df)
    assert 2 * p_beyond(told, 1.0) == pytest.approx(expected.pvalue)
    reach = stats.t.ppf(0.975, expected.df) * abs(math.log(told.value) / expected.statistic)
    assert math.log(told.low) == pytest.approx(math.log(told.value) - reach)
    assert math.log(told.high) == pytest.approx(math.log(told.value) + reach)


@steady
@given(few, few)
def test_the_other_way_round_it_is_the_inverse(one, other):
    told, swapped = unpaired(one, other), unpaired(other, one).inverse
    for name in ("value", "low", "high"):
        if 1e-200 < getattr(told, name) < 1e200:
            assert math.log(getattr(told, name)) == pytest.approx(math.log(getattr(swapped, name)), abs=1e-6)
    assert told.degrees == pytest.approx(swapped.degrees)
    for bound in (1 / 1.02, 1.02):
        assert p_beyond(told, bound) == pytest.approx(p_beyond(swapped, bound), abs=1e-6)


@steady
@given(few, few, st.randoms(use_true_random=False))
def test_the_order_of_the_processes_does_not_matter(one, other, random):
    assert unpaired(random.sample(one, len(one)), random.sample(other, len(other))) == unpaired(one, other)


@steady
@given(few, few, st.floats(1e-3, 1e3))
def test_a_side_that_is_scaled_scales_the_ratio_and_nothing_else(one, other, scale):
    told, scaled = unpaired(one, other), unpaired(np.array(one) * scale, other)
    assert math.log(scaled.value) == pytest.approx(math.log(told.value) + math.log(scale), abs=1e-6)
    if told.degrees and told.low > 1e-200 and told.high < 1e200:
        assert math.log(scaled.high / scaled.low) == pytest.approx(math.log(told.high / told.low), rel=1e-4, abs=1e-6)


def test_a_verdict_turns_round_with_its_sides():
    slow, fast = processes(1, 6, 0.003, 3, 0.1)[0], processes(1, 6, 0.003, 4)[0]
    assert verdicts([unpaired(slow, fast), unpaired(fast, slow)]) == ["faster", "slower"]


def test_without_a_process_on_a_side_it_is_unknown():
    assert unpaired([], [1.0, 2.0]) is UNKNOWN
    assert unpaired([1.0], []) is UNKNOWN


@pytest.mark.parametrize(("one", "other"), [([2.0], [1.0, 1.1]), ([2.0, 2.1], [1.0]), ([2.0], [1.0])])
def test_a_single_process_on_a_side_gives_no_interval(one, other):
    told = unpaired(one, other)
    assert told.value > 1.5
    assert math.isnan(told.low)
    assert p_beyond(told, 1.0) == 1.0


def test_processes_that_agree_have_an_interval_without_width():
    told = unpaired([2.0] * 5, [1.0] * 7)
    assert (told.value, told.low, told.high) == (2.0, 2.0, 2.0)
    assert verdicts([told]) == ["faster"]


def test_one_wild_process_of_six_does_not_decide():
    calm = [1.0, 1.003, 0.998, 1.001, 0.999, 1.002]
    assert verdicts([unpaired(calm, [*calm[:5], 9.0])]) == ["same"]


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize(("base", "head"), [(5, 5), (5, 10), (8, 6)])
def test_an_interval_has_the_truth_in_95_of_100_pairs_of_runs(base, head, heavy):
    ones, others = processes(4000, base, 0.02, 5, 0.1, heavy), processes(4000, head, 0.05, 6, heavy=heavy)
    told = [unpaired(*pair) for pair in zip(ones, others, strict=True)]
    covered = np.mean([one.low <= math.exp(0.1) <= one.high for one in told])
    assert 0.935 <= covered <= 0.985


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize("spread", [0.005, 0.02, 0.03])
def test_of_runs_of_the_same_code_hardly_one_cell_in_a_hundred_is_said_to_differ(spread, heavy):
    ones, others = processes(1000, 5, spread, 7, heavy=heavy), processes(1000, 5, spread, 8, heavy=heavy)
    ratios = [unpaired(*pair) for pair in zip(ones, others, strict=True)]
    told = [verdict for start in range(0, len(ratios), CELLS) for verdict in verdicts(ratios[start : start + CELLS])]
    assert np.mean([verdict in ("slower", "faster") for verdict in told]) <= 0.01


def test_even_among_very_noisy_runs_a_false_alarm_is_rare():
    ones, others = processes(2000, 5, 0.3, 9), processes(2000, 5, 0.3, 10)
    ratios = [unpaired(*pair) for pair in zip(ones, others, strict=True)]
    told = [verdicts(ratios[start : start + CELLS]) for start in range(0, len(ratios), CELLS)]
    assert np.mean([{"slower", "faster"} & set(cells) != set() for cells in told]) <= 0.05


def test_a_slowdown_of_five_percent_is_found():
    ones, others = processes(200, 5, 0.01, 11, math.log(1.05)), processes(200, 5, 0.01, 12)
    told = verdicts([unpaired(other, one) for one, other in zip(ones, others, strict=True)])
    assert told.count("slower") / len(told) > 0.8


def test_each_ratio_may_have_a_minimum_effect_of_its_own():
    ratios = [Estimate(1.05, 1.04, 1.06, 8), Estimate(1.05, 1.04, 1.06, 8)]
    assert verdicts(ratios, [0.02, 0.1]) == ["faster", "same"]
