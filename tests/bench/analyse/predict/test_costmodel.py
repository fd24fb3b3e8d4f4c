import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.predict import costmodel
from bench.analyse.predict.costmodel import Measured, fit, measured, model, refuse_beyond, terms, validate
from bench.analyse.run.run import Run
from bench.plan.cells import Contender, Shape, flops
from bench.plan.work import unavoidable_bytes
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, steady

REFERENCES = sorted((Path(__file__).parents[3] / "results" / "reference").glob("*/timings.csv"))
WHO = ("numpy", "cpu", "float32", 2)
TURNS = [Shape(64, 1000, 100), Shape(512, 1000, 100), Shape(64, 8000, 100), Shape(64, 1000, 800)]
MANY = [Shape(N, D_in, H) for N in (16, 64, 256, 1024) for D_in in (250, 1000, 4000) for H in (25, 100, 400)]
costs = st.tuples(st.floats(1e-6, 1e-3), st.floats(1e-12, 1e-10), st.floats(1e-12, 1e-10))


def seconds(shape, phase="step", fixed=5e-5, per_flop=1e-11, per_byte=1e-10):
    return fixed + per_flop * flops(shape, phase) + per_byte * unavoidable_bytes(shape, phase, 4)


def cells(shapes=MANY, cost=seconds, who=WHO, noise=0.0, seed=1):
    logs = np.log([cost(shape) for shape in shapes]) + np.random.default_rng(seed).normal(0, noise, len(shapes))
    return Measured(who, "step", tuple(shapes), 1, logs, np.full(len(shapes), 0.01))


def contenders(count, noise, shapes=TURNS):
    """Each with costs of its own."""
    draw = np.random.default_rng(20260102)
    told = []
    for number in range(count):
        fixed, per_flop, per_byte = np.exp(draw.normal(np.log([5e-5, 1e-11, 1e-10]), 0.4))
        cost = lambda shape, f=fixed, r=per_flop, b=per_byte: seconds(shape, "step", f, r, b)  # noqa: E731
        told.append(cells(shapes, cost, (f"net{number}", "cpu", "float32", 2), noise, number))
    return told


def test_a_term_is_one_an_operation_and_a_byte():
    shape = Shape(64, 1000, 100)
    assert terms([shape], "train", "float64", 50).tolist() == [
        [1, flops(shape, "train", 50), unavoidable_bytes(shape, "train", 8, 50)]
    ]


@steady
@given(costs)
def test_sizes_between_the_measured_are_predicted_where_costs_are_as_the_model_says(made):
    curve = fit(cells(cost=lambda shape: seconds(shape, "step", *made)))
    between = [Shape(128, 2000, 200), Shape(512, 500, 50), Shape(32, 3000, 300)]
    logs, _ = curve.predict(between)
    assert np.exp(logs) == pytest.approx([seconds(shape, "step", *made) for shape in between], rel=0.1)


@steady
@given(st.lists(st.floats(1e-7, 10), min_size=3, max_size=4), st.floats(1e-3, 1e3))
def test_no_cost_is_below_zero_and_a_change_of_unit_changes_all_by_as_much(times, scale):
    shapes = tuple(TURNS[: len(times)])
    mine = Measured(WHO, "step", shapes, 1, np.log(times), np.zeros(len(times)))
    curve, scaled = fit(mine), fit(replace(mine, logs=mine.logs + math.log(scale)))
    assert (curve.coefficients >= 0).all()
    assert curve.coefficients.any()
    assert scaled.coefficients == pytest.approx(curve.coefficients * scale, rel=1e-6)


def test_what_the_costs_leave_over_is_carried_to_cells_of_nearly_the_same_work():
    lumpy = lambda shape: seconds(shape) * (1.5 if flops(shape, "step") > 1e8 else 1.0)  # noqa: E731
    near = Shape(62, 8000, 100)
    log, _ = fit(cells(TURNS, lumpy)).predict([near])
    assert math.exp(log[0]) == pytest.approx(lumpy(near), rel=0.1)


def test_the_further_from_what_was_measured_the_wider():
    _, spreads = fit(cells(TURNS)).predict([Shape(64, 8000, 100), Shape(64, 9000, 100), Shape(64, 30000, 100)])
    assert list(spreads) == sorted(spreads)
    assert spreads[2] > 2 * spreads[0]


def test_the_noisier_a_cell_the_wider():
    calm = cells(TURNS)
    noisy = replace(calm, errors=np.full(len(TURNS), 0.5))
    assert fit(noisy).predict(TURNS)[1] == pytest.approx(fit(noisy).predict(TURNS)[1])
    assert (fit(noisy).predict(TURNS)[1] > fit(calm).predict(TURNS)[1]).all()


def test_an_interval_holds_its_prediction_and_is_scaled_by_what_was_missed():
    shape = Shape(128, 2000, 200)
    calm, wild = (
        model(contenders(6, noise)).predict(("net0", "cpu", "float32", 2), "step", shape) for noise in (0, 0.3)
    )
    for one in (calm, wild):
        assert one.low < one.seconds < one.high
    assert wild.high / wild.low > calm.high / calm.low


@pytest.mark.parametrize(("shapes", "noise"), [(TURNS, 0.05), (TURNS, 0.2), (MANY, 0.1)])
def test_nine_in_ten_of_held_out_cells_lie_within_their_intervals(shapes, noise):
    told = validate(contenders(8, noise, shapes))
    assert told.cells == 8 * len(shapes)
    assert told.inside >= 0.85
    assert told.typical_error < 0.5
    assert told.typical_error < told.typical_half_width


@pytest.mark.parametrize("path", REFERENCES, ids=[path.parent.name for path in REFERENCES])
def test_at_least_85_of_100_held_out_cells_of_a_default_grid_lie_within_their_intervals(path):
    told = validate(measured(pd.read_csv(path)))
    assert told.cells >= 100
    assert told.inside >= 0.85
    assert told.typical_half_width < 0.5


def test_a_held_out_cell_is_predicted_without_its_shape():
    honest, spoilt = contenders(6, 0.05), contenders(6, 0.05)
    spoilt[0].logs[1] += 5
    mine = costmodel._cross_validated(honest)
    theirs = costmodel._cross_validated(spoilt)
    here = (mine["who"] == honest[0].who) & (mine["shape"] == TURNS[1])
    assert theirs.loc[here.to_numpy(), "error"].item() == pytest.approx(mine.loc[here.to_numpy(), "error"].item() + 5)


def test_cells_are_those_with_a_time():
    plan = plan_of_cells((NUMPY, TORCH), TURNS, ("forward", "train"))
    found = measured(Story(plan).run().timings)
    assert [(one.who, one.phase) for one in found] == [
        ((name, "cpu", "float32", 2), phase) for phase in ("forward", "train") for name in ("numpy", "torch")
    ]
    assert all(one.shapes == tuple(TURNS) for one in found)
    assert measured(Story(plan, passes=0, complete=False).run().timings) == []


def test_the_steps_of_a_train_are_read_from_its_rate():
    plan = plan_of_cells((NUMPY,), TURNS, ("step", "train"), steps=37)
    assert [one.steps for one in measured(Story(plan).run().timings)] == [1, 37]


def test_a_cell_from_one_pass_counts_as_exact():
    (one,) = measured(Run.of(Story(plan_of_cells((NUMPY,), TURNS, passes=1)).records()).timings)
    assert one.errors.tolist() == [0, 0, 0, 0]


def test_two_shapes_are_too_few_to_predict_others():
    with pytest.raises(ValueError, match="timed at 3 shapes or more"):
        model([cells(TURNS[:2])])


def test_three_shapes_are_enough_to_predict_but_a_contender_alone_says_little_of_itself():
    fitted = model([cells(TURNS[:3])])
    one = fitted.predict(WHO, "step", Shape(128, 1000, 100))
    assert 0 < one.low < one.seconds < one.high < math.inf


def test_a_contender_that_misses_a_shape_does_not_keep_the_others_from_being_held_out():
    told = contenders(4, 0.05)
    told[0] = told[0].of(TURNS[:3])
    assert validate(told).cells == 15


def test_few_scores_have_the_quantile_of_student_s_t():
    assert costmodel._quantile(np.ones(9)) == 1
    assert costmodel._quantile(np.ones(8)) == pytest.approx(1.8595, abs=1e-3)
    assert costmodel._quantile(np.array([])) == math.inf
    assert costmodel._quantile(np.arange(1.0, 20)) == 18


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        (Shape(15, 1000, 100), r"^N=15 lies over 4 times beyond the measured 64 to 512; measure it: pytest it$"),
        (Shape(2049, 1000, 100), "^N=2,049 "),
        (Shape(64, 32001, 100), "^D_in=32,001 "),
        (Shape(64, 1000, 24), "^H=24 "),
        (Shape(64, 1000, 100, 41), "^D_out=41 lies over 4 times beyond the measured 10; "),
        (Shape(512, 8000, 800), "^flops of a step=13,1"),
    ],
)
def test_sizes_and_work_far_beyond_the_measured_are_refused(shape, complaint):
    with pytest.raises(ValueError, match=complaint):
        refuse_beyond([cells(TURNS)], shape, "step", "pytest it")


@pytest.mark.parametrize("shape", [*TURNS, Shape(16, 1000, 100), Shape(128, 2000, 200), Shape(64, 1000, 100, 40)])
def test_sizes_near_the_measured_are_not(shape):
    assert refuse_beyond([cells(TURNS)], shape, "step", "") is None


def test_a_limit_that_did_not_hold_leaves_one_contender_of_that_name():
    limits = [Contender("jax", "cpu", "float32", threads) for threads in (1, 2)]
    plan = plan_of_cells(limits, TURNS)
    timings = Story(plan, busy={limits[0]: 1.9}).run().timings
    (one,) = measured(timings)
    assert len(one.shapes) == len(TURNS)
    assert isinstance(timings, pd.DataFrame)
