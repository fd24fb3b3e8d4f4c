import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.cells import PHASES, Shape
from bench.plan.work import unavoidable_bytes
from tests.bench.made import steady

TUTORIAL = Shape(64, 1000, 100, 10)
X, Y, W1, W2, HIDDEN = 64 * 1000, 64 * 10, 1000 * 100, 100 * 10, 64 * 100
shapes = st.builds(Shape, *[st.integers(1, 5000)] * 4)


@pytest.mark.parametrize(
    ("phase", "elements"),
    [
        ("forward", X + W1 + W2 + HIDDEN + Y),
        ("backward", X + Y + W2 + HIDDEN + Y + W1 + W2),
        ("update", 2 * (W1 + W2) + W1 + W2),
        ("step", X + Y + W1 + W2 + W1 + W2),
    ],
)
def test_every_array_is_counted_once(phase, elements):
    assert unavoidable_bytes(TUTORIAL, phase, 4) == 4 * elements


def test_train_moves_the_bytes_of_its_steps():
    assert unavoidable_bytes(TUTORIAL, "train", 8, 500) == 500 * unavoidable_bytes(TUTORIAL, "step", 8)


@steady
@given(shapes, st.sampled_from(PHASES))
def test_float64_moves_twice_as_much_as_float32(shape, phase):
    assert unavoidable_bytes(shape, phase, 8) == 2 * unavoidable_bytes(shape, phase, 4) > 0


@steady
@given(shapes)
def test_a_fused_step_moves_no_more_than_its_phases(shape):
    separate = sum(unavoidable_bytes(shape, phase, 4) for phase in ("forward", "backward", "update"))
    assert unavoidable_bytes(shape, "step", 4) <= separate


def test_an_unknown_phase_is_refused():
    with pytest.raises(ValueError, match=r"'sideways' is not a phase; phases are forward, backward, update, step, tra"):
        unavoidable_bytes(TUTORIAL, "sideways", 4)
