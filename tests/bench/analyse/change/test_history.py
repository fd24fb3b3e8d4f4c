import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.change import history
from bench.analyse.change.history import MOST_BASE, WINDOW, Newest, Shift
from bench.analyse.change.sides import CellSide
from bench.analyse.estimates.statistics import Estimate
from bench.plan.cells import Cell
from tests.bench.made import NUMPY, SMALL, TORCH, steady
from tests.bench.many import PASSES

CELLS = [Cell(contender, SMALL, "step") for contender in (NUMPY, TORCH)]


def made(draw, count=40, step=0.0, at=None, spread=0.02, correlation=0.0) -> np.ndarray:
    """Lognormal noise with some values far to the right, and a step."""
    noise = draw.normal(0, 1, count)
    for place in range(1, count):
        noise[place] = correlation * noise[place - 1] + math.sqrt(1 - correlation**2) * noise[place]
    logs = spread * noise + np.where(draw.random(count) < 0.05, draw.exponential(0.2, count), 0)
    if at is not None:
        logs[at:] += math.log1p(step)
    return np.exp(logs)


def at(found) -> list[int]:
    return [shift.at for shift in found]


def test_a_step_is_found_where_it_is_and_as_large_as_it_is():
    draw = np.random.default_rng(1)
    [shift] = history.shifts(made(draw, step=0.1, at=25))
    assert abs(shift.at - 25) <= history.LOCATED
    assert shift.ratio.low < 1.1 < shift.ratio.high
    assert shift.ratio.value == pytest.approx(1.1, abs=0.02)
    assert shift.p < 1e-3


def test_a_series_without_a_change_is_one_level():
    values = made(np.random.default_rng(2))
    assert history.shifts(values) == []
    [level] = history.levels(values, [])
    assert (level.begin, level.end, level.seconds) == (0, 40, np.median(values))


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 5, [1.0] * 50])
def test_too_few_runs_or_none_that_differ_have_no_change(values):
    assert history.shifts(np.array(values)) == []


def test_series_that_repeat_exactly_have_their_change():
    [shift] = history.shifts([1.0] * 5 + [1.1] * 5)
    assert (shift.at, round(shift.ratio.value, 6)) == (5, 1.1)


def test_values_that_are_no_times_are_refused():
    with pytest.raises(ValueError, match="positive, finite"):
        history.shifts([1.0] * 9 + [0.0])


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("count", [6, 8, 12, 40])
def test_of_a_hundred_cells_that_keep_their_level_hardly_any_has_a_change(count, correlation):
    draw = np.random.default_rng(3)
    kept = [
        sum(map(len, history.real([history.shifts(made(draw, count, correlation=correlation)) for _ in range(100)])))
        for _ in range(5)
    ]
    assert sum(kept) <= 3


def test_of_many_cells_those_that_changed_are_found():
    draw = np.random.default_rng(4)
    series = [made(draw, 40, 0.15, 20) if cell % 5 == 0 else made(draw, 40) for cell in range(100)]
    found = history.real([history.shifts(one) for one in series])
    hit = [any(abs(place - 20) <= history.LOCATED for place in at(found[cell])) for cell in range(0, 100, 5)]
    assert np.mean(hit) >= 0.9
    assert sum(bool(found[cell]) for cell in range(100) if cell % 5) <= 2


def test_a_doubtful_change_is_kept_alone_and_not_among_many_cells_without_one():
    doubtful = Shift(9, Estimate(1.05, 1.0, 1.1, 9), 0.03)
    assert history.real([[doubtful]]) == [[doubtful]]
    assert history.real([[doubtful], *([[]] * 50)]) == [[]] * 51
    assert history.real([]) == []


def test_levels_lie_between_the_changes_that_were_kept():
    values = np.repeat([1.0, 2.0, 3.0], 4)
    told = history.levels(values, [Shift(4, Estimate(2, 2, 2, 4), 0.0), Shift(8, Estimate(1.5, 1.5, 1.5, 4), 0.0)])
    assert [(level.begin, level.end, level.seconds) for level in told] == [(0, 4, 1.0), (4, 8, 2.0), (8, 12, 3.0)]


@pytest.mark.parametrize("place", [50, 87, 88, 90, 107, 108, 109, 126, 128, 129, 250, 376])
def test_a_series_longer_than_a_window_has_each_change_once(place):
    draw = np.random.default_rng(5)
    found = history.shifts(made(draw, 3 * WINDOW, 0.15, place))
    assert len(found) == 1
    assert abs(found[0].at - place) <= 2 * history.LOCATED


def test_a_long_series_that_keeps_its_level_has_no_change():
    draw = np.random.default_rng(6)
    assert sum(len(history.shifts(made(draw, 2000))) for _ in range(5)) == 0


@steady
@given(st.integers(0, 2**32 - 1), st.floats(0.25, 4.0))
def test_changes_do_not_depend_on_the_unit(seed, scale):
    values = made(np.random.default_rng(seed), 24, 0.1, 12)
    assert at(history.shifts(values)) == at(history.shifts(values * scale))


def test_a_series_of_pandas_is_as_good_as_an_array():
    values = made(np.random.default_rng(7), step=0.1, at=25)
    assert history.shifts(pd.Series(values)) == history.shifts(values)


def test_the_last_level_is_that_of_the_last_runs():
    values = made(np.random.default_rng(8), step=0.2, at=25)
    assert history.last_level(values) == slice(25, 40)
    assert history.last_level(values[:25]) == slice(0, 25)
    assert history.last_level([]) == slice(0, 0)
    assert history.last_level(np.ones(3 * MOST_BASE)) == slice(2 * MOST_BASE, 3 * MOST_BASE)


TOLD = {1: {"numpy": "1", "source": "a"}, 2: {"numpy": "2", "source": "a"}, 3: {"numpy": "2", "source": "b"}}


def told(found):
    return [(one.name, one.before, one.after, one.runs_later) for one in found]


def test_what_changed_at_a_change_explains_it():
    assert told(history.differences([1, 1, 2, 3], TOLD, 2)) == [("numpy", "1", "2", 0)]
    assert told(history.differences([1, 1, 3, 3], TOLD, 2)) == [("numpy", "1", "2", 0), ("source", "a", "b", 0)]


def test_else_what_changed_as_near_as_changes_are_located():
    assert told(history.differences([1, 1, 1, 2, 3], TOLD, 2)) == [("numpy", "1", "2", 1)]
    assert told(history.differences([1, 2, 2, 2], TOLD, 3)) == [("numpy", "1", "2", -2)]
    assert told(history.differences([1, 2, 2, 2, 2], TOLD, 4)) == []
    assert told(history.differences([1, 1], TOLD, 1)) == []


def test_what_only_one_run_has_is_a_difference():
    assert told(history.differences([1, 4], TOLD | {4: {"source": "a", "blas": "x"}}, 1)) == [
        ("numpy", "1", "", 0),
        ("blas", "", "x", 0),
    ]


def test_a_new_series_is_told_by_its_conditions():
    assert told(history.begun({"cpu": "A", "threads": 2}, {"cpu": "A", "threads": 4})) == [("threads", "2", "4", 0)]


def runs(draw, count, between, within=0.004, centre=1.0):
    """Processes of runs that differ by more than their processes do."""
    return [centre * np.exp(draw.normal(draw.normal(0, between), within, PASSES)) for _ in range(count)]


def newest(draw, factor, count=12, between=0.003, cell=CELLS[0], status="ok"):
    *base, last = runs(draw, count + 1, between)
    floors = dict(enumerate((last * factor).tolist(), 1)) if status == "ok" else {}
    return Newest(CellSide(cell, status, floors=floors, typicals=floors), base, base)


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, "slower"), (0.9, "faster"), (1.0, "same")])
def test_the_newest_run_is_held_against_the_last_level(factor, verdict):
    [change] = history.newest([newest(np.random.default_rng(9), factor)], adaptive=False)
    assert change.verdict == verdict
    assert change.ratio.low < factor < change.ratio.high
    assert change.base.floor.passes == 12 * PASSES


def test_runs_that_differ_by_more_than_their_processes_tell_raise_no_alarm():
    draw = np.random.default_rng(10)
    for count in (3, 5, 12):
        alarms = [
            history.newest([newest(draw, 1.0, count, between=0.02)], adaptive=False)[0].verdict in ("slower", "faster")
            for _ in range(200)
        ]
        assert np.mean(alarms) <= 0.02


def test_the_interval_has_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(11)
    told = [history.newest([newest(draw, 1.03, count=8, between=0.01)], adaptive=False)[0].ratio for _ in range(400)]
    assert 0.92 <= np.mean([ratio.low <= 1.03 <= ratio.high for ratio in told]) <= 1.0


def test_a_single_run_is_compared_by_its_processes():
    [change] = history.newest([newest(np.random.default_rng(12), 1.1, count=1)], adaptive=False)
    assert change.verdict == "slower"


def test_each_cell_has_its_own_minimum_effect():
    cells = [
        replace(newest(np.random.default_rng(14), 1.1, cell=cell), min_effect=e)
        for cell, e in zip(CELLS, (0.02, 0.2), strict=True)
    ]
    assert [change.verdict for change in history.newest(cells, adaptive=False)] == ["slower", "same"]


def test_a_cell_that_lost_its_time_is_missing_and_a_wrong_one_wrong():
    draw = np.random.default_rng(13)
    cells = [
        newest(draw, 1, cell=cell, status=status) for cell, status in zip(CELLS, ("crashed", "wrong"), strict=True)
    ]
    assert [change.verdict for change in history.newest(cells, adaptive=False)] == ["missing", "wrong"]


def test_a_cell_that_never_was_right_is_wrong_as_well():
    assert [
        change.verdict
        for change in history.newest([Newest(CellSide(CELLS[0], "wrong", "NaN"), [], [])], adaptive=False)
    ] == ["wrong"]
