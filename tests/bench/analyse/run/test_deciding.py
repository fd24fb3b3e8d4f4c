"""How many passes a speed-up is said to need, and what they are said to cost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.statistics import UNKNOWN, estimate, verdicts
from bench.analyse.run import deciding
from bench.analyse.run.run import Run
from bench.measure.records import RunEnded
from bench.plan.cells import Contender
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells

DEVIATIONS = (-1.2, 0.7, 0.1, 1.3, -0.9)


def ratio(value: float, deviation: float, passes: int = 5):
    """A speed-up whose passes deviate by so much, in logs."""
    return estimate(value * np.exp(deviation * np.resize(DEVIATIONS, passes)))


def test_ratio_far_beyond_needs_no_more_than_one_further_pass():
    assert deciding.needed_passes(ratio(2.0, 0.01)) == 6


def test_two_passes_need_five_at_least():
    assert deciding.needed_passes(ratio(2.0, 1e-6, passes=2)) == 5


def test_ratio_at_the_minimum_effect_is_never_decided():
    assert deciding.needed_passes(ratio(1.02, 0.01), 0.02) is None


@pytest.mark.parametrize("unknown", [UNKNOWN, ratio(1.5, 0.1, passes=1)], ids=["no pass", "one pass"])
def test_ratio_without_an_error_has_no_answer(unknown):
    assert deciding.needed_passes(unknown) is None


@given(
    value=st.floats(0.5, 2.0),
    deviation=st.floats(1e-4, 0.5),
    factor=st.floats(1.0, 3.0),
    min_effect=st.floats(0.005, 0.1),
)
def test_more_noise_never_needs_fewer_passes(value, deviation, factor, min_effect):
    calm, noisy = (
        deciding.needed_passes(ratio(value, each), min_effect) or deciding.MOST_PASSES + 1
        for each in (deviation, factor * deviation)
    )
    assert 6 <= calm <= noisy


@given(st.floats(0.3, 3.0), st.floats(1e-4, 0.5))
def test_inverse_needs_as_many(value, deviation):
    forward = ratio(value, deviation)
    backward = replace(forward.inverse, error=forward.error, least=forward.least)
    assert deciding.needed_passes(forward) == deciding.needed_passes(backward)


@given(st.floats(0.001, 0.025))
def test_stricter_test_never_needs_fewer_passes(tail):
    usual, strict = (
        deciding.needed_passes(ratio(1.1, 0.05), tail=each) or deciding.MOST_PASSES + 1 for each in (0.025, tail)
    )
    assert usual <= strict


@pytest.mark.parametrize("true", [1.06, 1.1, 1.0])
def test_as_many_passes_decide_most_runs(true):
    """In simulated runs of as many passes as a typical run of five is said to need, four in five are decided."""
    random, noise = np.random.default_rng(3), 0.02
    said = deciding.needed_passes(replace(ratio(true, 0.0), error=noise / np.sqrt(5)))
    assert said is not None
    decided = [verdicts([estimate(true * np.exp(random.normal(0.0, noise, said)))])[0] != "unclear" for _ in range(300)]
    assert 0.65 <= np.mean(decided) <= 1.0


def unclear_story(passes: int = 5, **others) -> Story:
    """A run in which torch is a little faster than numpy, which varies from pass to pass."""
    factors = (1.0, 1.15, 0.9, 1.1, 0.95)

    def seconds(cell, pass_number):
        return 1e-3 / 1.06 if cell.contender == TORCH else 1e-3 * factors[(pass_number - 1) % 5]

    return Story(plan_of_cells((NUMPY, TORCH), passes=passes), seconds=seconds, **others)


def outlook_of(run: Run):
    return deciding.outlook(run, run.measured, run.speedups, "step")


def test_outlook_counts_and_costs():
    run = unclear_story().run()
    ahead = outlook_of(run)
    assert (ahead.verdicts, ahead.unclear, ahead.decided, ahead.beyond) == (1, 1, 1, 0)
    assert ahead.passes == deciding.needed_passes(run.speedups[run.plan.cells[1].key].ratio)
    assert ahead.seconds == pytest.approx((ahead.passes - 5) * deciding.pass_seconds(run))


def test_decided_run_has_no_outlook():
    run = Story(plan_of_cells()).run()
    assert outlook_of(run) is None
    assert deciding.outlook(run, run.measured, run.speedups, "train") is None


def test_passes_asked_for_decide_half_of_those_that_can_be_decided(monkeypatch):
    names = [Contender(name, "cpu", "float32") for name in "abcde"]
    run = Story(plan_of_cells([NUMPY, *names])).run()
    needed = iter([7, None, 30, 9, 12])
    monkeypatch.setattr(deciding, "needed_passes", lambda *of: next(needed))
    speedups = {key: replace(speedup, verdict="unclear") for key, speedup in run.speedups.items() if speedup.verdict}
    ahead = deciding.outlook(run, run.measured, speedups, "step")
    assert (ahead.unclear, ahead.passes, ahead.decided, ahead.beyond) == (5, 9, 2, 1)


def test_cells_of_different_numbers_of_passes_count_by_those_they_lack(monkeypatch):
    names = [Contender(name, "cpu", "float32") for name in "abc"]
    run = Story(plan_of_cells([NUMPY, *names], time_budget=60.0)).run()
    of_passes = iter([5, 5, 10])
    monkeypatch.setattr(deciding, "needed_passes", lambda ratio, *of: ratio.passes + 2)
    speedups = {
        key: replace(
            speedup, verdict="unclear", ratio=replace(speedup.ratio, passes=next(of_passes), low=0.5, high=2.0)
        )
        for key, speedup in run.speedups.items()
        if speedup.verdict
    }
    ahead = deciding.outlook(run, run.measured, speedups, "step")
    assert (ahead.unclear, ahead.further, ahead.passes, ahead.decided) == (3, 2, 12, 3)


def test_precise_ratios_need_no_more_where_the_run_leaves_them_alone():
    for budget, unclear in ((None, 1), (60.0, 0)):
        run = Story(plan_of_cells(time_budget=budget, precision=0.5)).run()
        speedups = {key: replace(each, verdict=each.verdict and "unclear") for key, each in run.speedups.items()}
        ahead = deciding.outlook(run, run.measured, speedups, "step")
        assert (ahead.unclear if ahead else 0) == unclear


def test_pass_costs_what_its_requests_and_the_time_between_them_took():
    story = Story(plan_of_cells(), complete=False)
    # In each pass two processes of 0.5 s, two preparations of 1/16 s, two warm-ups of 1/32 s, four blocks of 1/8 s.
    in_requests = 2 * (0.5 + 0.0625 + 0.03125) + 4 * 0.125
    assert deciding.pass_seconds(story.run()) == pytest.approx(in_requests)
    twice = [*story.records(), RunEnded(True, 2 * 5 * in_requests)]
    assert deciding.pass_seconds(Run.of(twice)) == pytest.approx(2 * in_requests)
    assert deciding.pass_seconds(Story(plan_of_cells(), passes=0).run()) == 0.0
