import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.analyse.statistics import (
    MIN_EFFECT,
    TRIM_FROM,
    UNKNOWN,
    Estimate,
    estimate,
    floor,
    high,
    standard_error,
    typical,
    verdicts,
)
from tests.bench.made import steady

TRIALS = 2000
few = st.lists(st.floats(1e-9, 1e3), min_size=2, max_size=9)


def passes(trials: int, count: int, centre: float = 0.0, spread: float = 0.05, seed: int = 20260102) -> np.ndarray:
    """Lognormal values of many runs, one row a run."""
    return np.exp(np.random.default_rng(seed).normal(centre, spread, (trials, count)))


@pytest.mark.parametrize("values", [[1.0, 1.1], [2e-4, 2.2e-4, 1.9e-4], [3.0, 1.0, 2.0, 2.5]])
def test_below_five_passes_it_is_student_s_t_interval_of_the_logs(values):
    logs = np.log(values)
    told = estimate(values)
    expected = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert told.passes == len(values)
    assert told.value == pytest.approx(stats.gmean(values))
    assert (math.log(told.low), math.log(told.high)) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("count", [5, 6, 10, 15])
def test_from_five_passes_it_is_the_trimmed_mean_of_the_logs_with_yuen_s_standard_error(count):
    values = passes(1, count, centre=-8.0, spread=0.3)[0]
    logs = np.sort(np.log(values))
    kept = logs[1:-1]
    winsorised = np.concatenate([[logs[1]], kept, [logs[-2]]])
    squares = ((winsorised - winsorised.mean()) ** 2).sum()
    error = math.sqrt(squares / (len(kept) * (len(kept) - 1)))
    reach = stats.t.ppf(0.975, len(kept) - 1) * error
    told = estimate(values)
    assert told.passes == count
    assert math.log(told.value) == pytest.approx(kept.mean()) == pytest.approx(stats.trim_mean(logs, 1.5 / count))
    assert math.log(told.low) == pytest.approx(kept.mean() - reach)
    assert math.log(told.high) == pytest.approx(kept.mean() + reach)
    # Yuen's test of these passes and the same again, half as large: its error is that of two of them.
    yuen = stats.ttest_ind(logs, logs - math.log(2), equal_var=False, trim=1.5 / count)
    assert yuen.statistic == pytest.approx(math.log(2) / (math.sqrt(2) * error))


def test_five_passes_are_where_trimming_begins():
    assert TRIM_FROM == 5
    assert estimate([1, 1, 1, 9]).value == pytest.approx(9 ** (1 / 4))
    assert estimate([1, 1, 1, 1, 9]).value == 1.0


def test_one_pass_has_a_value_but_no_interval():
    told = estimate([2.5])
    assert told.value == 2.5
    assert told.passes == 1
    assert math.isnan(told.low)
    assert math.isnan(told.high)


def test_no_pass_is_unknown():
    told = estimate([])
    assert told is UNKNOWN
    assert told.passes == 0
    assert math.isnan(told.value)


def test_passes_that_agree_have_an_interval_without_width():
    assert estimate([2.0] * 6) == Estimate(2.0, 2.0, 2.0, 6)


@steady
@given(few, st.floats(1e-3, 1e3))
def test_a_change_of_unit_changes_the_estimate_by_as_much(values, scale):
    told, scaled = estimate(values), estimate(np.array(values) * scale)
    for one, other in ((told.value, scaled.value), (told.low, scaled.low), (told.high, scaled.high)):
        if 1e-300 < one < 1e300:
            assert math.log(other) == pytest.approx(math.log(one) + math.log(scale), rel=1e-6, abs=1e-6)


@steady
@given(few)
def test_the_value_lies_within_its_interval_and_among_the_passes(values):
    told = estimate(values)
    slack = 1 + 1e-9
    assert told.low <= told.value * slack
    assert told.value <= told.high * slack
    assert min(values) / slack <= told.value <= max(values) * slack


@steady
@given(few, st.randoms(use_true_random=False))
def test_the_order_of_the_passes_does_not_matter(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert estimate(shuffled) == estimate(values)


@steady
@given(few)
def test_the_inverse_of_a_ratio_has_the_inverse_interval(values):
    told, inverse = estimate(values), estimate(1 / np.array(values))
    assert math.log(inverse.value) == pytest.approx(-math.log(told.value), rel=1e-6, abs=1e-6)


def test_one_wild_pass_in_six_barely_moves_it():
    calm = [1.00, 1.01, 0.99, 1.005, 0.995, 1.002]
    for wild in (100.0, 0.01):
        told = estimate([*calm[:-1], wild])
        assert told.value == pytest.approx(estimate(calm).value, rel=0.01)
        assert told.high / told.low < 1.05


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 8, 12])
def test_an_interval_has_the_truth_in_95_of_100_runs(count):
    told = [estimate(run) for run in passes(TRIALS, count, centre=-7.0, spread=0.1)]
    hits = np.mean([one.low <= math.exp(-7.0) <= one.high for one in told])
    assert 0.90 <= hits <= 0.99


def sure(value: float, width: float = 0.001, count: int = 6) -> Estimate:
    return Estimate(value, value / (1 + width), value * (1 + width), count)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (sure(1.5), "faster"),
        (sure(0.5), "slower"),
        (sure(1.0), "same"),
        (sure(1.0, width=0.5), "unclear"),
        (sure(1.5, width=0.6), "unclear"),
        (sure(1.0 + MIN_EFFECT), "unclear"),
        (sure(1 / (1 + MIN_EFFECT)), "unclear"),
        (sure(1.015), "same"),
        (sure(1.03), "faster"),
        (sure(0.97), "slower"),
    ],
)
def test_a_verdict_needs_its_interval_wholly_beyond_or_within_the_minimum_effect(ratio, expected):
    assert verdicts([ratio]) == [expected]


def test_the_minimum_effect_can_be_asked_for():
    assert verdicts([sure(1.05)], min_effect=0.1) == ["same"]
    assert verdicts([sure(1.05)], min_effect=0.01) == ["faster"]


def test_nothing_compared_has_no_verdicts():
    assert verdicts([]) == []


@pytest.mark.parametrize("value", [0.01, 0.5, 1.0, 2.0, 100.0])
def test_one_pass_is_never_evidence(value):
    assert verdicts([estimate([value])] * 3) == ["unclear"] * 3


@pytest.mark.parametrize("ratio", [UNKNOWN, Estimate(5.0, math.nan, math.nan, 1), Estimate(1.0, math.nan, math.nan, 6)])
def test_without_an_interval_it_is_unclear(ratio):
    assert verdicts([ratio, sure(1.5)]) == ["unclear", "faster"]


@steady
@given(st.lists(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=6), max_size=6))
def test_a_verdict_always_agrees_with_its_interval(runs):
    ratios = [estimate(run) for run in runs]
    for ratio, verdict in zip(ratios, verdicts(ratios), strict=True):
        match verdict:
            case "faster":
                assert ratio.low > 1 + MIN_EFFECT
            case "slower":
                assert ratio.high < 1 / (1 + MIN_EFFECT)
            case "same":
                assert 1 / (1 + MIN_EFFECT) <= ratio.low <= ratio.high <= 1 + MIN_EFFECT
            case _:
                assert verdict == "unclear"


@pytest.mark.parametrize(("min_effect", "most"), [(MIN_EFFECT, 0.02), (1e-9, 0.08)])
def test_runs_in_which_nothing_differs_seldom_have_a_single_verdict_that_says_so(min_effect, most):
    alarms = 0
    for number in range(200):
        ratios = [estimate(run) for run in passes(20, 6, spread=0.05, seed=number)]
        alarms += bool({"faster", "slower"} & set(verdicts(ratios, min_effect)))
    assert alarms / 200 <= most


def test_a_lucky_run_among_many_does_not_survive_false_discovery_control():
    lucky = Estimate(1.04, 1.0202, 1.06, 6)
    assert verdicts([lucky]) == ["faster"]
    assert verdicts([lucky, *[sure(1.0, width=0.3)] * 39]) == ["unclear"] * 40


def test_differences_that_are_there_are_found():
    ratios = [estimate(run) for run in passes(20, 6, centre=math.log(1.5), spread=0.02)]
    assert verdicts(ratios) == ["faster"] * 20
    assert verdicts([Estimate(1 / r.value, 1 / r.high, 1 / r.low, r.passes) for r in ratios]) == ["slower"] * 20


def test_the_p_value_of_lying_beyond_a_bound_is_student_s():
    logs = np.log([1.10, 1.20, 1.15, 1.12])
    expected = stats.ttest_1samp(logs, math.log(1.02), alternative="greater").pvalue
    assert estimate(np.exp(logs)).p_beyond(1.02) == pytest.approx(expected)
    below = stats.ttest_1samp(-logs, math.log(1 / 1.02), alternative="less").pvalue
    assert estimate(np.exp(-logs)).p_beyond(1 / 1.02) == pytest.approx(below)


def test_the_p_value_without_spread_or_without_evidence():
    assert estimate([2.0] * 3).p_beyond(1.02) == 0.0
    assert estimate([1.0] * 3).p_beyond(1.02) == 1.0
    assert estimate([2.0]).p_beyond(1.02) == 1.0
    assert UNKNOWN.p_beyond(1.02) == 1.0


def test_typical_floor_and_high_are_quantiles_of_a_pass():
    samples = np.arange(101.0)
    np.random.default_rng(1).shuffle(samples)
    assert (typical(samples), floor(samples), high(samples)) == (50.0, 5.0, 95.0)


def test_an_interval_is_no_narrower_than_its_blocks_allow():
    agreeing = [1.0, 1.0 + 1e-6]
    assert estimate(agreeing).high < 1.0001
    known = estimate(agreeing, [0.03, 0.04])
    reach = stats.norm.ppf(0.975) * math.sqrt((0.03**2 + 0.04**2) / 2 / 2)
    assert math.log(known.high / known.value) == pytest.approx(reach)
    assert math.log(known.value / known.low) == pytest.approx(reach)
    apart = [1.0, 2.0]
    assert estimate(apart, [1e-3, 1e-3]) == estimate(apart)


def test_a_standard_error_needs_two_blocks():
    assert standard_error([1.0]) == 0.0
    assert standard_error([1.0, math.e]) == pytest.approx(0.5)
