"""How often one slower cell is found in a run of many: of noise whose size is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analyse.machine.families import Series, trials
from bench.plan import looks

MEASURED = 60
SLOWDOWNS = (0.0, 0.03, 0.05, 0.10)


def calibrated(spread: float, seed: int = 3) -> list[Series]:
    """A calibration of so many passes whose logs have this standard deviation."""
    draw = np.random.default_rng(seed)
    return [
        Series(slowdown, np.log1p(slowdown) + spread * draw.normal(size=MEASURED), np.zeros(MEASURED))
        for slowdown in SLOWDOWNS
    ]


def found(series: list[Series], slowdown: float, cells: int, passes: int | None) -> float:
    [slowed] = [one for one in series if one.slowdown == slowdown]
    return float(np.mean([trial.verdict == "slower" for trial in trials(series, slowed, cells, passes)]))


def test_where_noise_is_small_a_slowdown_is_found_however_many_cells_there_are():
    series = calibrated(0.001)
    assert [found(series, 0.05, cells, 5) for cells in (1, 10, 40)] == [1.0, 1.0, 1.0]
    assert [found(series, 0.0, cells, 5) for cells in (1, 10, 40)] == [0.0, 0.0, 0.0]


def test_one_slower_cell_is_harder_to_find_among_many():
    series = calibrated(0.015)
    alone, among = found(series, 0.05, 1, 5), found(series, 0.05, 100, 5)
    assert 0 < among < alone


def test_more_passes_find_more():
    series = calibrated(0.02)
    few, more = (found(series, 0.05, 40, passes) for passes in (5, 20))
    assert few < more
    assert more > 0.9


def test_the_cells_beside_it_have_not_changed_whatever_their_variant_was_slowed_by():
    series = calibrated(0.005)
    [slowed] = [one for one in series if one.slowdown == 0.05]
    told = trials(series, slowed, 40, 5)
    assert np.mean([trial.false_alarms for trial in told]) <= 0.001
    # The same cells, were their slowdowns left in, would be called slower.
    changed = [Series(0.0, one.logs, one.errors) for one in series]
    assert np.mean([trial.false_alarms for trial in trials(changed, slowed, 40, 5)]) > 0.2


def test_the_interval_of_the_slowed_cell_has_its_slowdown_in_most_runs():
    series = calibrated(0.01)
    for slowed in series:
        assert np.mean([trial.covered for trial in trials(series, slowed, 10, 5)]) >= 0.85


def test_an_adaptive_run_ends_with_the_look_that_decides():
    calm, noisy = (trials(series, series[2], 10, None) for series in (calibrated(0.001), calibrated(0.03)))
    assert {trial.passes for trial in calm} == {looks.FIRST}
    assert {trial.passes for trial in noisy} > {looks.FIRST}
    assert all(looks.is_look(trial.passes) for trial in noisy)


def test_a_lone_cell_has_no_others_to_be_wrong_about():
    series = calibrated(0.01)
    assert {trial.false_alarms for trial in trials(series, series[0], 1, 5)} == {0.0}


@pytest.mark.parametrize("passes", [5, None])
def test_the_same_seed_gives_the_same_trials(passes):
    series = calibrated(0.02)
    assert trials(series, series[1], 10, passes, seed=7, count=40) == trials(
        series, series[1], 10, passes, seed=7, count=40
    )
    assert trials(series, series[1], 10, passes, seed=7, count=40) != trials(
        series, series[1], 10, passes, seed=8, count=40
    )
