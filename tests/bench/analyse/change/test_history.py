import math
from dataclasses import astuple, replace

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
    """Return a series of lognormal noise with outliers above and a step."""
    noise = draw.normal(0, 1, count)
    for index in range(1, count):
        noise[index] = correlation * noise[index - 1] + math.sqrt(1 - correlation**2) * noise[index]
    logs = spread * noise + np.where(draw.random(count) < 0.05, draw.exponential(0.2, count), 0)
    if at is not None:
        logs[at:] += math.log1p(step)
    return np.exp(logs)


def at(shifts) -> list[int]:
    return [shift.at for shift in shifts]


def test_step_is_found_with_position_and_size():
    draw = np.random.default_rng(1)
    [shift] = history.shifts(made(draw, step=0.1, at=25))
    assert abs(shift.at - 25) <= history.LOCATED
    assert shift.ratio.low < 1.1 < shift.ratio.high
    assert shift.ratio.value == pytest.approx(1.1, abs=0.02)
    assert shift.p < 1e-3


def test_series_without_a_change_is_one_level():
    values = made(np.random.default_rng(2))
    assert history.shifts(values) == []
    [level] = history.levels(values, [])
    assert (level.begin, level.end, level.seconds) == (0, 40, np.median(values))


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 5, [1.0] * 50])
def test_too_few_or_equal_runs_have_no_change(values):
    assert history.shifts(np.array(values)) == []


def test_step_without_noise_is_found():
    [shift] = history.shifts([1.0] * 5 + [1.1] * 5)
    assert (shift.at, round(shift.ratio.value, 6)) == (5, 1.1)


def test_invalid_times_are_refused():
    with pytest.raises(ValueError, match="positive, finite"):
        history.shifts([1.0] * 9 + [0.0])


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("count", [6, 8, 12, 40])
def test_cells_with_one_level_rarely_have_a_change(count, correlation):
    draw = np.random.default_rng(3)
    false_changes = [
        sum(map(len, history.real([history.shifts(made(draw, count, correlation=correlation)) for _ in range(100)])))
        for _ in range(5)
    ]
    assert sum(false_changes) <= 3


def test_changed_cells_are_found_among_many():
    draw = np.random.default_rng(4)
    series = [made(draw, 40, 0.15, 20) if cell % 5 == 0 else made(draw, 40) for cell in range(100)]
    real_shifts = history.real([history.shifts(values) for values in series])
    is_found = [any(abs(index - 20) <= history.LOCATED for index in at(real_shifts[cell])) for cell in range(0, 100, 5)]
    assert np.mean(is_found) >= 0.9
    assert sum(bool(real_shifts[cell]) for cell in range(100) if cell % 5) <= 2


def test_doubtful_change_is_rejected_among_many_cells():
    doubtful = Shift(9, Estimate(1.05, 1.0, 1.1, 9), 0.03)
    assert history.real([[doubtful]]) == [[doubtful]]
    assert history.real([[doubtful], *([[]] * 50)]) == [[]] * 51
    assert history.real([]) == []


def test_levels_lie_between_shifts():
    values = np.repeat([1.0, 2.0, 3.0], 4)
    levels = history.levels(values, [Shift(4, Estimate(2, 2, 2, 4), 0.0), Shift(8, Estimate(1.5, 1.5, 1.5, 4), 0.0)])
    assert [(level.begin, level.end, level.seconds) for level in levels] == [(0, 4, 1.0), (4, 8, 2.0), (8, 12, 3.0)]


@pytest.mark.parametrize("index", [50, 87, 88, 90, 107, 108, 109, 126, 128, 129, 250, 376])
def test_long_series_has_each_change_once(index):
    draw = np.random.default_rng(5)
    shifts = history.shifts(made(draw, 3 * WINDOW, 0.15, index))
    assert len(shifts) == 1
    assert abs(shifts[0].at - index) <= 2 * history.LOCATED


def test_long_series_with_one_level_has_no_change():
    draw = np.random.default_rng(6)
    assert sum(len(history.shifts(made(draw, 2000))) for _ in range(5)) == 0


@steady
@given(st.integers(0, 2**32 - 1), st.floats(0.25, 4.0))
def test_changes_do_not_depend_on_the_unit(seed, scale):
    values = made(np.random.default_rng(seed), 24, 0.1, 12)
    assert at(history.shifts(values)) == at(history.shifts(values * scale))


def test_pandas_series_is_accepted():
    values = made(np.random.default_rng(7), step=0.1, at=25)
    assert history.shifts(pd.Series(values)) == history.shifts(values)


def test_last_level_has_the_last_runs():
    values = made(np.random.default_rng(8), step=0.2, at=25)
    assert history.last_level(values) == slice(25, 40)
    assert history.last_level(values[:25]) == slice(0, 25)
    assert history.last_level([]) == slice(0, 0)
    assert history.last_level(np.ones(3 * MOST_BASE)) == slice(2 * MOST_BASE, 3 * MOST_BASE)


CONTENTS = {1: {"numpy": "1", "source": "a"}, 2: {"numpy": "2", "source": "a"}, 3: {"numpy": "2", "source": "b"}}


def tuples(differences):
    return [astuple(difference) for difference in differences]


def test_difference_at_a_change_explains_it():
    assert tuples(history.differences([1, 1, 2, 3], CONTENTS, 2)) == [("numpy", "1", "2", 0)]
    assert tuples(history.differences([1, 1, 3, 3], CONTENTS, 2)) == [
        ("numpy", "1", "2", 0),
        ("source", "a", "b", 0),
    ]


def test_nearby_difference_explains_a_change_otherwise():
    assert tuples(history.differences([1, 1, 1, 2, 3], CONTENTS, 2)) == [("numpy", "1", "2", 1)]
    assert tuples(history.differences([1, 2, 2, 2], CONTENTS, 3)) == [("numpy", "1", "2", -2)]
    assert tuples(history.differences([1, 2, 2, 2, 2], CONTENTS, 4)) == []
    assert tuples(history.differences([1, 1], CONTENTS, 1)) == []


def test_content_of_only_one_run_is_a_difference():
    assert tuples(history.differences([1, 4], CONTENTS | {4: {"source": "a", "blas": "x"}}, 1)) == [
        ("numpy", "1", "", 0),
        ("blas", "", "x", 0),
    ]


def test_new_series_begins_with_different_conditions():
    assert tuples(history.begun({"cpu": "A", "threads": 2}, {"cpu": "A", "threads": 4})) == [("threads", "2", "4", 0)]


def runs(draw, count, between, within=0.004, centre=1.0):
    """Return the processes of runs that differ `between` runs and `within` them."""
    return [centre * np.exp(draw.normal(draw.normal(0, between), within, PASSES)) for _ in range(count)]


def newest(draw, factor, count=12, between=0.003, cell=CELLS[0], status="ok"):
    *base, last = runs(draw, count + 1, between)
    floors = dict(enumerate((last * factor).tolist(), 1)) if status == "ok" else {}
    return Newest(CellSide(cell, status, floors=floors, typicals=floors), base, base)


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, "slower"), (0.9, "faster"), (1.0, "same")])
def test_newest_run_is_compared_with_the_last_level(factor, verdict):
    [change] = history.newest([newest(np.random.default_rng(9), factor)], adaptive=False)
    assert change.verdict == verdict
    assert change.ratio.low < factor < change.ratio.high
    assert change.base.floor.passes == 12 * PASSES


def test_differing_runs_rarely_raise_false_alarms():
    draw = np.random.default_rng(10)
    for count in (3, 5, 12):
        alarms = [
            history.newest([newest(draw, 1.0, count, between=0.02)], adaptive=False)[0].verdict in ("slower", "faster")
            for _ in range(200)
        ]
        assert np.mean(alarms) <= 0.02


def test_interval_contains_truth():
    draw = np.random.default_rng(11)
    ratios = [history.newest([newest(draw, 1.03, count=8, between=0.01)], adaptive=False)[0].ratio for _ in range(400)]
    assert 0.92 <= np.mean([ratio.low <= 1.03 <= ratio.high for ratio in ratios]) <= 1.0


def test_single_run_is_compared_by_its_processes():
    [change] = history.newest([newest(np.random.default_rng(12), 1.1, count=1)], adaptive=False)
    assert change.verdict == "slower"


def test_each_cell_has_its_own_minimum_effect():
    cells = [
        replace(newest(np.random.default_rng(14), 1.1, cell=cell), min_effect=min_effect)
        for cell, min_effect in zip(CELLS, (0.02, 0.2), strict=True)
    ]
    assert [change.verdict for change in history.newest(cells, adaptive=False)] == ["slower", "same"]


def test_cell_without_time_is_missing_or_wrong():
    draw = np.random.default_rng(13)
    cells = [
        newest(draw, 1, cell=cell, status=status) for cell, status in zip(CELLS, ("crashed", "wrong"), strict=True)
    ]
    assert [change.verdict for change in history.newest(cells, adaptive=False)] == ["missing", "wrong"]


def test_cell_without_earlier_times_can_be_wrong():
    assert [
        change.verdict
        for change in history.newest([Newest(CellSide(CELLS[0], "wrong", "NaN"), [], [])], adaptive=False)
    ] == ["wrong"]
