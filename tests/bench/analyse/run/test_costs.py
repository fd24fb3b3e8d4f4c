import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.statistics import UNKNOWN, estimate
from bench.analyse.run.costs import BreakEven, Start, break_even, fieller
from bench.analyse.run.run import Run
from bench.measure.records import Block, Left, Prepared, WorkerStarted
from bench.plan.cells import Contender
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, SPREAD, TORCH, Outcome, Story, plan_of_cells, settled
from tests.bench.made import records as made_records
from tests.bench.made import steady as repeatable

WOBBLE = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002)


def starts(start_up, step, passes=6, wobble=1.0, error=0.0):
    """Passes that agree but for a little; `wobble` scales by how little."""
    return {
        number: Start(
            start_up * (1 + wobble * (WOBBLE[number % 6] - 1)), step * (1 + wobble * (WOBBLE[number % 5] - 1)), error
        )
        for number in range(passes)
    }


def told(mine, base, **others) -> BreakEven:
    return break_even(starts(*mine, **others), starts(*base, wobble=0.5))


def one(records, contender, shape=SMALL):
    return next(each for each in Run.of(records).costs if (each.contender, each.shape) == (contender, shape))


def changed(records, kind, fits, **values):
    """The journal with some records changed."""
    return [
        replace(record, **{name: new(record) for name, new in values.items()})
        if isinstance(record, kind) and fits(record)
        else record
        for record in records
    ]


@pytest.mark.parametrize(
    ("mine", "base", "answer"),
    [
        ((2.0, 1e-3), (1.0, 2e-3), "after"),
        ((1.0, 1e-3), (2.0, 2e-3), "at once"),
        ((2.0, 2e-3), (1.0, 1e-3), "never"),
        ((1.0, 2e-3), (2.0, 1e-3), "until"),
    ],
)
def test_who_is_ahead_and_from_when_on(mine, base, answer):
    assert told(mine, base).answer == answer


@pytest.mark.parametrize(("mine", "base"), [((2.0, 1e-3), (1.0, 2e-3)), ((1.0, 2e-3), (2.0, 1e-3))])
def test_the_break_even_is_the_difference_in_start_up_over_that_in_steps(mine, base):
    found = told(mine, base)
    assert found.steps == pytest.approx(1000, rel=0.02)
    assert 0 < found.low < found.steps < found.high < 1200


def test_never_cannot_be_excluded_where_the_steps_cannot_be_told_apart():
    found = told((2.0, 0.999e-3), (1.0, 1e-3), wobble=3)
    assert found.answer == "after"
    assert found.low > 1000
    assert math.isinf(found.high)


def test_until_may_have_no_end_either():
    found = told((1.0, 1.001e-3), (2.0, 1e-3), wobble=1)
    assert (found.answer, found.high) == ("until", math.inf)


def test_where_steps_tie_and_the_start_does_not_only_a_bound_is_known():
    dearer = told((2.0, 1.004e-3), (1.0, 1e-3), wobble=3)
    assert (dearer.answer, dearer.cheaper) == ("unclear", False)
    assert math.isnan(dearer.steps)
    assert 1000 < dearer.low < dearer.high == math.inf
    cheaper = told((1.0, 0.996e-3), (2.0, 1e-3), wobble=3)
    assert (cheaper.answer, cheaper.cheaper) == ("unclear", True)
    assert cheaper.low > 1000


def test_where_the_starts_tie_the_interval_begins_with_no_step():
    found = told((1.002, 1e-3), (1.0, 2e-3), wobble=3)
    assert (found.answer, found.low) == ("after", 0.0)
    assert 0 < found.steps < found.high < 100
    found = told((0.998, 1e-3), (1.0, 2e-3), wobble=3)
    assert found.answer == "at once"
    assert 0 < found.high < 100
    found = told((1.003, 2e-3), (1.0, 1e-3), wobble=3)
    assert found.answer == "never"
    assert 0 < found.high < 100


def test_where_all_ties_it_is_unclear():
    assert told((1.001, 1.001e-3), (1.0, 1e-3), wobble=3) == BreakEven("unclear")


def test_one_pass_or_none_in_common_is_no_evidence():
    mine, base = starts(2.0, 1e-3), starts(1.0, 2e-3)
    assert break_even({1: mine[1]}, base) == BreakEven("unclear")
    assert break_even({7: mine[1], 8: mine[2]}, base) == BreakEven("unclear")


def test_steps_that_agree_exactly_never_win_anything_back():
    mine, base = starts(2.0, 1e-3, wobble=0), starts(1.0, 1e-3, wobble=0)
    assert break_even(mine, base).answer == "never"
    assert break_even(base, mine).answer == "at once"


def test_one_wild_start_in_six_barely_moves_it():
    mine, base = starts(2.0, 1e-3), starts(1.0, 2e-3)
    wild = mine | {0: replace(mine[0], start_up=60.0)}
    assert break_even(wild, base).steps == pytest.approx(break_even(mine, base).steps, rel=0.02)


def test_the_interval_is_no_narrower_than_the_blocks_of_a_step_allow():
    mine, base = starts(2.0, 1e-3, wobble=0), starts(1.0, 2e-3, wobble=0)
    assert break_even(mine, base).high == pytest.approx(1000)
    unsure = starts(2.0, 1e-3, wobble=0, error=1e-4)
    found = break_even(unsure, base)
    assert found.low < 950 < 1050 < found.high


@pytest.mark.parametrize("passes", [2, 4, 6, 10])
def test_an_interval_has_the_truth_in_95_of_100_runs(passes):
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(600):
        mine = {p: Start(2 + draw.normal(0, 0.1), 1e-3 + draw.normal(0, 1e-4)) for p in range(passes)}
        base = {p: Start(1 + draw.normal(0, 0.1), 2e-3 + draw.normal(0, 1e-4)) for p in range(passes)}
        found = break_even(mine, base)
        if found.answer == "unclear":
            hits += not found.low > 1000
        else:
            hits += found.answer == "after" and found.low <= 1000 <= found.high
    assert hits / 600 >= 0.92


@repeatable
@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0.01, 5), st.floats(0.01, 5), st.floats(-0.99, 0.99))
def test_fieller_s_set_is_where_the_difference_is_within_reach_of_none(more, less, first, second, correlation):
    shared = correlation * first * second
    reach = np.array([[first**2, shared], [shared, second**2]])
    low, high = fieller(more, less, reach)
    for steps in (0.0, 0.3, 1.0, 3.0, 10.0, 1000.0):
        away = (more - steps * less) ** 2 - (first**2 - 2 * steps * shared + (steps * second) ** 2)
        if abs(away) > 1e-6 * (1 + steps**2):
            in_hull = low <= steps <= high
            assert in_hull or away > 0


def test_every_cost_is_an_estimate_over_the_passes():
    plan = plan_of_cells((NUMPY, TORCH), (SMALL,), ("step", "train"))
    records = Story(plan).records()
    spread = {pass_number: 0.25 * (1 + pass_number / 100) for pass_number in range(1, 6)}
    records = changed(records, WorkerStarted, lambda _: True, import_seconds=lambda record: spread[record.pass_number])
    found = one(records, TORCH)
    assert found.import_seconds == estimate([spread[pass_number] for pass_number in range(2, 6)])
    assert found.first_import_seconds == spread[1]
    assert found.setup_seconds == estimate([0.001] * 5)
    assert found.first_step_seconds == estimate([0.002] * 5)
    middle = SPREAD[2]
    for phase, seconds in (("step", found.step_seconds), ("train", found.train_seconds)):
        cell = next(cell for cell in plan.cells if cell.contender == TORCH and cell.phase == phase)
        expected = estimate([settled(cell, pass_number) * middle for pass_number in range(1, 6)])
        assert seconds.value == pytest.approx(expected.value)
    assert found.peak_bytes.value == pytest.approx(200 * 2**20)
    assert found.peak_bytes.passes == 5


def test_memory_is_the_most_that_any_phase_held_and_the_device_s_on_one():
    records = Story(plan_of_cells((NUMPY, CUPY), (SMALL,), ("step", "train"))).records()
    records = changed(
        records, Left, lambda record: record.cell.startswith("train[numpy"), host_bytes=lambda _: 300 * 2**20
    )
    assert one(records, NUMPY).peak_bytes.value == pytest.approx(300 * 2**20)
    assert one(records, CUPY).peak_bytes.value == pytest.approx(50 * 2**20)


def test_a_start_up_that_is_dearer_is_won_back_step_by_step():
    records = Story(plan_of_cells()).records()
    gained = (16e-12 - 8e-12) * 4 * 64 * 1000 * 100
    records = changed(records, WorkerStarted, lambda record: "torch" in record.contender, import_seconds=lambda _: 0.75)
    found = one(records, TORCH).break_even
    assert found.answer == "after"
    assert found.steps == pytest.approx(0.5 / gained, rel=0.02)
    assert found.low <= found.steps <= found.high
    assert one(records, NUMPY).break_even is None


def test_a_contender_that_is_slower_and_no_cheaper_never_overtakes():
    records = Story(plan_of_cells(baseline="torch")).records()
    records = changed(records, WorkerStarted, lambda record: "numpy" in record.contender, import_seconds=lambda _: 0.75)
    assert one(records, NUMPY).break_even.answer == "never"


def test_the_baseline_is_that_of_the_same_device_else_the_host_s():
    on_cuda = Contender("numpy", "cuda", "float32")
    records = Story(plan_of_cells((NUMPY, on_cuda, CUPY))).records()
    slow = changed(records, WorkerStarted, lambda record: record.contender == str(CUPY), import_seconds=lambda _: 0.75)
    alone = [record for record in slow if not (isinstance(record, Block) and "numpy-cuda" in record.cell)]
    assert one(slow, CUPY).break_even.answer == "after"
    assert one(alone, CUPY).break_even.answer == "after"


def test_threads_that_differ_on_the_host_share_no_break_even():
    limited = Contender("torch", "cpu", "float32", 1)
    records = Story(plan_of_cells((NUMPY, limited))).records()
    assert one(records, limited).break_even is None


def test_without_a_step_there_is_no_break_even_and_what_was_not_asked_for_is_unknown():
    found = one(Story(plan_of_cells(phases=("train",))).records(), TORCH)
    assert found.break_even is None
    assert (found.step_seconds, found.first_step_seconds) == (UNKNOWN, UNKNOWN)
    assert (found.import_seconds.passes, found.train_seconds.passes) == (4, 5)


def test_a_slow_first_import_is_kept_apart_and_widens_no_interval():
    records = Story(plan_of_cells()).records()
    cold = changed(records, WorkerStarted, lambda record: record.pass_number == 1, import_seconds=lambda _: 20.0)
    found, usual = one(cold, TORCH), one(records, TORCH)
    assert (found.first_import_seconds, usual.first_import_seconds) == (20.0, 0.25)
    assert found.import_seconds == usual.import_seconds == estimate([0.25] * 4)


def test_a_single_pass_has_an_import_and_no_first_one():
    found = one(Story(plan_of_cells(passes=1)).records(), TORCH)
    assert found.import_seconds.value == pytest.approx(0.25)
    assert math.isnan(found.first_import_seconds)


def test_cells_without_a_time_have_no_costs():
    found = {(each.contender, each.shape) for each in Run.of(made_records()).costs}
    assert found == {(NUMPY, SMALL), (TORCH, SMALL), (NUMPY, LARGE)}


def test_a_baseline_without_a_time_is_none():
    plan = plan_of_cells()
    wrong = {plan.cells[0]: Outcome("wrong", "off by 1")}
    assert one(Story(plan, outcomes=wrong).records(), TORCH).break_even is None


def test_a_shape_costs_what_it_would_as_the_first_of_its_process():
    records = Story(plan_of_cells((NUMPY,), (SMALL, LARGE), passes=4)).records()
    for place in [place for place, record in enumerate(records) if isinstance(record, Prepared)][2:4]:
        other = place + 1 if isinstance(records[place + 1], Prepared) else place - 1
        if place < other:  # in the second pass the larger shape comes first
            records[place], records[other] = records[other], records[place]
    seen, changed_records = set(), []
    for record in records:
        if isinstance(record, Prepared):
            large = any("N512" in key for key in record.cells)
            cold = record.number not in seen
            seen.add(record.number)
            setup = (0.005 if large else 0.001) + cold * 1.0
            calls = dict.fromkeys(record.cells, (0.02 if large else 0.01) + cold * 2.0)
            record = replace(record, setup_seconds=setup, cells=calls)
        changed_records.append(record)
    for shape, setup, first in ((SMALL, 1.001, 2.01), (LARGE, 1.005, 2.02)):
        found = one(changed_records, NUMPY, shape)
        for seconds, expected in ((found.setup_seconds, setup), (found.first_step_seconds, first)):
            assert (seconds.low, seconds.value, seconds.high) == pytest.approx((expected,) * 3)


def test_memory_is_that_of_processes_that_had_no_other_shape_before():
    records = Story(plan_of_cells((NUMPY,), (SMALL, LARGE))).records()
    first = {record.number: record for record in reversed(records) if isinstance(record, Prepared)}
    assert all("N64" in next(iter(record.cells)) for record in first.values())
    records = changed(records, Left, lambda record: record.pass_number > 3, host_bytes=lambda _: 999 * 2**20)
    assert one(records, NUMPY, SMALL).peak_bytes.passes == 5
    records = [record for record in records if not (isinstance(record, Prepared) and record.pass_number < 4)]
    assert one(records, NUMPY, SMALL).peak_bytes.value == pytest.approx(999 * 2**20)


def test_a_process_that_died_has_the_median_of_its_pass():
    records = Story(plan_of_cells()).records()
    prepared = next(record for record in records if isinstance(record, Prepared))
    again = replace(prepared, number=99, setup_seconds=0.003)
    place = records.index(prepared)
    found = one([*records[: place + 1], again, *records[place + 1 :]], NUMPY)
    assert found.setup_seconds.passes == 5
    assert found.setup_seconds == estimate([0.002, *[0.001] * 4])
