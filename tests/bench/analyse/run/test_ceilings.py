import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.statistics import estimate
from bench.analyse.run.ceilings import Best, Limits, closeness, drift, limits, remainder
from bench.analyse.run.run import Run
from bench.measure.records import Ceiling
from bench.plan.cells import PHASES, Cell, Contender, Shape, flops
from bench.plan.work import unavoidable_bytes
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Story, plan_of_cells, steady

HOST = NUMPY.place
KIB, MIB = 2**10, 2**20
TWO = {256 * KIB: Best(4e10, "numpy"), 16 * MIB: Best(8e10, "torch"), 128 * MIB: Best(2e10, "numpy")}
LIMITS = Limits(Best(1e11, "torch"), TWO)


def told(rates=None, passes=3, **others):
    """A run with ceilings: numpy's products at 1e11 FLOP/s and torch's at 2e11, times `rates(pass, what)`."""
    factor = rates or (lambda pass_number, what: 1.0)
    plan = plan_of_cells((NUMPY, TORCH), (SMALL,), passes=passes, **others)
    records = Story(replace(plan, ceilings=(NUMPY, TORCH))).records()
    measured = [
        Ceiling(
            1,
            pass_number,
            contender.label,
            {
                "512x512x512": faster * 0.9e11 * factor(pass_number, "products"),
                "8x8x8": faster * 1e11 * factor(pass_number, "products"),
            },
            {
                str(MIB): 4e10 * factor(pass_number, "bandwidth"),
                str(128 * MIB): faster * 1e10 * factor(pass_number, "bandwidth"),
            },
            {
                str(MIB): 5e10 * factor(pass_number, "bandwidth"),
                str(128 * MIB): 1e10 * factor(pass_number, "bandwidth"),
            },
        )
        for pass_number in range(1, passes + 1)
        for contender, faster in ((NUMPY, 1), (TORCH, 2))
    ]
    return [*records[:-1], *measured, records[-1]]


def test_a_ceiling_is_the_best_of_every_backend_and_size():
    found = limits(Run.of(told()))
    assert found.keys() == {HOST}
    assert found[HOST].keys() == {1, 2, 3}
    assert found[HOST][2].product == Best(2e11, "torch")
    assert found[HOST][2].streams == {MIB: Best(5e10, "numpy"), 128 * MIB: Best(2e10, "torch")}


def test_ceilings_that_could_not_be_measured_and_strangers_are_passed_over():
    bad = Ceiling(0, 1, TORCH.label, reason="unavailable: no torch")
    stranger = Ceiling(9, 1, "abacus-cpu-float32", {"1x1x1": 1e15}, {"4": 1e15}, {"4": 1e15})
    records = [record for record in told() if not (isinstance(record, Ceiling) and record.contender == TORCH.label)]
    found = limits(Run.of([*records, bad, stranger]))
    assert found[HOST][1].product == Best(1e11, "numpy")


def test_without_ceilings_there_are_no_limits_and_no_drift():
    records = Story(plan_of_cells()).records()
    assert limits(Run.of(records)) == {}
    assert drift(Run.of(records)) == []


@pytest.mark.parametrize(
    ("footprint", "rate"),
    [(1, 8e10), (256 * KIB, 8e10), (16 * MIB, 8e10), (100 * MIB, 8e10), (128 * MIB, 2e10), (2**40, 2e10)],
)
def test_bandwidth_is_the_most_at_the_footprint_below_or_beyond(footprint, rate):
    assert LIMITS.bandwidth(footprint) == rate


@steady
@given(
    st.dictionaries(st.integers(1, 2**40), st.floats(1e6, 1e13), min_size=1),
    st.integers(0, 2**41),
    st.integers(0, 2**41),
)
def test_bandwidth_never_rises_with_the_footprint(rates, one, other):
    found = Limits(Best(1e9, "a"), {size: Best(rate, "a") for size, rate in rates.items()})
    low, high = sorted((one, other))
    assert found.bandwidth(low) >= found.bandwidth(high) >= min(rates.values())


def test_the_fraction_is_the_longer_of_both_limits_over_the_time():
    step = Cell(NUMPY, SMALL, "step")
    least = flops(SMALL, "step") / 1e11
    assert least > unavoidable_bytes(SMALL, "step", 4) / 8e10
    close = closeness(step, {1: least / 0.8, 2: least / 0.8}, {}, {1: LIMITS, 2: LIMITS}, 1)
    assert close.fraction.value == pytest.approx(0.8)
    assert close.bound == "compute"
    update = Cell(NUMPY, SMALL, "update")
    least = 3 * (1000 * 100 + 100 * 10) * 4 / 8e10
    close = closeness(update, {1: least / 0.6}, {}, {1: LIMITS}, 1)
    assert close.fraction.value == pytest.approx(0.6)
    assert close.bound == "bandwidth"


@pytest.mark.parametrize(("share", "bound"), [(0.51, "compute"), (0.49, "overhead"), (0.01, "overhead")])
def test_what_takes_half_of_the_time_binds_and_else_overhead_does(share, bound):
    cell = Cell(NUMPY, LARGE, "forward")
    seconds = flops(LARGE, "forward") / 1e11 / share
    assert closeness(cell, {1: seconds}, {}, {1: LIMITS}, 1).bound == bound


def test_a_train_has_as_many_steps_whose_arrays_stay_where_they_are():
    step, train = Cell(NUMPY, SMALL, "step"), Cell(NUMPY, SMALL, "train")
    assert LIMITS.compute_seconds(train, 50) == pytest.approx(50 * LIMITS.compute_seconds(step, 50))
    assert LIMITS.bandwidth_seconds(train, 50) == pytest.approx(50 * LIMITS.bandwidth_seconds(step, 50))


def test_float64_moves_twice_the_bytes():
    double = Contender("numpy", "cpu", "float64")
    moved = [LIMITS.bandwidth_seconds(Cell(contender, SMALL, "update"), 1) for contender in (NUMPY, double)]
    assert moved[1] == pytest.approx(2 * moved[0])


def test_the_fraction_is_paired_within_passes():
    cell = Cell(NUMPY, LARGE, "forward")
    paces = {1: 1.0, 2: 0.5, 3: 2.0}
    found = {pass_number: Limits(Best(1e11 * pace, "a"), TWO) for pass_number, pace in paces.items()}
    seconds = {pass_number: flops(LARGE, "forward") / (1e11 * pace) / 0.7 for pass_number, pace in paces.items()}
    close = closeness(cell, {**seconds, 4: 1.0}, {}, found, 1)
    assert (close.fraction.value, close.fraction.low, close.fraction.high) == pytest.approx((0.7, 0.7, 0.7))
    assert close.fraction.passes == 3


def test_a_machine_that_drifts_widens_the_interval():
    cell = Cell(NUMPY, LARGE, "forward")
    found = {pass_number: Limits(Best(1e11 * (0.8 if pass_number == 2 else 1), "a"), TWO) for pass_number in (1, 2, 3)}
    same = dict.fromkeys(found, flops(LARGE, "forward") / 1e11 / 0.7)
    close = closeness(cell, same, {}, found, 1)
    assert close.fraction.high / close.fraction.low > 1.3


def test_blocks_that_disagree_widen_the_interval():
    cell = Cell(NUMPY, LARGE, "forward")
    seconds = dict.fromkeys((1, 2, 3), 1.0)
    within = dict.fromkeys((1, 2, 3), 0.1)
    close = closeness(cell, seconds, within, dict.fromkeys(seconds, LIMITS), 1)
    expected = estimate([close.fraction.value] * 3, [0.1] * 3)
    assert (close.fraction.low, close.fraction.high) == pytest.approx((expected.low, expected.high))


def test_no_pass_with_both_is_no_fraction_and_no_bound():
    close = closeness(Cell(NUMPY, SMALL, "step"), {1: 1.0}, {}, {2: LIMITS}, 1)
    assert math.isnan(close.fraction.value)
    assert close.bound is None


shapes = st.builds(Shape, *[st.integers(1, 3000)] * 4)


@steady
@given(shapes, st.sampled_from(PHASES), st.floats(1e-3, 1.0))
def test_a_cell_that_keeps_to_its_limits_never_exceeds_one(shape, phase, pace):
    cell = Cell(NUMPY, shape, phase)
    least = max(LIMITS.compute_seconds(cell, 7), LIMITS.bandwidth_seconds(cell, 7))
    assert closeness(cell, {1: least / pace}, {}, {1: LIMITS}, 7).fraction.value == pytest.approx(pace)


def test_the_remainder_is_a_step_without_its_phases():
    phases = [{1: 2.0, 2: 2.0}, {1: 5.0, 2: 5.0}, {1: 1.0, 2: 1.0, 3: 9.0}]
    left = remainder({1: 10.0, 2: 10.0, 3: 4.0}, phases)
    assert (left.share, left.low, left.high) == pytest.approx((0.2, 0.2, 0.2))
    assert left.seconds == pytest.approx(2.0)
    assert left.passes == 2


def test_a_fused_step_leaves_less_than_nothing():
    left = remainder({1: 4.0, 2: 4.2}, [{1: 2.0, 2: 2.0}, {1: 3.0, 2: 3.2}])
    assert left.share < 0
    assert left.seconds < 0
    assert left.low < left.share < left.high


def test_without_a_pass_that_has_them_all_there_is_no_remainder():
    assert remainder({1: 4.0}, [{2: 1.0}]) is None
    assert remainder({}, []) is None


def test_a_single_pass_s_remainder_has_no_interval():
    left = remainder({1: 4.0}, [{1: 3.0}])
    assert left.share == pytest.approx(0.25)
    assert math.isnan(left.low)


def test_a_pass_in_which_products_were_slower_is_drift():
    [moved] = drift(
        Run.of(told(lambda pass_number, what: 0.88 if (pass_number, what) == (3, "products") else 1.0, passes=5))
    )
    assert (moved.pass_number, moved.place, moved.what) == (3, HOST, "products")
    assert moved.change == pytest.approx(-0.12)


def test_bandwidth_drifts_on_its_own_and_passes_are_in_order():
    factors = {(4, "products"): 1.2, (2, "bandwidth"): 0.5}
    moved = drift(Run.of(told(lambda pass_number, what: factors.get((pass_number, what), 1.0), passes=5)))
    assert [(each.pass_number, each.what) for each in moved] == [(2, "bandwidth"), (4, "products")]
    assert [each.change for each in moved] == pytest.approx([-0.5, 0.2])


@pytest.mark.parametrize(("resolution", "found"), [(0.05, 1), (0.2, 0), (0.12, 0)])
def test_what_the_machine_cannot_tell_is_no_drift(resolution, found):
    records = told(lambda pass_number, what: 0.89 if (pass_number, what) == (1, "products") else 1.0, passes=5)
    assert len(drift(Run.of(records), resolution)) == found


def test_two_passes_have_no_middle_to_have_moved_from():
    assert drift(Run.of(told(lambda pass_number, what: pass_number, passes=2))) == []


def test_one_disturbed_measurement_does_not_speak_for_the_machine():
    records = [
        replace(record, products={**record.products, "8x8x8": 1e9})
        if isinstance(record, Ceiling) and (record.pass_number, record.contender) == (2, NUMPY.label)
        else record
        for record in told(passes=4)
    ]
    assert drift(Run.of(records)) == []


@pytest.mark.parametrize("resolution", [0, -0.1, math.nan])
def test_a_resolution_that_is_none_is_refused(resolution):
    with pytest.raises(ValueError, match=r"^resolution: "):
        drift(Run.of(told()), resolution)


def test_the_table_has_the_fraction_and_the_bound_of_timed_cells():
    records = told(phases=("forward", "update"))
    timings = Run.of(records).timings
    plan = Run.of(records).plan
    held = Run.of(records).cells
    for cell, (_, row) in zip(plan.cells, timings.iterrows(), strict=True):
        seconds = {number: float(np.median(values)) for number, values in held[cell.key].samples_by_pass.items()}
        close = closeness(cell, seconds, held[cell.key].block_errors, limits(Run.of(records))[HOST], plan.steps)
        assert row["ceiling_fraction"] == close.fraction.value > 0
        assert row["bound"] == close.bound
    assert set(timings["bound"].cat.categories) == {"compute", "bandwidth", "call", "overhead"}


def test_without_ceilings_the_table_has_neither():
    timings = Story(plan_of_cells()).run().timings
    assert timings[["ceiling_fraction", "bound"]].isna().all(axis=None)


def test_an_interval_is_no_narrower_than_the_machine_s_pace_was_steady():
    def slower_once(pass_number, what):
        return 0.8 if pass_number == 2 else 1.0

    steady_run, moved_run = (told(rates, passes=5) for rates in (None, slower_once))
    cell_records = next(iter(Run.of(moved_run).cells.values()))
    medians = [float(np.median(seconds)) for seconds in cell_records.samples_by_pass.values()]
    within = cell_records.block_errors
    expected = estimate(medians, [math.hypot(within[each], -math.log(0.8) * (each == 2)) for each in within])
    row, before = Run.of(moved_run).timings.iloc[0], Run.of(steady_run).timings.iloc[0]
    assert (row["seconds_low"], row["seconds_high"]) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert math.log(row["seconds_high"] / row["seconds_low"]) > 4 * math.log(
        before["seconds_high"] / before["seconds_low"]
    )
    assert row["seconds"] == before["seconds"]
