import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.statistics import Estimate, paired
from bench.analyse.run.crossovers import crossings, crossovers
from bench.analyse.run.run import Run
from bench.analyse.run.tables import blocks_of
from bench.measure.records import Block
from bench.plan.cells import Contender, Shape
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, steady

SIZES = (64, 128, 256, 512)
JITTER = (1.0, 1.01, 0.99, 1.004, 0.996)
"""Of one contender's passes against the other's."""


def told(ratio, sizes=SIZES, contenders=(NUMPY, TORCH), phases=("step",), jitter=JITTER, **others):
    """A run along N in which torch is `ratio(N)` times as fast as numpy."""

    def seconds(cell, pass_number):
        mine = cell.shape.N * 1e-6
        if cell.contender.implementation != "torch":
            return mine
        return mine / ratio(cell.shape.N) * jitter[pass_number - 1]

    shapes = [Shape(size, 1000, 100) for size in sizes]
    story = Story(plan_of_cells(contenders, shapes, phases, **others), seconds)
    return story.run()


def found(*arguments, **others):
    return of_run(told(*arguments, **others))


def of_run(run, names=None, phases=None):
    return crossovers(run.measured, names or [*run.timings["implementation"]], phases)


def power(crossing, exponent):
    return lambda size: (size / crossing) ** exponent


@pytest.mark.parametrize(("factor", "answer"), [(0.8, "always"), (1.25, "never")])
def test_who_is_faster_at_every_size_is_always_faster(factor, answer):
    row = found(lambda size: factor).iloc[0]
    assert (row["contender"], row["other"], row["answer"]) == ("numpy", "torch", answer)
    assert np.isnan(row[["size", "size_low", "size_high"]].astype(float)).all()


def test_a_row_says_what_it_is_about():
    row = found(lambda size: 2.0).iloc[0]
    assert (row["axis"], row["phase"], row["fixed"], row["dtype"]) == ("N", "step", "D_in=1000 H=100", "float32")
    assert (row["measured_low"], row["measured_high"]) == (64, 512)


@pytest.mark.parametrize(("exponent", "winner"), [(0.7, "torch"), (-0.7, "numpy")])
def test_a_change_is_found_where_the_ratio_of_powers_is_one(exponent, winner):
    rows = found(power(180, exponent))
    assert list(rows["answer"]) == ["at"]
    row = rows.iloc[0]
    assert row["contender"] == winner
    assert row["size"] == pytest.approx(180, rel=0.01)
    assert row["size_low"] < 180 < row["size_high"]
    assert row["size_low"] >= 128
    assert row["size_high"] <= 256


def test_the_noisier_the_passes_the_wider_the_interval():
    def width(scale):
        row = found(power(180, 0.7), jitter=[one**scale for one in JITTER]).iloc[0]
        return math.log(row["size_high"] / row["size_low"])

    assert width(1) < width(3) < width(9)


def test_a_size_at_which_neither_is_known_to_be_faster_lies_within_the_interval():
    row = found(lambda size: {64: 0.8, 128: 0.9, 256: 1.001, 512: 1.2}[size]).iloc[0]
    assert row["answer"] == "at"
    assert 128 < row["size_low"] < 256 < row["size_high"] < 512


@pytest.mark.parametrize(
    "ratios",
    [{64: 0.8, 128: 0.8, 256: 0.8, 512: 1.001}, {64: 1.2, 128: 1.001, 256: 1.2, 512: 1.2}, dict.fromkeys(SIZES, 1.0)],
    ids=["undecided at an end", "undecided between", "nowhere decided"],
)
def test_an_undecided_size_and_no_change_is_not_told(ratios):
    assert list(found(ratios.get)["answer"]) == ["cannot tell"]


def test_from_one_pass_nothing_can_be_told():
    assert list(found(power(180, 0.7), passes=1)["answer"]) == ["cannot tell"]


def test_two_changes_are_two_rows_each_naming_who_wins_above():
    rows = found(lambda size: {64: 0.8, 128: 1.25, 256: 1.25, 512: 0.8}[size])
    assert list(rows["answer"]) == ["at", "at"]
    assert list(rows["contender"]) == ["torch", "numpy"]
    assert list(rows["size"]) == pytest.approx([64 * 2**0.5, 256 * 2**0.5], rel=0.01)


def test_an_axis_with_one_size_has_no_row():
    assert set(found(power(180, 0.7))["axis"]) == {"N"}
    assert found(power(180, 0.7), sizes=(64,)).empty


def test_a_product_has_a_row_for_every_setting_of_the_other_sizes():
    shapes = [Shape(N, D_in, H) for N in (64, 512) for D_in in (1000, 2000) for H in (100, 200, 300)]
    records = Story(plan_of_cells(shapes=shapes)).records()
    rows = of_run(Run.of(records))
    assert rows["axis"].value_counts().to_dict() == {"N": 6, "D_in": 6, "H": 4}
    assert set(rows.loc[rows["axis"] == "H", "fixed"]) == {
        f"N={N} D_in={D_in}" for N in (64, 512) for D_in in (1000, 2000)
    }


def test_another_d_out_is_named():
    records = Story(plan_of_cells(shapes=[Shape(64, 1000, 100, 20), Shape(128, 1000, 100, 20)])).records()
    rows = of_run(Run.of(records))
    assert list(rows["fixed"]) == ["D_in=1000 H=100 D_out=20"]


def test_only_the_like_are_compared():
    contenders = [
        Contender(name, "cpu", dtype, threads)
        for name in ("numpy", "torch")
        for dtype in ("float32", "float64")
        for threads in (1, 2)
    ]
    rows = found(lambda size: 2.0, contenders=contenders)
    assert len(rows) == 4
    assert set(zip(rows["contender"], rows["other"], strict=True)) == {("numpy", "torch")}


def test_the_host_is_compared_with_an_accelerator_whatever_its_threads():
    contenders = [Contender("numpy", "cpu", "float32", 1), Contender("torch", "cuda", "float32", 2)]
    assert list(found(power(180, 0.7), contenders=contenders)["answer"]) == ["at"]


def test_whose_thread_limit_did_not_hold_is_compared_with_nobody():
    torch = Contender("torch", "cpu", "float32", 1)
    plan = plan_of_cells(
        [Contender("numpy", "cpu", "float32", 1), torch], [Shape(64, 1000, 100), Shape(128, 1000, 100)]
    )
    records = Story(plan, busy={torch: 1.9}).records()
    assert of_run(Run.of(records)).empty


def test_phases_can_be_chosen_and_contenders_named():
    run = told(lambda size: 2.0, phases=("forward", "step"))
    rows = of_run(run, [*run.timings["implementation"].astype(str).str.upper()], ["forward"])
    assert list(rows["phase"]) == ["forward"]
    assert list(rows["contender"]) == ["NUMPY"]


def test_without_a_time_there_is_no_row():
    assert of_run(told(lambda size: 2.0, passes=0)).empty


def test_the_ratio_is_the_table_s_speed_up():
    random = np.random.default_rng(3)
    plan = plan_of_cells((NUMPY, TORCH), [Shape(size, 1000, 100) for size in SIZES], ("step",), rounds=4)
    records = [  # rounds that differ: what is paired within rounds is not what is paired within passes
        replace(one, seconds=[second * random.lognormal(0, 0.1) for second in one.seconds])
        if isinstance(one, Block)
        else one
        for one in Story(plan).records()
    ]
    run = Run.of(records)
    timings, blocks = run.timings, blocks_of(run.samples)
    for _, row in timings[timings["implementation"] == "torch"].iterrows():
        rest = ("cpu", "float32", row["threads"], row["N"], 1000, 100, 10, "step")
        ratio = paired(blocks["numpy", *rest], blocks["torch", *rest])
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
def test_a_crossing_lies_within_its_interval_within_the_measured(logs, reach, stretch):
    sizes = [round(10 * 2**place * stretch) for place in range(len(logs))]
    ratios = [ratio(math.exp(log), reach) for log in logs]
    for _, size, low, high in crossings(sizes, ratios):
        slack = 1 + 1e-9
        assert sizes[0] / slack <= low <= size * slack
        assert size <= high * slack <= sizes[-1] * slack**2


@steady
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.floats(1.001, 4))
def test_seen_from_the_other_side_the_same_sizes_are_crossed_the_other_way(logs, reach):
    sizes = [10 * 2**place for place in range(len(logs))]
    mine = crossings(sizes, [ratio(math.exp(log), reach) for log in logs])
    theirs = crossings(sizes, [ratio(math.exp(-log), reach) for log in logs])
    assert [not one[0] for one in mine] == [one[0] for one in theirs]
    assert np.array([one[1:] for one in mine]) == pytest.approx(np.array([one[1:] for one in theirs]))


def test_two_that_are_alike_over_some_sizes_cross_in_the_middle_of_them():
    logs = (-1.0, 0.0, 0.0, 1.0)
    for sign in (1, -1):
        [(_, size, _, _)] = crossings([10, 20, 80, 160], [ratio(math.exp(sign * log), 2) for log in logs])
        assert size == pytest.approx(40)


def test_a_size_without_an_interval_is_passed_over():
    unknown = Estimate(7.0, math.nan, math.nan, 1)
    with_it = crossings([10, 20, 40], [ratio(0.5, 1.1), unknown, ratio(2, 1.1)])
    assert with_it == crossings([10, 40], [ratio(0.5, 1.1), ratio(2, 1.1)])


def test_the_table_has_its_columns_even_where_it_has_no_row():
    empty = crossovers([], [])
    assert {"contender", "other", "axis", "phase", "fixed", "answer", "size", "size_low", "size_high"} <= set(empty)
