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
STREAMS = {256 * KIB: Best(4e10, "numpy"), 16 * MIB: Best(8e10, "torch"), 128 * MIB: Best(2e10, "numpy")}
LIMITS = Limits(Best(1e11, "torch"), STREAMS)


def with_ceilings(rates=None, passes=3, **others):
    """Return records with ceilings: numpy's products at 1e11 FLOP/s, torch's at 2e11, times `rates(pass, quantity)`."""
    factor = rates or (lambda pass_number, quantity: 1.0)
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


def test_limits_are_the_best_of_every_backend_and_size():
    by_place = limits(Run.of(with_ceilings()))
    assert by_place.keys() == {HOST}
    assert by_place[HOST].keys() == {1, 2, 3}
    assert by_place[HOST][2].product == Best(2e11, "torch")
    assert by_place[HOST][2].streams == {MIB: Best(5e10, "numpy"), 128 * MIB: Best(2e10, "torch")}


def test_failed_and_unknown_ceilings_are_ignored():
    failed = Ceiling(0, 1, TORCH.label, reason="unavailable: no torch")
    unknown = Ceiling(9, 1, "abacus-cpu-float32", {"1x1x1": 1e15}, {"4": 1e15}, {"4": 1e15})
    records = [
        record for record in with_ceilings() if not (isinstance(record, Ceiling) and record.contender == TORCH.label)
    ]
    by_place = limits(Run.of([*records, failed, unknown]))
    assert by_place[HOST][1].product == Best(1e11, "numpy")


def test_no_ceilings_have_no_limits_and_no_drift():
    records = Story(plan_of_cells()).records()
    assert limits(Run.of(records)) == {}
    assert drift(Run.of(records)) == []


@pytest.mark.parametrize(
    ("footprint", "rate"),
    [(1, 8e10), (256 * KIB, 8e10), (16 * MIB, 8e10), (100 * MIB, 8e10), (128 * MIB, 2e10), (2**40, 2e10)],
)
def test_bandwidth_is_the_best_at_the_footprint_below_or_beyond(footprint, rate):
    assert LIMITS.bandwidth(footprint) == rate


@steady
@given(
    st.dictionaries(st.integers(1, 2**40), st.floats(1e6, 1e13), min_size=1),
    st.integers(0, 2**41),
    st.integers(0, 2**41),
)
def test_bandwidth_never_rises_with_the_footprint(rates, first, second):
    known_limits = Limits(Best(1e9, "a"), {size: Best(rate, "a") for size, rate in rates.items()})
    low, high = sorted((first, second))
    assert known_limits.bandwidth(low) >= known_limits.bandwidth(high) >= min(rates.values())


def test_fraction_is_the_longer_limit_over_the_time():
    step = Cell(NUMPY, SMALL, "step")
    shortest = flops(SMALL, "step") / 1e11
    assert shortest > unavoidable_bytes(SMALL, "step", 4) / 8e10
    close = closeness(step, {1: shortest / 0.8, 2: shortest / 0.8}, {}, {1: LIMITS, 2: LIMITS}, 1)
    assert close.fraction.value == pytest.approx(0.8)
    assert close.bound == "compute"
    update = Cell(NUMPY, SMALL, "update")
    shortest = 3 * (1000 * 100 + 100 * 10) * 4 / 8e10
    close = closeness(update, {1: shortest / 0.6}, {}, {1: LIMITS}, 1)
    assert close.fraction.value == pytest.approx(0.6)
    assert close.bound == "bandwidth"


@pytest.mark.parametrize(("share", "bound"), [(0.51, "compute"), (0.49, "overhead"), (0.01, "overhead")])
def test_limit_of_half_the_time_binds_else_overhead(share, bound):
    cell = Cell(NUMPY, LARGE, "forward")
    seconds = flops(LARGE, "forward") / 1e11 / share
    assert closeness(cell, {1: seconds}, {}, {1: LIMITS}, 1).bound == bound


def test_train_takes_its_number_of_steps():
    step, train = Cell(NUMPY, SMALL, "step"), Cell(NUMPY, SMALL, "train")
    assert LIMITS.compute_seconds(train, 50) == pytest.approx(50 * LIMITS.compute_seconds(step, 50))
    assert LIMITS.bandwidth_seconds(train, 50) == pytest.approx(50 * LIMITS.bandwidth_seconds(step, 50))


def test_float64_moves_twice_the_bytes():
    double = Contender("numpy", "cpu", "float64")
    moved = [LIMITS.bandwidth_seconds(Cell(contender, SMALL, "update"), 1) for contender in (NUMPY, double)]
    assert moved[1] == pytest.approx(2 * moved[0])


def test_fraction_is_paired_within_passes():
    cell = Cell(NUMPY, LARGE, "forward")
    paces = {1: 1.0, 2: 0.5, 3: 2.0}
    limits_by_pass = {pass_number: Limits(Best(1e11 * pace, "a"), STREAMS) for pass_number, pace in paces.items()}
    seconds = {pass_number: flops(LARGE, "forward") / (1e11 * pace) / 0.7 for pass_number, pace in paces.items()}
    close = closeness(cell, {**seconds, 4: 1.0}, {}, limits_by_pass, 1)
    assert (close.fraction.value, close.fraction.low, close.fraction.high) == pytest.approx((0.7, 0.7, 0.7))
    assert close.fraction.passes == 3


def test_drifting_machine_widens_the_interval():
    cell = Cell(NUMPY, LARGE, "forward")
    limits_by_pass = {
        pass_number: Limits(Best(1e11 * (0.8 if pass_number == 2 else 1), "a"), STREAMS) for pass_number in (1, 2, 3)
    }
    same = dict.fromkeys(limits_by_pass, flops(LARGE, "forward") / 1e11 / 0.7)
    close = closeness(cell, same, {}, limits_by_pass, 1)
    assert close.fraction.high / close.fraction.low > 1.3


def test_errors_of_blocks_widen_the_interval():
    cell = Cell(NUMPY, LARGE, "forward")
    seconds = dict.fromkeys((1, 2, 3), 1.0)
    within = dict.fromkeys((1, 2, 3), 0.1)
    close = closeness(cell, seconds, within, dict.fromkeys(seconds, LIMITS), 1)
    expected = estimate([close.fraction.value] * 3, [0.1] * 3)
    assert (close.fraction.low, close.fraction.high) == pytest.approx((expected.low, expected.high))


def test_no_common_pass_has_no_fraction_and_no_bound():
    close = closeness(Cell(NUMPY, SMALL, "step"), {1: 1.0}, {}, {2: LIMITS}, 1)
    assert math.isnan(close.fraction.value)
    assert close.bound is None


shapes = st.builds(Shape, *[st.integers(1, 3000)] * 4)


@steady
@given(shapes, st.sampled_from(PHASES), st.floats(1e-3, 1.0))
def test_fraction_of_a_cell_within_its_limits(shape, phase, pace):
    cell = Cell(NUMPY, shape, phase)
    shortest = max(LIMITS.compute_seconds(cell, 7), LIMITS.bandwidth_seconds(cell, 7))
    assert closeness(cell, {1: shortest / pace}, {}, {1: LIMITS}, 7).fraction.value == pytest.approx(pace)


def test_remainder_is_a_step_without_its_phases():
    phases = [{1: 2.0, 2: 2.0}, {1: 5.0, 2: 5.0}, {1: 1.0, 2: 1.0, 3: 9.0}]
    rest = remainder({1: 10.0, 2: 10.0, 3: 4.0}, phases)
    assert (rest.share, rest.low, rest.high) == pytest.approx((0.2, 0.2, 0.2))
    assert rest.seconds == pytest.approx(2.0)
    assert rest.passes == 2


def test_fused_step_has_a_negative_remainder():
    rest = remainder({1: 4.0, 2: 4.2}, [{1: 2.0, 2: 2.0}, {1: 3.0, 2: 3.2}])
    assert rest.share < 0
    assert rest.seconds < 0
    assert rest.low < rest.share < rest.high


def test_no_common_pass_has_no_remainder():
    assert remainder({1: 4.0}, [{2: 1.0}]) is None
    assert remainder({}, []) is None


def test_remainder_of_a_single_pass_has_no_interval():
    rest = remainder({1: 4.0}, [{1: 3.0}])
    assert rest.share == pytest.approx(0.25)
    assert math.isnan(rest.low)


def test_slower_products_in_a_pass_are_drift():
    records = with_ceilings(lambda *key: 0.88 if key == (3, "products") else 1.0, passes=5)
    [moved] = drift(Run.of(records))
    assert (moved.pass_number, moved.place, moved.what) == (3, HOST, "products")
    assert moved.change == pytest.approx(-0.12)


def test_bandwidth_drifts_separately_and_passes_are_in_order():
    factors = {(4, "products"): 1.2, (2, "bandwidth"): 0.5}
    moved = drift(Run.of(with_ceilings(lambda *key: factors.get(key, 1.0), passes=5)))
    assert [(each.pass_number, each.what) for each in moved] == [(2, "bandwidth"), (4, "products")]
    assert [each.change for each in moved] == pytest.approx([-0.5, 0.2])


@pytest.mark.parametrize(("resolution", "count"), [(0.05, 1), (0.2, 0), (0.12, 0)])
def test_change_within_the_resolution_is_no_drift(resolution, count):
    records = with_ceilings(lambda *key: 0.89 if key == (1, "products") else 1.0, passes=5)
    assert len(drift(Run.of(records), resolution)) == count


def test_two_passes_are_too_few_for_drift():
    assert drift(Run.of(with_ceilings(lambda pass_number, quantity: pass_number, passes=2))) == []


def test_one_disturbed_measurement_is_no_drift():
    records = [
        replace(record, products={**record.products, "8x8x8": 1e9})
        if isinstance(record, Ceiling) and (record.pass_number, record.contender) == (2, NUMPY.label)
        else record
        for record in with_ceilings(passes=4)
    ]
    assert drift(Run.of(records)) == []


@pytest.mark.parametrize("resolution", [0, -0.1, math.nan])
def test_invalid_resolution_is_refused(resolution):
    with pytest.raises(ValueError, match=r"^resolution: "):
        drift(Run.of(with_ceilings()), resolution)


def test_table_has_fraction_and_bound():
    records = with_ceilings(phases=("forward", "update"))
    timings = Run.of(records).timings
    plan = Run.of(records).plan
    cell_records = Run.of(records).cells
    for cell, (_, row) in zip(plan.cells, timings.iterrows(), strict=True):
        seconds = {
            pass_number: float(np.median(values))
            for pass_number, values in cell_records[cell.key].samples_by_pass.items()
        }
        close = closeness(cell, seconds, cell_records[cell.key].block_errors, limits(Run.of(records))[HOST], plan.steps)
        assert row["ceiling_fraction"] == close.fraction.value > 0
        assert row["bound"] == close.bound
    assert set(timings["bound"].cat.categories) == {"compute", "bandwidth", "call", "overhead"}


def test_table_without_ceilings_has_no_fraction_and_bound():
    timings = Story(plan_of_cells()).run().timings
    assert timings[["ceiling_fraction", "bound"]].isna().all(axis=None)


def test_moved_pass_widens_the_interval():
    def slower_once(pass_number, quantity):
        return 0.8 if pass_number == 2 else 1.0

    steady_run, moved_run = (with_ceilings(rates, passes=5) for rates in (None, slower_once))
    cell_records = next(iter(Run.of(moved_run).cells.values()))
    medians = [float(np.median(seconds)) for seconds in cell_records.samples_by_pass.values()]
    within = cell_records.block_errors
    expected = estimate(medians, [*within.values()], moved=[-math.log(0.8) * (each == 2) for each in within])
    row, before = Run.of(moved_run).timings.iloc[0], Run.of(steady_run).timings.iloc[0]
    assert (row["seconds_low"], row["seconds_high"]) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert math.log(row["seconds_high"] / row["seconds_low"]) > 4 * math.log(
        before["seconds_high"] / before["seconds_low"]
    )
    assert row["seconds"] == before["seconds"]
