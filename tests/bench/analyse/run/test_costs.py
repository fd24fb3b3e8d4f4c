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

DEVIATIONS = (1.0, 1.01, 0.99, 1.005, 0.995, 1.002)


def starts(start_up, step, passes=6, spread=1.0, error=0.0):
    """Return the starts of similar passes; `spread` scales their deviations."""
    return {
        number: Start(
            start_up * (1 + spread * (DEVIATIONS[number % 6] - 1)),
            step * (1 + spread * (DEVIATIONS[number % 5] - 1)),
            error,
        )
        for number in range(passes)
    }


def break_even_of(own, base, **others) -> BreakEven:
    return break_even(starts(*own, **others), starts(*base, spread=0.5))


def costs_of(records, contender, shape=SMALL):
    return next(costs for costs in Run.of(records).costs if (costs.contender, costs.shape) == (contender, shape))


def changed(records, kind, fits, **values):
    """Return the records with some of them changed."""
    return [
        replace(record, **{name: new(record) for name, new in values.items()})
        if isinstance(record, kind) and fits(record)
        else record
        for record in records
    ]


@pytest.mark.parametrize(
    ("own", "base", "answer"),
    [
        ((2.0, 1e-3), (1.0, 2e-3), "after"),
        ((1.0, 1e-3), (2.0, 2e-3), "at once"),
        ((2.0, 2e-3), (1.0, 1e-3), "never"),
        ((1.0, 2e-3), (2.0, 1e-3), "until"),
    ],
)
def test_answer_by_order_of_starts_and_steps(own, base, answer):
    assert break_even_of(own, base).answer == answer


@pytest.mark.parametrize(("own", "base"), [((2.0, 1e-3), (1.0, 2e-3)), ((1.0, 2e-3), (2.0, 1e-3))])
def test_break_even_is_start_difference_over_step_difference(own, base):
    even = break_even_of(own, base)
    assert even.steps == pytest.approx(1000, rel=0.02)
    assert 0 < even.low < even.steps < even.high < 1200


def test_after_has_no_end_if_steps_are_similar():
    even = break_even_of((2.0, 0.999e-3), (1.0, 1e-3), spread=3)
    assert even.answer == "after"
    assert even.low > 1000
    assert math.isinf(even.high)


def test_until_has_no_end_if_steps_are_similar():
    even = break_even_of((1.0, 1.001e-3), (2.0, 1e-3), spread=1)
    assert (even.answer, even.high) == ("until", math.inf)


def test_similar_steps_give_only_a_lower_bound():
    dearer = break_even_of((2.0, 1.004e-3), (1.0, 1e-3), spread=3)
    assert (dearer.answer, dearer.cheaper) == ("unclear", False)
    assert math.isnan(dearer.steps)
    assert 1000 < dearer.low < dearer.high == math.inf
    cheaper = break_even_of((1.0, 0.996e-3), (2.0, 1e-3), spread=3)
    assert (cheaper.answer, cheaper.cheaper) == ("unclear", True)
    assert cheaper.low > 1000


def test_similar_starts_have_an_interval_from_zero():
    even = break_even_of((1.002, 1e-3), (1.0, 2e-3), spread=3)
    assert (even.answer, even.low) == ("after", 0.0)
    assert 0 < even.steps < even.high < 100
    even = break_even_of((0.998, 1e-3), (1.0, 2e-3), spread=3)
    assert even.answer == "at once"
    assert 0 < even.high < 100
    even = break_even_of((1.003, 2e-3), (1.0, 1e-3), spread=3)
    assert even.answer == "never"
    assert 0 < even.high < 100


def test_similar_starts_and_steps_are_unclear():
    assert break_even_of((1.001, 1.001e-3), (1.0, 1e-3), spread=3) == BreakEven("unclear")


def test_one_common_pass_or_none_is_unclear():
    own, base = starts(2.0, 1e-3), starts(1.0, 2e-3)
    assert break_even({1: own[1]}, base) == BreakEven("unclear")
    assert break_even({7: own[1], 8: own[2]}, base) == BreakEven("unclear")


def test_equal_steps_never_break_even():
    own, base = starts(2.0, 1e-3, spread=0), starts(1.0, 1e-3, spread=0)
    assert break_even(own, base).answer == "never"
    assert break_even(base, own).answer == "at once"


def test_one_outlier_in_six_barely_moves_the_break_even():
    own, base = starts(2.0, 1e-3), starts(1.0, 2e-3)
    with_outlier = own | {0: replace(own[0], start_up=60.0)}
    assert break_even(with_outlier, base).steps == pytest.approx(break_even(own, base).steps, rel=0.02)


def test_interval_is_no_narrower_than_its_blocks_allow():
    own, base = starts(2.0, 1e-3, spread=0), starts(1.0, 2e-3, spread=0)
    assert break_even(own, base).high == pytest.approx(1000)
    unsure = starts(2.0, 1e-3, spread=0, error=1e-4)
    even = break_even(unsure, base)
    assert even.low < 950 < 1050 < even.high


@pytest.mark.parametrize("passes", [2, 4, 6, 10])
def test_interval_contains_truth_in_95_percent(passes):
    draw = np.random.default_rng(1)
    hits = 0
    for _ in range(600):
        own = {
            pass_number: Start(2 + draw.normal(0, 0.1), 1e-3 + draw.normal(0, 1e-4)) for pass_number in range(passes)
        }
        base = {
            pass_number: Start(1 + draw.normal(0, 0.1), 2e-3 + draw.normal(0, 1e-4)) for pass_number in range(passes)
        }
        even = break_even(own, base)
        if even.answer == "unclear":
            hits += not even.low > 1000
        else:
            hits += even.answer == "after" and even.low <= 1000 <= even.high
    assert hits / 600 >= 0.92


@repeatable
@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0.01, 5), st.floats(0.01, 5), st.floats(-0.99, 0.99))
def test_fieller_interval_contains_its_set(more, less, first, second, correlation):
    shared = correlation * first * second
    reach = np.array([[first**2, shared], [shared, second**2]])
    low, high = fieller(more, less, reach)
    for steps in (0.0, 0.3, 1.0, 3.0, 10.0, 1000.0):
        excess = (more - steps * less) ** 2 - (first**2 - 2 * steps * shared + (steps * second) ** 2)
        if abs(excess) > 1e-6 * (1 + steps**2):
            in_hull = low <= steps <= high
            assert in_hull or excess > 0


def test_costs_are_estimates_over_passes():
    plan = plan_of_cells((NUMPY, TORCH), (SMALL,), ("step", "train"))
    records = Story(plan).records()
    spread = {pass_number: 0.25 * (1 + pass_number / 100) for pass_number in range(1, 6)}
    records = changed(records, WorkerStarted, lambda _: True, import_seconds=lambda record: spread[record.pass_number])
    costs = costs_of(records, TORCH)
    assert costs.import_seconds == estimate([spread[pass_number] for pass_number in range(2, 6)])
    assert costs.first_import_seconds == spread[1]
    assert costs.setup_seconds == estimate([0.001] * 5)
    assert costs.first_step_seconds == estimate([0.002] * 5)
    middle = SPREAD[2]
    for phase, seconds in (("step", costs.step_seconds), ("train", costs.train_seconds)):
        cell = next(cell for cell in plan.cells if cell.contender == TORCH and cell.phase == phase)
        expected = estimate([settled(cell, pass_number) * middle for pass_number in range(1, 6)])
        assert seconds.value == pytest.approx(expected.value)
    assert costs.peak_bytes.value == pytest.approx(200 * 2**20)
    assert costs.peak_bytes.passes == 5


def test_memory_is_the_largest_of_any_phase():
    records = Story(plan_of_cells((NUMPY, CUPY), (SMALL,), ("step", "train"))).records()
    records = changed(
        records, Left, lambda record: record.cell.startswith("train[numpy"), host_bytes=lambda _: 300 * 2**20
    )
    assert costs_of(records, NUMPY).peak_bytes.value == pytest.approx(300 * 2**20)
    assert costs_of(records, CUPY).peak_bytes.value == pytest.approx(50 * 2**20)


def test_dearer_start_breaks_even():
    records = Story(plan_of_cells()).records()
    gained = (16e-12 - 8e-12) * 4 * 64 * 1000 * 100
    records = changed(records, WorkerStarted, lambda record: "torch" in record.contender, import_seconds=lambda _: 0.75)
    even = costs_of(records, TORCH).break_even
    assert even.answer == "after"
    assert even.steps == pytest.approx(0.5 / gained, rel=0.02)
    assert even.low <= even.steps <= even.high
    assert costs_of(records, NUMPY).break_even is None


def test_slower_and_dearer_contender_never_breaks_even():
    records = Story(plan_of_cells(baseline="torch")).records()
    records = changed(records, WorkerStarted, lambda record: "numpy" in record.contender, import_seconds=lambda _: 0.75)
    assert costs_of(records, NUMPY).break_even.answer == "never"


def test_baseline_is_on_the_same_device_else_on_the_host():
    on_cuda = Contender("numpy", "cuda", "float32")
    records = Story(plan_of_cells((NUMPY, on_cuda, CUPY))).records()
    slow = changed(records, WorkerStarted, lambda record: record.contender == str(CUPY), import_seconds=lambda _: 0.75)
    host_only = [record for record in slow if not (isinstance(record, Block) and "numpy-cuda" in record.cell)]
    assert costs_of(slow, CUPY).break_even.answer == "after"
    assert costs_of(host_only, CUPY).break_even.answer == "after"


def test_different_host_threads_have_no_break_even():
    limited = Contender("torch", "cpu", "float32", 1)
    records = Story(plan_of_cells((NUMPY, limited))).records()
    assert costs_of(records, limited).break_even is None


def test_no_step_has_no_break_even():
    costs = costs_of(Story(plan_of_cells(phases=("train",))).records(), TORCH)
    assert costs.break_even is None
    assert (costs.step_seconds, costs.first_step_seconds) == (UNKNOWN, UNKNOWN)
    assert (costs.import_seconds.passes, costs.train_seconds.passes) == (4, 5)


def test_first_import_is_separate():
    records = Story(plan_of_cells()).records()
    cold = changed(records, WorkerStarted, lambda record: record.pass_number == 1, import_seconds=lambda _: 20.0)
    costs, usual = costs_of(cold, TORCH), costs_of(records, TORCH)
    assert (costs.first_import_seconds, usual.first_import_seconds) == (20.0, 0.25)
    assert costs.import_seconds == usual.import_seconds == estimate([0.25] * 4)


def test_single_pass_has_no_first_import():
    costs = costs_of(Story(plan_of_cells(passes=1)).records(), TORCH)
    assert costs.import_seconds.value == pytest.approx(0.25)
    assert math.isnan(costs.first_import_seconds)


def test_cells_without_a_time_have_no_costs():
    with_costs = {(costs.contender, costs.shape) for costs in Run.of(made_records()).costs}
    assert with_costs == {(NUMPY, SMALL), (TORCH, SMALL), (NUMPY, LARGE)}


def test_baseline_without_a_time_has_no_break_even():
    plan = plan_of_cells()
    wrong = {plan.cells[0]: Outcome("wrong", "off by 1")}
    assert costs_of(Story(plan, outcomes=wrong).records(), TORCH).break_even is None


def test_shape_costs_are_those_of_a_first_shape():
    records = Story(plan_of_cells((NUMPY,), (SMALL, LARGE), passes=4)).records()
    for index in [index for index, record in enumerate(records) if isinstance(record, Prepared)][2:4]:
        neighbour = index + 1 if isinstance(records[index + 1], Prepared) else index - 1
        if index < neighbour:  # in the second pass the larger shape comes first
            records[index], records[neighbour] = records[neighbour], records[index]
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
        costs = costs_of(changed_records, NUMPY, shape)
        for seconds, expected in ((costs.setup_seconds, setup), (costs.first_step_seconds, first)):
            assert (seconds.low, seconds.value, seconds.high) == pytest.approx((expected,) * 3)


def test_memory_is_that_of_processes_without_another_shape_before():
    records = Story(plan_of_cells((NUMPY,), (SMALL, LARGE))).records()
    first = {record.number: record for record in reversed(records) if isinstance(record, Prepared)}
    assert all("N64" in next(iter(record.cells)) for record in first.values())
    records = changed(records, Left, lambda record: record.pass_number > 3, host_bytes=lambda _: 999 * 2**20)
    assert costs_of(records, NUMPY, SMALL).peak_bytes.passes == 5
    records = [record for record in records if not (isinstance(record, Prepared) and record.pass_number < 4)]
    assert costs_of(records, NUMPY, SMALL).peak_bytes.value == pytest.approx(999 * 2**20)


def test_process_that_died_counts_with_the_median_of_its_pass():
    records = Story(plan_of_cells()).records()
    prepared = next(record for record in records if isinstance(record, Prepared))
    again = replace(prepared, number=99, setup_seconds=0.003)
    index = records.index(prepared)
    costs = costs_of([*records[: index + 1], again, *records[index + 1 :]], NUMPY)
    assert costs.setup_seconds.passes == 5
    assert costs.setup_seconds == estimate([0.002, *[0.001] * 4])
