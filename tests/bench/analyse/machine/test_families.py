"""Tests of how often one slower cell is found in a run of many, with noise of known size."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analyse.machine.families import Series, trials
from bench.plan import looks

MEASURED = 60
SLOWDOWNS = (0.0, 0.03, 0.05, 0.10)


def calibrated(spread: float, seed: int = 3) -> list[Series]:
    """Return a calibration of MEASURED passes whose logs have the standard deviation `spread`."""
    draw = np.random.default_rng(seed)
    return [
        Series(slowdown, np.log1p(slowdown) + spread * draw.normal(size=MEASURED), np.zeros(MEASURED))
        for slowdown in SLOWDOWNS
    ]


def share_found(series: list[Series], slowdown: float, cells: int, passes: int | None) -> float:
    [slowed] = [each for each in series if each.slowdown == slowdown]
    return float(np.mean([trial.verdict == "slower" for trial in trials(series, slowed, cells, passes)]))


def test_small_noise_finds_slowdown_among_any_number_of_cells():
    series = calibrated(0.001)
    assert [share_found(series, 0.05, cells, 5) for cells in (1, 10, 40)] == [1.0, 1.0, 1.0]
    assert [share_found(series, 0.0, cells, 5) for cells in (1, 10, 40)] == [0.0, 0.0, 0.0]


def test_slower_cell_is_harder_to_find_among_many():
    series = calibrated(0.015)
    alone, among = share_found(series, 0.05, 1, 5), share_found(series, 0.05, 100, 5)
    assert 0 < among < alone


def test_more_passes_find_more():
    series = calibrated(0.02)
    few, more = (share_found(series, 0.05, 40, passes) for passes in (5, 20))
    assert few < more
    assert more > 0.9


def test_other_cells_have_no_slowdown():
    series = calibrated(0.005)
    [slowed] = [each for each in series if each.slowdown == 0.05]
    unchanged_trials = trials(series, slowed, 40, 5)
    assert np.mean([trial.false_alarms for trial in unchanged_trials]) <= 0.001
    # With their slowdowns left in, the same cells are called slower.
    changed = [Series(0.0, each.logs, each.errors) for each in series]
    assert np.mean([trial.false_alarms for trial in trials(changed, slowed, 40, 5)]) > 0.2


def test_interval_contains_slowdown_in_most_runs():
    series = calibrated(0.01)
    for slowed in series:
        assert np.mean([trial.covered for trial in trials(series, slowed, 10, 5)]) >= 0.85


def test_adaptive_run_ends_with_the_deciding_look():
    calm, noisy = (trials(series, series[2], 10, None) for series in (calibrated(0.001), calibrated(0.03)))
    assert {trial.passes for trial in calm} == {looks.FIRST}
    assert {trial.passes for trial in noisy} > {looks.FIRST}
    assert all(looks.is_look(trial.passes) for trial in noisy)


def test_lone_cell_has_no_false_alarms():
    series = calibrated(0.01)
    assert {trial.false_alarms for trial in trials(series, series[0], 1, 5)} == {0.0}


@pytest.mark.parametrize("passes", [5, None])
def test_same_seed_gives_same_trials(passes):
    series = calibrated(0.02)
    assert trials(series, series[1], 10, passes, seed=7, count=40) == trials(
        series, series[1], 10, passes, seed=7, count=40
    )
    assert trials(series, series[1], 10, passes, seed=7, count=40) != trials(
        series, series[1], 10, passes, seed=8, count=40
    )
