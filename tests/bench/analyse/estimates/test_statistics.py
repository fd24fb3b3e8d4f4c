import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.statistics import (
    CONFIDENCE,
    MIN_EFFECT,
    UNKNOWN,
    Estimate,
    confidence_after,
    estimate,
    floor,
    high,
    kept_of,
    median_error,
    standard_error,
    typical,
    unpaired,
    verdicts,
)
from bench.plan import looks
from bench.plan.looks import Spending
from tests.bench.made import p_beyond, steady

TRIALS = 2000
few = st.lists(st.floats(1e-9, 1e3), min_size=2, max_size=9)


def passes(trials: int, count: int, centre: float = 0.0, spread: float = 0.05, seed: int = 20260102) -> np.ndarray:
    """Return lognormal values of many runs, one row a run."""
    return np.exp(np.random.default_rng(seed).normal(centre, spread, (trials, count)))


@pytest.mark.parametrize("values", [[1.0, 1.1], [2e-4, 2.2e-4, 1.9e-4], [3.0, 1.0, 2.0, 2.5]])
def test_under_five_passes_interval_is_students_t_of_logs(values):
    logs = np.log(values)
    estimated = estimate(values)
    expected = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    assert estimated.passes == len(values)
    assert estimated.value == pytest.approx(stats.gmean(values))
    assert (math.log(estimated.low), math.log(estimated.high)) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("count", "cut"), [(6, 1), (11, 2), (16, 3), (21, 4)])
def test_estimate_is_yuens_trimmed_mean(count, cut):
    values = passes(1, count, centre=-8.0, spread=0.3)[0]
    logs = np.sort(np.log(values))
    kept = logs[cut:-cut]
    winsorised = np.concatenate([[kept[0]] * cut, kept, [kept[-1]] * cut])
    share = (cut + 0.5) / count
    squares = ((winsorised - winsorised.mean()) ** 2).sum()
    error = math.sqrt(squares / (len(kept) * (len(kept) - 1)))
    reach = stats.t.ppf(0.975, len(kept) - 1) * error
    estimated = estimate(values)
    assert estimated.passes == count
    assert math.log(estimated.value) == pytest.approx(kept.mean()) == pytest.approx(stats.trim_mean(logs, share))
    assert math.log(estimated.low) == pytest.approx(kept.mean() - reach)
    assert math.log(estimated.high) == pytest.approx(kept.mean() + reach)
    # Yuen's test of these passes against the same passes halved has the error of both.
    yuen = stats.ttest_ind(logs, logs - math.log(2), equal_var=False, trim=share)
    assert yuen.statistic == pytest.approx(math.log(2) / (math.sqrt(2) * error))


@pytest.mark.parametrize(("count", "tenths"), [(7, 12), (8, 14), (10, 18), (14, 26)])
def test_fraction_of_a_pass_can_be_trimmed(count, tenths):
    values = passes(1, count, spread=0.3)[0]
    assert count - kept_of(count) == pytest.approx(2 * tenths / 10)
    in_tenths = np.repeat(np.sort(np.log(values)), 10)
    assert math.log(estimate(values).value) == pytest.approx(in_tenths[tenths:-tenths].mean())


def lognormal(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return draw.lognormal(0, 1, size)


def with_outliers(draw: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return draw.normal(size=size) + 10 * (draw.random(size) < 0.05)


@pytest.mark.parametrize("noise", [lambda draw, size: draw.normal(size=size), lognormal, with_outliers])
def test_one_more_pass_never_widens_the_interval(noise):
    widths = []
    for count in range(2, 21):
        runs = np.exp(0.01 * noise(np.random.default_rng(4), (TRIALS, count)))
        widths.append(np.median([estimate(run).half_width for run in runs]))
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("count", range(5, 21))
def test_interval_of_5_to_20_passes_contains_truth_in_93_to_97_percent(count):
    estimates = [estimate(run) for run in passes(TRIALS, count, spread=0.01, seed=count)]
    assert 0.93 <= np.mean([estimated.low <= 1.0 <= estimated.high for estimated in estimates]) <= 0.97


def test_one_of_six_passes_is_trimmed_at_each_end():
    assert estimate([1, 1, 1, 9]).value == pytest.approx(9 ** (1 / 4))
    assert estimate([1, 1, 1, 1, 9]).value > 1.0
    assert estimate([1, 1, 1, 1, 1, 9]).value == 1.0


def test_one_pass_has_a_value_but_no_interval():
    estimated = estimate([2.5])
    assert estimated.value == 2.5
    assert estimated.passes == 1
    assert math.isnan(estimated.low)
    assert math.isnan(estimated.high)


def test_no_pass_is_unknown():
    estimated = estimate([])
    assert estimated is UNKNOWN
    assert estimated.passes == 0
    assert math.isnan(estimated.value)


def test_equal_passes_have_a_zero_width_interval():
    assert estimate([2.0] * 6) == Estimate(2.0, 2.0, 2.0, 6)


@steady
@given(few, st.floats(1e-3, 1e3))
def test_estimate_scales_with_its_unit(values, scale):
    estimated, scaled = estimate(values), estimate(np.array(values) * scale)
    for before, after in ((estimated.value, scaled.value), (estimated.low, scaled.low), (estimated.high, scaled.high)):
        if 1e-300 < before < 1e300:
            assert math.log(after) == pytest.approx(math.log(before) + math.log(scale), rel=1e-6, abs=1e-6)


@steady
@given(few)
def test_value_is_within_interval_and_range_of_passes(values):
    estimated = estimate(values)
    slack = 1 + 1e-9
    assert estimated.low <= estimated.value * slack
    assert estimated.value <= estimated.high * slack
    assert min(values) / slack <= estimated.value <= max(values) * slack


@steady
@given(few, st.randoms(use_true_random=False))
def test_order_of_passes_does_not_matter(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert estimate(shuffled) == estimate(values)


@steady
@given(few)
def test_estimate_of_inverses_is_the_inverse(values):
    estimated, inverse = estimate(values), estimate(1 / np.array(values))
    assert math.log(inverse.value) == pytest.approx(-math.log(estimated.value), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("count", "wild"), [(6, 1), (11, 2), (16, 3)])
def test_trimming_removes_outliers(count, wild):
    calm = passes(1, count, spread=0.01)[0]
    estimated = estimate([*calm[wild:], *[50.0] * wild])
    assert estimated.value == pytest.approx(1.0, rel=0.02)
    assert estimated.high < 1.1


def test_one_outlier_in_six_barely_moves_the_estimate():
    calm = [1.00, 1.01, 0.99, 1.005, 0.995, 1.002]
    for wild in (100.0, 0.01):
        estimated = estimate([*calm[:-1], wild])
        assert estimated.value == pytest.approx(estimate(calm).value, rel=0.01)
        assert estimated.high / estimated.low < 1.05


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 10])
@pytest.mark.parametrize("wild", [0.01, 0.5, 0.9, 1.1, 1.5, 100.0])
def test_one_outlier_does_not_decide(count, wild):
    calm = passes(1, count, spread=0.003)[0]
    assert verdicts([estimate([*calm[1:], wild])])[0] not in ("faster", "slower")


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 8, 12])
def test_interval_contains_truth_in_95_percent(count):
    estimates = [estimate(run) for run in passes(TRIALS, count, centre=-7.0, spread=0.1)]
    hits = np.mean([estimated.low <= math.exp(-7.0) <= estimated.high for estimated in estimates])
    assert 0.90 <= hits <= 0.99


@pytest.mark.parametrize("count", [2, 5, 8])
@pytest.mark.parametrize("confidence", [0.8, 0.975, 0.99])
def test_interval_has_the_requested_confidence(count, confidence):
    runs = passes(3 * TRIALS, count, centre=-7.0, spread=0.1, seed=count)
    estimates = [estimate(run, confidence=confidence) for run in runs]
    assert {estimated.confidence for estimated in estimates} == {confidence}
    missed = np.mean([not estimated.low <= math.exp(-7.0) <= estimated.high for estimated in estimates])
    assert missed == pytest.approx(1 - confidence, rel=0.5)


PASSES, ROUNDS = 6, 8
RUNS = 800
"""The simulated runs of each kind of noise."""
Noise = Callable[[np.random.Generator], np.ndarray]
"""Returns logs of two contenders that take the same time, (2, passes, rounds)."""


def heavy_tailed(draw: np.random.Generator) -> np.ndarray:
    """Passes and rounds have Student's t noise with three degrees of freedom."""
    return 0.01 * draw.standard_t(3, (2, PASSES, 1)) + 0.02 * draw.standard_t(3, (2, PASSES, ROUNDS))


def autocorrelated(draw: np.random.Generator) -> np.ndarray:
    """Rounds have AR(1) noise with the correlation 0.8, and so less information than independent ones."""
    innovations = draw.normal(0, 0.02, (2, PASSES, 50 + ROUNDS))
    correlated = signal.lfilter([math.sqrt(1 - 0.8**2)], [1, -0.8], innovations)[..., 50:]
    return correlated + draw.normal(0, 0.005, (2, PASSES, 1))


def drifting(draw: np.random.Generator) -> np.ndarray:
    """The machine becomes slower by a fifth, in waves, for both contenders."""
    progress = np.linspace(0, 1, PASSES * ROUNDS).reshape(PASSES, ROUNDS)
    drift = 0.2 * progress + 0.05 * np.sin(2 * np.pi * (3 * progress + draw.random()))
    return drift + draw.normal(0, 0.01, (2, PASSES, 1)) + draw.normal(0, 0.01, (2, PASSES, ROUNDS))


def one_bad_pass(draw: np.random.Generator) -> np.ndarray:
    """One contender takes 1.5 times as long in one of six passes."""
    logs = draw.normal(0, 0.01, (2, PASSES, 1)) + draw.normal(0, 0.01, (2, PASSES, ROUNDS))
    logs[draw.integers(2), draw.integers(PASSES)] += math.log(1.5)
    return logs


def blocks(logs: np.ndarray) -> dict[int, dict[int, float]]:
    """Return the typical seconds of blocks, by pass and round, from logs (passes, rounds)."""
    return {number: dict(enumerate(np.exp(rounds).tolist(), 1)) for number, rounds in enumerate(logs, 1)}


def simulated(noise: Noise) -> list[np.ndarray]:
    draw = np.random.default_rng(20260102)
    return [noise(draw) for _ in range(RUNS)]


@pytest.mark.parametrize("noise", [heavy_tailed, autocorrelated, one_bad_pass])
def test_time_interval_contains_truth_in_90_to_99_percent(noise):
    hits = []
    for logs in simulated(noise):
        typical_times = np.exp(np.median(logs[0], axis=1))
        estimated = estimate(typical_times, [standard_error(np.exp(row)) for row in logs[0]])
        hits.append(estimated.low <= 1.0 <= estimated.high)
    assert 0.90 <= np.mean(hits) <= 0.99


@pytest.mark.parametrize("noise", [heavy_tailed, autocorrelated, drifting, one_bad_pass])
def test_ratio_interval_contains_truth_in_90_to_99_percent(noise):
    truth = 1.3
    ratios = paired([(blocks(first + math.log(truth)), blocks(second)) for first, second in simulated(noise)])
    assert 0.90 <= np.mean([ratio.low <= truth <= ratio.high for ratio in ratios]) <= 0.99
    assert {ratio.passes for ratio in ratios} == {PASSES}


@pytest.mark.parametrize("noise", [heavy_tailed, autocorrelated, drifting, one_bad_pass])
def test_identical_contenders_differ_in_at_most_1_percent(noise):
    ratios = paired([(blocks(first), blocks(second)) for first, second in simulated(noise)])
    judged = [verdicts([ratio])[0] for ratio in ratios]
    assert np.mean([verdict in ("faster", "slower") for verdict in judged]) <= 0.01


def test_shared_drift_does_not_widen_the_ratio():
    single = [estimate(np.exp(np.median(first, axis=1))).half_width for first, _ in simulated(drifting)]
    ratios = paired([(blocks(first), blocks(second)) for first, second in simulated(drifting)])
    assert np.median([ratio.half_width for ratio in ratios]) < np.median(single) / 3


LOOKS = [passes for passes in range(1, 39) if looks.is_look(passes)]


@pytest.mark.parametrize("tail", ["normal", "heavy"])
def test_repeated_looks_miss_the_truth_in_at_most_5_percent(tail):
    draw = np.random.default_rng(7)
    size = (RUNS, LOOKS[-1])
    logs = 0.02 * (draw.normal(size=size) if tail == "normal" else draw.standard_t(3, size))
    missed, missed_unadjusted, alarms = [], [], []
    for run in np.exp(logs):
        visits = LOOKS[: draw.integers(1, len(LOOKS) + 1)]  # by its time, a run may end at any look
        adaptive = [
            estimate(run[:passes], confidence=confidence_after(passes, spending))
            for passes, spending in looks.spendings(visits)
        ]
        unadjusted = [estimate(run[:passes]) for passes in LOOKS]
        missed.append(any(not interval.low <= 1.0 <= interval.high for interval in adaptive))
        missed_unadjusted.append(any(not interval.low <= 1.0 <= interval.high for interval in unadjusted))
        alarms.append(any({"faster", "slower"} & set(verdicts([interval])) for interval in adaptive))
    assert np.mean(missed) <= 0.055
    assert np.mean(missed_unadjusted) > 0.10, "which is why the looks share the 5 %"
    assert np.mean(alarms) <= 0.01


def test_confidence_after_looks():
    assert [confidence_after(passes, Spending.WHOLE) for passes in (1, 5, 50)] == [CONFIDENCE] * 3
    at_look = [confidence_after(passes, Spending.AT_LOOK) for passes in (5, 6, 7)]
    assert at_look == pytest.approx([1 - 0.05 / 4, 1 - 0.05 / 4, 1 - 0.05 * 3 / 16])
    assert confidence_after(7, Spending.AT_END) == pytest.approx(1 - 0.05 * 3 / 4)


@steady
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=9))
def test_more_confidence_widens_the_interval(values):
    estimated, surer = estimate(values), estimate(values, confidence=0.99)
    assert estimated.value == surer.value
    assert surer.low <= estimated.low <= estimated.high <= surer.high


def test_half_width_is_a_fraction_of_the_value():
    assert Estimate(2.0, 2.0 / 1.05, 2.0 * 1.05, 6).half_width == pytest.approx(0.05)
    assert Estimate(2.0, 2.0, 2.0, 6).half_width == 0.0
    assert estimate([2.0]).half_width == UNKNOWN.half_width == math.inf


@pytest.mark.parametrize(("bases", "others"), [(2, 3), (5, 5), (6, 8), (9, 4), (10, 10)])
def test_unpaired_is_yuen_welch_test(bases, others):
    first, second = passes(1, bases, spread=0.02)[0], passes(1, others, centre=0.3, spread=0.1, seed=3)[0]
    ratio = unpaired(first, second)
    assert ratio.inverse.value == pytest.approx(unpaired(second, first).value)
    cuts = [(count - kept_of(count)) / 2 for count in (bases, others)]
    trims = [(cut + 0.01) / count for cut, count in zip(cuts, (bases, others), strict=True)]
    if max(cuts) == 0 or (bases == others and cuts[0] == int(cuts[0])):
        expected = stats.ttest_ind(np.log(first), np.log(second), equal_var=False, trim=trims[0] if cuts[0] else 0)
        assert ratio.degrees == pytest.approx(expected.df)
        reach = stats.t.ppf(0.975, expected.df) * math.log(ratio.value) / expected.statistic
        assert math.log(ratio.high) == pytest.approx(math.log(ratio.value) + reach)
        # Against a bound of 1 the one-sided p-value is half of the test's.
        assert p_beyond(ratio, 1.0) == pytest.approx(expected.pvalue / 2)
    assert ratio.low < ratio.value < ratio.high


@pytest.mark.parametrize(("bases", "others"), [(3, 5), (6, 6), (10, 6)])
def test_unpaired_interval_contains_truth_in_95_percent(bases, others):
    bases_of_runs = passes(RUNS, bases, centre=0.4, spread=0.02, seed=1)
    ratios = [unpaired(*sides) for sides in zip(bases_of_runs, passes(RUNS, others, spread=0.06, seed=2), strict=True)]
    assert 0.92 <= np.mean([ratio.low <= math.exp(0.4) <= ratio.high for ratio in ratios]) <= 0.985


def test_too_few_unpaired_passes_have_no_interval():
    assert unpaired([], [1.0]) is UNKNOWN
    ratio = unpaired([4.0], [1.0, 2.0, 4.0])
    assert ratio.value == pytest.approx(2.0)
    assert math.isnan(ratio.low)
    assert p_beyond(ratio, 1.02) == 1.0
    assert unpaired([4.0, 4.0], [2.0, 2.0, 2.0]).high == pytest.approx(2.0)


def test_inverse_of_estimate():
    ratio = Estimate(2.0, 1.6, 2.5, 6, 0.99, 3.5)
    assert ratio.inverse == Estimate(0.5, 0.4, 0.625, 6, 0.99, 3.5)
    assert p_beyond(ratio.inverse, 1 / 1.02) == pytest.approx(p_beyond(ratio, 1.02))


def test_adaptive_ratio_has_more_confidence():
    logs = simulated(heavy_tailed)[0]
    sides = blocks(logs[0]), blocks(logs[1])
    (once,), (often,) = paired([sides]), paired([sides], Spending.AT_LOOK)
    assert (once.confidence, often.confidence) == (CONFIDENCE, pytest.approx(0.9875))
    assert often.value == once.value
    assert often.half_width > once.half_width


def test_median_error_matches_simulation():
    draws = np.random.default_rng(5).normal(0, 0.1, (TRIALS, 25))
    spread = np.std(np.median(draws, axis=1))
    assert np.mean([median_error(values) for values in draws]) == pytest.approx(spread, rel=0.1)
    assert median_error(np.array([3.0])) == 0.0


def test_one_outlier_barely_widens_median_error():
    calm = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.02])
    assert median_error(np.append(calm, 50.0)) < 2 * median_error(calm)


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
def test_verdict_needs_interval_beyond_or_within_minimum_effect(ratio, expected):
    assert verdicts([ratio]) == [expected]


def test_minimum_effect_can_be_set():
    assert verdicts([sure(1.05)], min_effect=0.1) == ["same"]
    assert verdicts([sure(1.05)], min_effect=0.01) == ["faster"]


def test_no_ratios_have_no_verdicts():
    assert verdicts([]) == []


@pytest.mark.parametrize("value", [0.01, 0.5, 1.0, 2.0, 100.0])
def test_one_pass_is_unclear(value):
    assert verdicts([estimate([value])] * 3) == ["unclear"] * 3


@pytest.mark.parametrize("ratio", [UNKNOWN, Estimate(5.0, math.nan, math.nan, 1), Estimate(1.0, math.nan, math.nan, 6)])
def test_ratio_without_interval_is_unclear(ratio):
    assert verdicts([ratio, sure(1.5)]) == ["unclear", "faster"]


@steady
@given(st.lists(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=6), max_size=6))
def test_verdict_agrees_with_interval(runs):
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
def test_runs_without_differences_rarely_have_any_false_alarm(min_effect, most):
    alarms = 0
    for number in range(200):
        ratios = [estimate(run) for run in passes(20, 6, spread=0.05, seed=number)]
        alarms += bool({"faster", "slower"} & set(verdicts(ratios, min_effect)))
    assert alarms / 200 <= most


def test_false_discovery_control_rejects_one_lucky_ratio():
    lucky = Estimate(1.04, 1.0202, 1.06, 6)
    assert verdicts([lucky]) == ["faster"]
    assert verdicts([lucky, *[sure(1.0, width=0.3)] * 39]) == ["unclear"] * 40


def test_real_differences_are_found():
    ratios = [estimate(run) for run in passes(20, 6, centre=math.log(1.5), spread=0.02)]
    assert verdicts(ratios) == ["faster"] * 20
    assert verdicts([ratio.inverse for ratio in ratios]) == ["slower"] * 20


def test_p_value_beyond_bound_is_students():
    logs = np.log([1.10, 1.20, 1.15, 1.12])
    expected = stats.ttest_1samp(logs, math.log(1.02), alternative="greater").pvalue
    assert p_beyond(estimate(np.exp(logs)), 1.02) == pytest.approx(expected)
    below = stats.ttest_1samp(-logs, math.log(1 / 1.02), alternative="less").pvalue
    assert p_beyond(estimate(np.exp(-logs)), 1 / 1.02) == pytest.approx(below)


@pytest.mark.parametrize("confidence", [0.975, 0.99])
def test_p_value_is_divided_by_the_share_of_its_look(confidence):
    values = [1.06, 1.10, 1.05, 1.12, 1.08]
    once, often = estimate(values), estimate(values, confidence=confidence)
    share = (1 - confidence) / (1 - CONFIDENCE)
    assert p_beyond(often, 1.02) == pytest.approx(p_beyond(once, 1.02) / share)
    assert p_beyond(often, 1 / 1.02) == 1.0


def test_zero_minimum_effect_accepts_any_difference():
    assert verdicts([sure(1.01), sure(0.99), sure(1.0, 0.1)], min_effect=0.0) == ["faster", "slower", "unclear"]


def test_p_value_without_spread_or_interval():
    assert p_beyond(estimate([2.0] * 3), 1.02) == 0.0
    assert p_beyond(estimate([1.0] * 3), 1.02) == 1.0
    assert p_beyond(estimate([2.0]), 1.02) == 1.0
    assert p_beyond(UNKNOWN, 1.02) == 1.0


def test_typical_and_high_are_quantiles_and_floor_is_the_least():
    samples = np.arange(101.0)
    np.random.default_rng(1).shuffle(samples)
    assert (typical(samples), floor(samples), high(samples)) == (50.0, 0.0, 95.0)


def test_interval_is_no_narrower_than_its_blocks_allow():
    agreeing = [1.0, 1.0 + 1e-6]
    assert estimate(agreeing).high < 1.0001
    known = estimate(agreeing, [0.03, 0.04])
    reach = stats.norm.ppf(0.975) * 0.035 / math.sqrt(2)
    assert math.log(known.high / known.value) == pytest.approx(reach)
    assert math.log(known.value / known.low) == pytest.approx(reach)
    apart = [1.0, 2.0]
    assert estimate(apart, [1e-3, 1e-3]) == estimate(apart)


def test_a_disturbed_pass_does_not_decide_what_the_blocks_allow():
    agreeing = [1.0 + number * 1e-6 for number in range(5)]
    calm = estimate(agreeing, [0.03] * 5)
    assert estimate(agreeing, [0.03, 0.03, 0.9, 0.03, 0.03]) == calm
    assert estimate(agreeing, [0.9] * 5).half_width > 10 * calm.half_width


def test_standard_error_needs_two_blocks():
    assert standard_error([1.0]) == 0.0
    assert standard_error([1.0, math.e]) == pytest.approx(0.5)
