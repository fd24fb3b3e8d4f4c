import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.statistics import Estimate
from bench.analyse.run.crossovers import crossings, crossovers
from bench.analyse.run.run import Run
from bench.analyse.run.tables import blocks_of
from bench.measure.records import Block
from bench.plan.cells import Contender, Shape
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, steady

SIZES = (64, 128, 256, 512)
JITTER = (1.0, 1.01, 0.99, 1.004, 0.996)
"""The deviations of one contender's passes from the other's, as factors."""


def run_along_n(ratio, sizes=SIZES, contenders=(NUMPY, TORCH), phases=("step",), jitter=JITTER, **others):
    """Return a run along N in which torch is `ratio(N)` times as fast as numpy."""

    def seconds(cell, pass_number):
        numpy_seconds = cell.shape.N * 1e-6
        if cell.contender.implementation != "torch":
            return numpy_seconds
        return numpy_seconds / ratio(cell.shape.N) * jitter[pass_number - 1]

    shapes = [Shape(size, 1000, 100) for size in sizes]
    story = Story(plan_of_cells(contenders, shapes, phases, **others), seconds)
    return story.run()


def rows_of(*arguments, **others):
    return crossovers_of(run_along_n(*arguments, **others))


def crossovers_of(run, names=None, phases=None):
    return crossovers(run.measured, names or [*run.timings["implementation"]], phases)


def power(crossing, exponent):
    return lambda size: (size / crossing) ** exponent


@pytest.mark.parametrize(("factor", "answer"), [(0.8, "always"), (1.25, "never")])
def test_same_winner_at_every_size(factor, answer):
    row = rows_of(lambda size: factor).iloc[0]
    assert (row["contender"], row["other"], row["answer"]) == ("numpy", "torch", answer)
    assert np.isnan(row[["size", "size_low", "size_high"]].astype(float)).all()


def test_row_names_axis_phase_and_other_sizes():
    row = rows_of(lambda size: 2.0).iloc[0]
    assert (row["axis"], row["phase"], row["fixed"], row["dtype"]) == ("N", "step", "D_in=1000 H=100", "float32")
    assert (row["measured_low"], row["measured_high"]) == (64, 512)


@pytest.mark.parametrize(("exponent", "winner"), [(0.7, "torch"), (-0.7, "numpy")])
def test_crossover_is_found_where_the_ratio_is_one(exponent, winner):
    rows = rows_of(power(180, exponent))
    assert list(rows["answer"]) == ["at"]
    row = rows.iloc[0]
    assert row["contender"] == winner
    assert row["size"] == pytest.approx(180, rel=0.01)
    assert row["size_low"] < 180 < row["size_high"]
    assert row["size_low"] >= 128
    assert row["size_high"] <= 256


def test_noise_widens_the_interval():
    def width(scale):
        row = rows_of(power(180, 0.7), jitter=[factor**scale for factor in JITTER]).iloc[0]
        return math.log(row["size_high"] / row["size_low"])

    assert width(1) < width(3) < width(9)


def test_undecided_size_is_within_the_interval():
    row = rows_of(lambda size: {64: 0.8, 128: 0.9, 256: 1.001, 512: 1.2}[size]).iloc[0]
    assert row["answer"] == "at"
    assert 128 < row["size_low"] < 256 < row["size_high"] < 512


@pytest.mark.parametrize(
    "ratios",
    [{64: 0.8, 128: 0.8, 256: 0.8, 512: 1.001}, {64: 1.2, 128: 1.001, 256: 1.2, 512: 1.2}, dict.fromkeys(SIZES, 1.0)],
    ids=["undecided at an end", "undecided between", "nowhere decided"],
)
def test_undecided_size_without_crossover_cannot_be_told(ratios):
    assert list(rows_of(ratios.get)["answer"]) == ["cannot tell"]


def test_one_pass_cannot_tell():
    assert list(rows_of(power(180, 0.7), passes=1)["answer"]) == ["cannot tell"]


def test_two_crossovers_are_two_rows():
    rows = rows_of(lambda size: {64: 0.8, 128: 1.25, 256: 1.25, 512: 0.8}[size])
    assert list(rows["answer"]) == ["at", "at"]
    assert list(rows["contender"]) == ["torch", "numpy"]
    assert list(rows["size"]) == pytest.approx([64 * 2**0.5, 256 * 2**0.5], rel=0.01)


def test_axis_with_one_size_has_no_row():
    assert set(rows_of(power(180, 0.7))["axis"]) == {"N"}
    assert rows_of(power(180, 0.7), sizes=(64,)).empty


def test_product_grid_has_a_row_for_every_setting_of_other_sizes():
    shapes = [Shape(N, D_in, H) for N in (64, 512) for D_in in (1000, 2000) for H in (100, 200, 300)]
    records = Story(plan_of_cells(shapes=shapes)).records()
    rows = crossovers_of(Run.of(records))
    assert rows["axis"].value_counts().to_dict() == {"N": 6, "D_in": 6, "H": 4}
    assert set(rows.loc[rows["axis"] == "H", "fixed"]) == {
        f"N={N} D_in={D_in}" for N in (64, 512) for D_in in (1000, 2000)
    }


def test_other_d_out_is_named():
    records = Story(plan_of_cells(shapes=[Shape(64, 1000, 100, 20), Shape(128, 1000, 100, 20)])).records()
    rows = crossovers_of(Run.of(records))
    assert list(rows["fixed"]) == ["D_in=1000 H=100 D_out=20"]


def test_only_comparable_contenders_are_compared():
    contenders = [
        Contender(name, "cpu", dtype, threads)
        for name in ("numpy", "torch")
        for dtype in ("float32", "float64")
        for threads in (1, 2)
    ]
    rows = rows_of(lambda size: 2.0, contenders=contenders)
    assert len(rows) == 4
    assert set(zip(rows["contender"], rows["other"], strict=True)) == {("numpy", "torch")}


def test_host_is_compared_with_accelerator_with_any_threads():
    contenders = [Contender("numpy", "cpu", "float32", 1), Contender("torch", "cuda", "float32", 2)]
    assert list(rows_of(power(180, 0.7), contenders=contenders)["answer"]) == ["at"]


def test_contender_that_exceeded_threads_is_not_compared():
    torch = Contender("torch", "cpu", "float32", 1)
    plan = plan_of_cells(
        [Contender("numpy", "cpu", "float32", 1), torch], [Shape(64, 1000, 100), Shape(128, 1000, 100)]
    )
    records = Story(plan, busy={torch: 1.9}).records()
    assert crossovers_of(Run.of(records)).empty


def test_phases_and_names_can_be_chosen():
    run = run_along_n(lambda size: 2.0, phases=("forward", "step"))
    rows = crossovers_of(run, [*run.timings["implementation"].astype(str).str.upper()], ["forward"])
    assert list(rows["phase"]) == ["forward"]
    assert list(rows["contender"]) == ["NUMPY"]


def test_no_times_have_no_rows():
    assert crossovers_of(run_along_n(lambda size: 2.0, passes=0)).empty


def test_ratio_is_the_speedup_of_the_table():
    random = np.random.default_rng(3)
    plan = plan_of_cells((NUMPY, TORCH), [Shape(size, 1000, 100) for size in SIZES], ("step",), rounds=4)
    records = [  # rounds differ, so that pairs within rounds and within passes give different ratios
        replace(record, seconds=[second * random.lognormal(0, 0.1) for second in record.seconds])
        if isinstance(record, Block)
        else record
        for record in Story(plan).records()
    ]
    run = Run.of(records)
    timings, blocks = run.timings, blocks_of(run.samples)
    for _, row in timings[timings["implementation"] == "torch"].iterrows():
        cell_names = ("cpu", "float32", row["threads"], row["N"], 1000, 100, 10, "step")
        (ratio,) = paired([(blocks["numpy", *cell_names], blocks["torch", *cell_names])])
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx(
            (row["speedup"], row["speedup_low"], row["speedup_high"])
        )


def ratio(value, reach):
    return Estimate(value, value / reach, value * reach, 5)


@steady
@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=6),
    st.floats(1.001, 4),
    st.floats(0.1, 10),
)
def test_crossing_is_within_interval_and_measured_sizes(logs, reach, stretch):
    sizes = [round(10 * 2**index * stretch) for index in range(len(logs))]
    ratios = [ratio(math.exp(log), reach) for log in logs]
    for _, size, low, high in crossings(sizes, ratios):
        slack = 1 + 1e-9
        assert sizes[0] / slack <= low <= size * slack
        assert size <= high * slack <= sizes[-1] * slack**2


@steady
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(1.001, 4))
def test_swapped_pair_has_opposite_crossings(logs, reach):
    sizes = [10 * 2**index for index in range(len(logs))]
    forward = crossings(sizes, [ratio(math.exp(log), reach) for log in logs])
    backward = crossings(sizes, [ratio(math.exp(-log), reach) for log in logs])
    assert [not crossing[0] for crossing in forward] == [crossing[0] for crossing in backward]
    assert np.array([crossing[1:] for crossing in forward]) == pytest.approx(
        np.array([crossing[1:] for crossing in backward])
    )


def test_equal_times_over_some_sizes_cross_in_their_middle():
    logs = (-1.0, 0.0, 0.0, 1.0)
    for sign in (1, -1):
        [(_, size, _, _)] = crossings([10, 20, 80, 160], [ratio(math.exp(sign * log), 2) for log in logs])
        assert size == pytest.approx(40)


def test_size_without_an_interval_is_ignored():
    unknown = Estimate(7.0, math.nan, math.nan, 1)
    with_unknown = crossings([10, 20, 40], [ratio(0.5, 1.1), unknown, ratio(2, 1.1)])
    assert with_unknown == crossings([10, 40], [ratio(0.5, 1.1), ratio(2, 1.1)])


def test_empty_table_has_its_columns():
    empty = crossovers([], [])
    assert {"contender", "other", "axis", "phase", "fixed", "answer", "size", "size_low", "size_high"} <= set(empty)
