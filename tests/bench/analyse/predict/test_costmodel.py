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

REFERENCES = sorted((Path(__file__).parents[4] / "results" / "reference").glob("*/timings.csv"))
WHO = ("numpy", "cpu", "float32", 2)
IN_TURN = [Shape(64, 1000, 100), Shape(512, 1000, 100), Shape(64, 8000, 100), Shape(64, 1000, 800)]
MANY = [Shape(N, D_in, H) for N in (16, 64, 256, 1024) for D_in in (250, 1000, 4000) for H in (25, 100, 400)]
costs = st.tuples(st.floats(1e-6, 1e-3), st.floats(1e-12, 1e-10), st.floats(1e-12, 1e-10))


def seconds(shape, phase="step", fixed=5e-5, per_flop=1e-11, per_byte=1e-10):
    return fixed + per_flop * flops(shape, phase) + per_byte * unavoidable_bytes(shape, phase, 4)


def cells(shapes=MANY, cost=seconds, who=WHO, noise=0.0, seed=1):
    logs = np.log([cost(shape) for shape in shapes]) + np.random.default_rng(seed).normal(0, noise, len(shapes))
    return Measured(who, "step", tuple(shapes), 1, logs, np.full(len(shapes), 0.01))


def contenders(count, noise, shapes=IN_TURN):
    """Return the cells of contenders with different costs."""
    draw = np.random.default_rng(20260102)
    contenders_cells = []
    for number in range(count):
        fixed, per_flop, per_byte = np.exp(draw.normal(np.log([5e-5, 1e-11, 1e-10]), 0.4))
        cost = lambda shape, f=fixed, r=per_flop, b=per_byte: seconds(shape, "step", f, r, b)  # noqa: E731
        contenders_cells.append(cells(shapes, cost, (f"net{number}", "cpu", "float32", 2), noise, number))
    return contenders_cells


def test_terms_are_one_flops_and_elements_of_arrays():
    shape = Shape(64, 1000, 100)
    arrays = [50 * 64 * 1000, 50 * (1000 + 10) * 100, 50 * 64 * (100 + 10)]
    assert terms([shape], "train", 50).tolist() == [[1, flops(shape, "train", 50), *arrays]]
    assert terms([shape], "update", 1).tolist() == [[1, flops(shape, "update"), 0, 1010 * 100, 0]]


@steady
@given(costs)
def test_predicts_sizes_between_measured_ones(made):
    curve = fit(cells(cost=lambda shape: seconds(shape, "step", *made)))
    between = [Shape(128, 2000, 200), Shape(512, 500, 50), Shape(32, 3000, 300)]
    logs, _ = curve.predict(between)
    assert np.exp(logs) == pytest.approx([seconds(shape, "step", *made) for shape in between], rel=0.1)


@steady
@given(st.lists(st.floats(1e-7, 10), min_size=3, max_size=4), st.floats(1e-3, 1e3))
def test_coefficients_are_not_negative_and_scale_with_the_unit(times, scale):
    shapes = tuple(IN_TURN[: len(times)])
    base = Measured(WHO, "step", shapes, 1, np.log(times), np.zeros(len(times)))
    curve, scaled = (
        fit(base),
        fit(replace(base, logs=base.logs + math.log(scale))),
    )
    assert (curve.coefficients >= 0).all()
    assert curve.coefficients.any()
    assert scaled.coefficients == pytest.approx(curve.coefficients * scale, rel=1e-6)


def test_update_is_predicted_by_its_weights_alone():
    update = lambda shape: 1e-5 + 1e-10 * (shape.D_in * shape.H) ** 1.3  # noqa: E731
    inside = replace(cells(IN_TURN[:3], update), phase="update")
    log, _ = fit(inside).predict([IN_TURN[3], Shape(300, 8000, 100)])
    assert np.exp(log) == pytest.approx([update(IN_TURN[3]), update(IN_TURN[2])], rel=0.1)


def test_residuals_carry_over_to_similar_work():
    lumpy = lambda shape: seconds(shape) * (1.5 if flops(shape, "step") > 1e8 else 1.0)  # noqa: E731
    near = Shape(62, 8000, 100)
    log, _ = fit(cells(IN_TURN, lumpy)).predict([near])
    assert math.exp(log[0]) == pytest.approx(lumpy(near), rel=0.1)


def test_spread_grows_with_distance_from_measured_cells():
    _, spreads = fit(cells(IN_TURN)).predict([Shape(64, 8000, 100), Shape(64, 9000, 100), Shape(64, 30000, 100)])
    assert list(spreads) == sorted(spreads)
    assert spreads[2] > 1.5 * spreads[0]


def test_spread_grows_with_noise():
    calm = cells(IN_TURN)
    noisy = replace(calm, errors=np.full(len(IN_TURN), 0.5))
    assert fit(noisy).predict(IN_TURN)[1] == pytest.approx(fit(noisy).predict(IN_TURN)[1])
    assert (fit(noisy).predict(IN_TURN)[1] > fit(calm).predict(IN_TURN)[1]).all()


sizes = st.integers(8, 4000)
some_shapes = st.lists(st.builds(Shape, sizes, sizes, sizes), min_size=3, max_size=12, unique=True)


@steady
@given(some_shapes, some_shapes, st.sampled_from(["forward", "update", "step"]))
def test_covariances_are_those_of_some_distribution(measured_shapes, others, phase):
    cost = lambda shape: seconds(shape, phase)  # noqa: E731
    made = replace(cells(measured_shapes, cost, noise=0.1), phase=phase)
    means, covariances = fit(made).posterior(others)
    assert np.isfinite(means).all()
    assert covariances == pytest.approx(covariances.T, abs=1e-9)
    assert np.linalg.eigvalsh(covariances).min() > -1e-9


@pytest.mark.parametrize("phase", ["forward", "update", "step"])
def test_measured_cells_are_predicted_as_measured(phase):
    made = replace(cells(MANY, lambda shape: seconds(shape, phase), noise=0.02), phase=phase)
    logs, spreads = fit(made).predict(MANY)
    assert np.abs(logs - made.logs).mean() < 0.05
    assert spreads.max() < 0.2


@pytest.mark.parametrize("noise", [0.03, 0.1])
def test_intervals_contain_cells_within_the_measured_sizes_that_were_not_used(noise):
    between = [Shape(N, D_in, H) for N in (64, 181, 512) for D_in in (1000, 2828, 8000) for H in (100, 283, 800)]
    used = [*IN_TURN, Shape(181, 2828, 283)]
    all_cells = contenders(8, noise, between)
    fitted = model([inside for each in all_cells if (inside := each.of(used))])
    widths, hits = [], []
    for each in all_cells:
        for shape, log in zip(each.shapes, each.logs, strict=True):
            if shape not in used:
                prediction = fitted.predict(each.who, "step", shape)
                hits.append(prediction.low <= math.exp(log) <= prediction.high)
                widths.append(prediction.high / prediction.seconds - 1)
    assert np.mean(hits) >= 0.88
    assert np.median(widths) < 0.2 + 2 * noise


def test_interval_contains_prediction_and_grows_with_errors():
    shape = Shape(128, 2000, 200)
    calm, noisy = (
        model(contenders(6, noise)).predict(("net0", "cpu", "float32", 2), "step", shape) for noise in (0, 0.3)
    )
    for prediction in (calm, noisy):
        assert prediction.low < prediction.seconds < prediction.high
    assert noisy.high / noisy.low > calm.high / calm.low


@pytest.mark.parametrize(("shapes", "noise"), [(IN_TURN, 0.05), (IN_TURN, 0.2), (MANY, 0.1)])
def test_intervals_contain_left_out_cells(shapes, noise):
    validation = validate(contenders(8, noise, shapes))
    assert validation.cells == 8 * len(shapes)
    assert validation.inside >= 0.85
    assert validation.typical_error < 0.5
    assert validation.typical_error < validation.typical_half_width


@pytest.mark.parametrize("path", REFERENCES, ids=[path.parent.name for path in REFERENCES])
def test_intervals_contain_left_out_cells_of_reference_runs(path):
    validation = validate(measured(pd.read_csv(path)))
    assert validation.cells >= 100
    assert validation.inside >= 0.85
    assert validation.typical_half_width < 0.5


def test_left_out_cell_is_predicted_without_its_shape():
    honest, spoilt = contenders(6, 0.05), contenders(6, 0.05)
    spoilt[0].logs[1] += 5
    honest_rows = costmodel._cross_validated(honest)
    spoilt_rows = costmodel._cross_validated(spoilt)
    of_cell = ((honest_rows["who"] == honest[0].who) & (honest_rows["shape"] == IN_TURN[1])).to_numpy()
    honest_error = honest_rows.loc[of_cell, "error"].item()
    assert spoilt_rows.loc[of_cell, "error"].item() == pytest.approx(honest_error + 5)


def test_measured_has_timed_cells():
    plan = plan_of_cells((NUMPY, TORCH), IN_TURN, ("forward", "train"))
    timed = measured(Story(plan).run().timings)
    assert [(each.who, each.phase) for each in timed] == [
        ((name, "cpu", "float32", 2), phase) for phase in ("forward", "train") for name in ("numpy", "torch")
    ]
    assert all(each.shapes == tuple(IN_TURN) for each in timed)
    assert measured(Story(plan, passes=0, complete=False).run().timings) == []


def test_steps_of_a_train_follow_from_its_rate():
    plan = plan_of_cells((NUMPY,), IN_TURN, ("step", "train"), steps=37)
    assert [each.steps for each in measured(Story(plan).run().timings)] == [1, 37]


def test_cell_from_one_pass_has_no_error():
    (from_one_pass,) = measured(Run.of(Story(plan_of_cells((NUMPY,), IN_TURN, passes=1)).records()).timings)
    assert from_one_pass.errors.tolist() == [0, 0, 0, 0]


def test_two_shapes_are_too_few_to_predict():
    with pytest.raises(ValueError, match="timed at 3 shapes or more"):
        model([cells(IN_TURN[:2])])


def test_three_shapes_of_one_contender_are_enough_to_predict():
    fitted = model([cells(IN_TURN[:3])])
    prediction = fitted.predict(WHO, "step", Shape(128, 1000, 100))
    assert 0 < prediction.low < prediction.seconds < prediction.high < math.inf


def test_contender_without_a_shape_does_not_stop_validation():
    contenders_cells = contenders(4, 0.05)
    contenders_cells[0] = contenders_cells[0].of(IN_TURN[:3])
    assert validate(contenders_cells).cells == 15


def test_few_scores_have_students_t_quantile():
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
        refuse_beyond([cells(IN_TURN)], shape, "step", "pytest it")


@pytest.mark.parametrize("shape", [*IN_TURN, Shape(16, 1000, 100), Shape(128, 2000, 200), Shape(64, 1000, 100, 40)])
def test_sizes_near_the_measured_are_accepted(shape):
    assert refuse_beyond([cells(IN_TURN)], shape, "step", "") is None


def test_exceeded_thread_limit_gives_one_contender():
    numbers_of_threads = [Contender("jax", "cpu", "float32", threads) for threads in (1, 2)]
    plan = plan_of_cells(numbers_of_threads, IN_TURN)
    timings = Story(plan, busy={numbers_of_threads[0]: 1.9}).run().timings
    (contender_cells,) = measured(timings)
    assert len(contender_cells.shapes) == len(IN_TURN)
    assert isinstance(timings, pd.DataFrame)
