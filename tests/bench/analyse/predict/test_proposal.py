from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.predict.costmodel import NOISE, Curve, Measured, fit
from bench.analyse.predict.proposal import WORTHWHILE, candidates, propose
from bench.plan.cells import Shape, flops
from tests.bench.made import steady

IN_TURN = [Shape(64, 1000, 100), Shape(512, 1000, 100), Shape(64, 8000, 100), Shape(64, 1000, 800)]
sizes = st.integers(1, 5000)
some_shapes = st.lists(st.builds(Shape, sizes, sizes, sizes), min_size=3, max_size=8, unique=True)


def curve(shapes=IN_TURN, fixed=5e-5, name="numpy", error=0.02):
    """Return a contender fitted to times of a fixed part and a rate."""
    logs = np.log([fixed + 1e-11 * flops(shape, "step") for shape in shapes])
    return fit(Measured((name, "cpu", "float32", 2), "step", tuple(shapes), 1, logs, np.full(len(shapes), error)))


def spread_with(fitted: Curve, shapes, asked):
    """Return the spread at the asked shape, if some shapes had been measured besides, with the same coefficients."""
    measured = fitted.measured
    more = replace(
        measured,
        shapes=(*measured.shapes, *shapes),
        logs=np.append(measured.logs, np.zeros(len(shapes))),
        errors=np.append(measured.errors, np.zeros(len(shapes))),
    )
    return Curve(more, fitted.coefficients).predict([asked])[1].item()


def test_proposal_narrows_by_as_much_as_measuring_the_shapes_would():
    fitted, asked = curve(), Shape(256, 2000, 300)
    proposed = propose([fitted], 1.5, asked)
    assert proposed.half_width == pytest.approx(np.expm1(1.5 * spread_with(fitted, [], asked)))
    assert proposed.half_width_after == pytest.approx(np.expm1(1.5 * spread_with(fitted, proposed.shapes, asked)))
    assert proposed.half_width_after < proposed.half_width


def test_first_proposed_shape_is_the_best_of_all():
    fitted, asked = curve(), Shape(256, 2000, 300)
    spreads = {shape: spread_with(fitted, [shape], asked) for shape in candidates(IN_TURN, asked)}
    assert propose([fitted], 1.0, asked).shapes[0] == min(spreads, key=spreads.__getitem__)


def test_shape_amid_the_default_ones_is_sharpened_by_their_middle():
    assert propose([curve()], 1.0, Shape(256, 2000, 300)).shapes[0] == Shape(180, 2800, 280)


def test_nothing_is_proposed_that_is_not_worthwhile():
    asked = Shape(64, 1000, 101)
    assert propose([curve(error=0.0)], 1.0, asked).shapes == ()


@steady
@given(some_shapes, st.builds(Shape, sizes, sizes, sizes), st.floats(0.5, 3))
def test_proposal_is_new_and_no_wider_and_within_the_measured_sizes(shapes, asked, scale):
    fitted = [curve(shapes), curve(shapes, 1e-3, "torch")]
    proposed = propose(fitted, scale, asked)
    assert proposed.half_width_after <= proposed.half_width
    assert not {*proposed.shapes} & {*shapes, asked}
    assert len(set(proposed.shapes)) == len(proposed.shapes) <= 2
    if proposed.shapes:
        assert proposed.half_width_after <= (1 - WORTHWHILE) * proposed.half_width
        assert np.log1p(proposed.half_width_after) >= scale * NOISE
    for shape in proposed.shapes:
        assert flops(shape, "step") <= max(flops(each, "step") for each in [*shapes, asked])
        for axis in ("N", "D_in", "H"):
            measured_sizes = [getattr(each, axis) for each in shapes]
            assert min(measured_sizes) <= getattr(shape, axis) <= max(measured_sizes)


def test_candidates_of_one_size_on_an_axis_vary_the_others():
    shapes = [Shape(64, 1000, H, 10) for H in (100, 200, 400)]
    assert candidates(shapes, Shape(64, 1000, 300)) == []
    assert candidates(shapes, Shape(64, 1000, 200)) == []
    assert candidates(shapes[::2], Shape(64, 1000, 300)) == [Shape(64, 1000, 200)]
