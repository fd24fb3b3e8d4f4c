"""Tests of ratios of two runs with independent processes."""

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
    """Return values of many runs, one row a run, whose logs have the standard deviation `spread`."""
    draw = np.random.default_rng(seed)
    noise = draw.standard_t(3, (trials, count)) / math.sqrt(3) if heavy else draw.normal(size=(trials, count))
    return np.exp(centre + spread * noise)


@pytest.mark.parametrize(("base", "head"), [(4, 4), (4, 3), (6, 6), (11, 11), (16, 16)])
def test_unpaired_is_yuen_welch_test_of_logs(base, head):
    first, second = processes(1, base, 0.1, 1, 0.2)[0], processes(1, head, 0.3, 2)[0]
    ratio = unpaired(first, second)
    trim = (base - kept_of(base)) / 2 / base + 1e-9 if base > 4 else 0
    expected = stats.ttest_ind(np.log(first), np.log(second), equal_var=False, trim=trim)
    assert ratio.passes == min(base, head)
    assert ratio.degrees == pytest.approx(expected.df)
    assert 2 * p_beyond(ratio, 1.0) == pytest.approx(expected.pvalue)
    reach = stats.t.ppf(0.975, expected.df) * abs(math.log(ratio.value) / expected.statistic)
    assert math.log(ratio.low) == pytest.approx(math.log(ratio.value) - reach)
    assert math.log(ratio.high) == pytest.approx(math.log(ratio.value) + reach)


@steady
@given(few, few)
def test_swapped_sides_give_the_inverse(first, second):
    ratio, swapped = unpaired(first, second), unpaired(second, first).inverse
    for name in ("value", "low", "high"):
        if 1e-200 < getattr(ratio, name) < 1e200:
            assert math.log(getattr(ratio, name)) == pytest.approx(math.log(getattr(swapped, name)), abs=1e-6)
    assert ratio.degrees == pytest.approx(swapped.degrees)
    for bound in (1 / 1.02, 1.02):
        assert p_beyond(ratio, bound) == pytest.approx(p_beyond(swapped, bound), abs=1e-6)


@steady
@given(few, few, st.randoms(use_true_random=False))
def test_order_of_processes_does_not_matter(first, second, random):
    assert unpaired(random.sample(first, len(first)), random.sample(second, len(second))) == unpaired(first, second)


@steady
@given(few, few, st.floats(1e-3, 1e3))
def test_scaling_a_side_scales_only_the_ratio(first, second, scale):
    ratio, scaled = unpaired(first, second), unpaired(np.array(first) * scale, second)
    assert math.log(scaled.value) == pytest.approx(math.log(ratio.value) + math.log(scale), abs=1e-6)
    if ratio.degrees and ratio.low > 1e-200 and ratio.high < 1e200:
        assert math.log(scaled.high / scaled.low) == pytest.approx(math.log(ratio.high / ratio.low), rel=1e-4, abs=1e-6)


def test_swapped_sides_give_the_opposite_verdict():
    slow, fast = processes(1, 6, 0.003, 3, 0.1)[0], processes(1, 6, 0.003, 4)[0]
    assert verdicts([unpaired(slow, fast), unpaired(fast, slow)]) == ["faster", "slower"]


def test_no_process_on_a_side_is_unknown():
    assert unpaired([], [1.0, 2.0]) is UNKNOWN
    assert unpaired([1.0], []) is UNKNOWN


@pytest.mark.parametrize(("first", "second"), [([2.0], [1.0, 1.1]), ([2.0, 2.1], [1.0]), ([2.0], [1.0])])
def test_single_process_on_a_side_has_no_interval(first, second):
    ratio = unpaired(first, second)
    assert ratio.value > 1.5
    assert math.isnan(ratio.low)
    assert p_beyond(ratio, 1.0) == 1.0


def test_equal_processes_have_a_zero_width_interval():
    ratio = unpaired([2.0] * 5, [1.0] * 7)
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 2.0, 2.0)
    assert verdicts([ratio]) == ["faster"]


def test_one_outlier_in_six_does_not_decide():
    calm = [1.0, 1.003, 0.998, 1.001, 0.999, 1.002]
    assert verdicts([unpaired(calm, [*calm[:5], 9.0])]) == ["same"]


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize(("base", "head"), [(5, 5), (5, 10), (8, 6)])
def test_interval_contains_truth_in_95_percent(base, head, heavy):
    bases, heads = processes(4000, base, 0.02, 5, 0.1, heavy), processes(4000, head, 0.05, 6, heavy=heavy)
    ratios = [unpaired(*pair) for pair in zip(bases, heads, strict=True)]
    covered = np.mean([ratio.low <= math.exp(0.1) <= ratio.high for ratio in ratios])
    assert 0.935 <= covered <= 0.985


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize("spread", [0.005, 0.02, 0.03])
def test_same_code_differs_in_at_most_1_percent_of_cells(spread, heavy):
    bases, heads = processes(1000, 5, spread, 7, heavy=heavy), processes(1000, 5, spread, 8, heavy=heavy)
    ratios = [unpaired(*pair) for pair in zip(bases, heads, strict=True)]
    judged = [verdict for start in range(0, len(ratios), CELLS) for verdict in verdicts(ratios[start : start + CELLS])]
    assert np.mean([verdict in ("slower", "faster") for verdict in judged]) <= 0.01


def test_false_alarms_are_rare_in_very_noisy_runs():
    bases, heads = processes(2000, 5, 0.3, 9), processes(2000, 5, 0.3, 10)
    ratios = [unpaired(*pair) for pair in zip(bases, heads, strict=True)]
    judged = [verdicts(ratios[start : start + CELLS]) for start in range(0, len(ratios), CELLS)]
    assert np.mean([{"slower", "faster"} & set(run) != set() for run in judged]) <= 0.05


def test_five_percent_slowdown_is_found():
    slowed, references = processes(200, 5, 0.01, 11, math.log(1.05)), processes(200, 5, 0.01, 12)
    judged = verdicts([unpaired(reference, slow) for slow, reference in zip(slowed, references, strict=True)])
    assert judged.count("slower") / len(judged) > 0.8


def test_each_ratio_can_have_its_own_minimum_effect():
    ratios = [Estimate(1.05, 1.04, 1.06, 8), Estimate(1.05, 1.04, 1.06, 8)]
    assert verdicts(ratios, [0.02, 0.1]) == ["faster", "same"]
