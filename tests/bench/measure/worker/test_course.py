"""The float64 reference: the same in parts as in one, stored and read as it was computed, and refused if changed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure.worker import course, reference
from bench.measure.worker.course import Changed, Unusable
from bench.measure.worker.reference import Rounding, nearness, rounding_of
from bench.measure.worker.referencing import Referencing
from bench.measure.worker.session import Failure, Session
from bench.measure.worker.verify import verify
from bench.plan import work
from bench.plan.cells import Shape
from implementations import Problem, numpy_
from tests.bench.measure.worker.test_verify import WrongGradient1, near_zero, with_zeros

SHAPE = (8, 12, 6, 5)
SIZES = st.integers(1, 12)


def computed(problem, dtype="float32", rounding=None):
    net = numpy_.Net(problem, "cpu", dtype)
    return course.compute(problem.arrays(dtype), problem.learning_rate, rounding or rounding_of(net))


def in_parts(function):
    """Return what a function returns if each part has two samples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "PART_BYTES", 0)
        patch.setattr(reference, "LEAST_PART", 2)
        return function()


def plain_step(x, y, w1, w2, near, positive):
    """Return the prediction, both gradients and the doubt of w1's, as formulas say."""
    h = x @ w1
    y_pred = np.maximum(h, 0) @ w2
    grad_y = 2 * (y_pred - y)
    undecided = np.abs(h) <= near
    grad_h = (grad_y @ w2.T) * np.where(undecided, positive, h > 0)
    doubt = np.abs(x).T @ (np.abs(grad_y @ w2.T) * undecided)
    return y_pred, x.T @ grad_h, np.maximum(h, 0).T @ grad_y, doubt


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(SIZES, SIZES, SIZES, SIZES), seed=st.integers(0, 2**32 - 1), near=st.sampled_from([0.0, 1.0, 9.0])
)
def test_step_in_parts_is_what_formulas_say(shape, seed, near):
    x, y, w1, w2 = Problem.random(*shape, seed=seed).arrays("float64")
    for positive, decide in ((0.0, np.zeros), (1.0, np.ones)):
        step = in_parts(lambda decide=decide: reference.step(x, y, w1, w2, near, decide))
        expected = plain_step(x, y, w1, w2, near, positive)
        for actual, due in zip((step.y_pred, step.grad_w1, step.grad_w2, step.doubt), expected, strict=True):
            np.testing.assert_allclose(actual, due, rtol=1e-9, atol=1e-9 * np.abs(due).max(initial=1.0))
        np.testing.assert_allclose(in_parts(lambda: reference.predict(x, w1, w2))[0], step.y_pred)


def test_some_rows_of_a_step_are_rows_of_the_whole():
    x, y, w1, w2 = Problem.random(*SHAPE).arrays("float64")
    rows = np.array([1, 5, 7])
    whole, some = (reference.step(x, y, w1, w2, 2.0, rows=chosen) for chosen in (None, rows))
    np.testing.assert_allclose(some.grad_w1, whole.grad_w1[rows])
    np.testing.assert_allclose(some.doubt, whole.doubt[rows])
    np.testing.assert_allclose(some.grad_w2, whole.grad_w2)


@pytest.mark.parametrize("rounding", [None, Rounding(2.0**-8)])
@pytest.mark.parametrize(
    "problem", [Problem.random(*SHAPE), near_zero(), with_zeros()], ids=["random", "near", "zeros"]
)
def test_course_in_parts_is_that_in_one(problem, rounding):
    whole, parts = computed(problem, rounding=rounding), in_parts(lambda: computed(problem, rounding=rounding))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert tensor.shape == parts[name].shape
        np.testing.assert_allclose(parts[name], tensor, rtol=1e-9, atol=1e-12, err_msg=name)


def test_reference_takes_the_memory_of_a_few_weights_whatever_the_number_of_samples():
    problem = Problem.random(4096, 64, 32, 1)
    problem.arrays("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "PART_BYTES", 0)
        patch.setattr(reference, "LEAST_PART", 64)
        tracemalloc.start()
        try:
            computed(problem, rounding=Rounding(2.0**-11))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    part, weights, prediction = 8 * 64 * (64 + 32), 8 * 64 * 32, 8 * 4096
    assert peak < 8 * part + 12 * weights + 8 * prediction < problem.x.nbytes / 2


@pytest.mark.parametrize("rounding", [None, Rounding(2.0**-8)])
def test_stored_reference_has_no_more_bytes_than_planned(rounding):
    tensors = computed(Problem.random(*SHAPE), rounding=rounding)
    planned = work.reference_bytes(Shape(*SHAPE))
    small = sum(tensors[name].nbytes for name in ("scales", "losses", "losses_doubt", "w2_doubt"))
    assert sum(tensor.nbytes for tensor in tensors.values()) <= planned + small


def test_doubt_is_of_signs_that_rounding_may_change():
    assert {name for name, tensor in computed(Problem.random(*SHAPE)).items() if tensor.ndim == 0} == {
        "doubt",
        "losses_doubt",
        "w1_doubt",
        "w2_doubt",
    }
    doubts = computed(near_zero())
    assert np.flatnonzero(doubts["doubt"].any(axis=0)).tolist() == [0]
    assert doubts["w1_doubt"].max() > 0


def test_nearness_is_of_the_longest_sample_and_unit():
    x, w1 = np.array([[3.0, 4.0], [1.0, 0.0]], "float32"), np.array([[1.0, 6.0], [0.0, 8.0]])
    assert nearness(x, w1, Rounding(0.5)) == pytest.approx(4 * 0.5 * 5 * 10)
    assert nearness(x, w1, Rounding(0.5, 0.25)) == pytest.approx((4 * 0.5 + 0.25 / len(w1) ** 0.5) * 5 * 10)


@pytest.fixture
def stored(tmp_path):
    """Return a net, and how the course of its problem is stored."""
    net = numpy_.Net(near_zero())
    tensors = course.own(net).tensor
    names = computed(net.problem)
    digests = course.save({name: tensors(name) for name in names}, tmp_path)
    problem = course.digest_of_problem(net.problem.arrays("float32"), net.problem.learning_rate, rounding_of(net))
    return net, {"folder": str(tmp_path), "problem": problem, "digests": digests}


@pytest.mark.parametrize("net_class", [numpy_.Net, WrongGradient1])
def test_stored_reference_verifies_as_a_computed_one_does(stored, net_class):
    net, where = stored

    def make():
        return net_class(net.problem)

    assert verify(make, lambda net: course.stored(net, **where)) == verify(make)


def test_stored_reference_is_only_to_be_read(stored, tmp_path):
    files = sorted(tmp_path.iterdir())
    assert {file.suffix for file in files} == {".npy"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o400}


def with_other_numbers(array):
    array = array.copy()
    array.flat[0] += 1
    return array


DAMAGES = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "text": lambda file: file.write_bytes(b"no array"),
    "zip": lambda file: file.write_bytes(b"PK\x03\x04"),
    "pickle": lambda file: np.save(file, np.array([{}], dtype=object)),
    "dtype": lambda file: np.save(file, np.load(file).astype("float32")),
    "shape": lambda file: np.save(file, np.load(file)[..., np.newaxis]),
    "numbers": lambda file: np.save(file, with_other_numbers(np.load(file))),
}


@pytest.mark.parametrize("name", ["y_pred", "doubt", "scales", "losses", "w2_doubt"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_reference_is_refused(stored, tmp_path, name, damage):
    net, where = stored
    file = tmp_path / f"{name}.npy"
    file.chmod(0o600)
    DAMAGES[damage](file)
    with pytest.raises(Changed, match=f"the shared reference's {name}.npy"):
        verify(lambda: net, lambda net: course.stored(net, **where))


@pytest.mark.parametrize("other", [Problem.random(*SHAPE, seed=1), Problem.random(4, 3, 2, 1)])
def test_reference_of_another_problem_is_not_used(stored, other):
    with pytest.raises(Unusable, match="of another problem") as raised:
        course.stored(numpy_.Net(other), **stored[1])
    assert not isinstance(raised.value, Changed)


def test_reference_of_another_precision_is_not_used(stored):
    class Coarse(numpy_.Net):
        precision = "high"

    net, where = stored
    with pytest.raises(Unusable):
        course.stored(Coarse(net.problem), **where)


def prepared(reference, implementation="numpy"):
    worker = Session(implementation, "cpu", "float32")
    worker.start(0.0)
    return worker.prepare(list(SHAPE), ["step"], 2, reference=reference)


@pytest.fixture
def made(tmp_path):
    return {"folder": str(tmp_path), **Referencing().make(str(tmp_path), SHAPE, "float32", "highest")}


def test_worker_verifies_by_a_stored_reference(made, monkeypatch):
    alone = prepared(None)
    monkeypatch.setattr(course, "compute", None)  # not needed
    shared = prepared(made)
    assert [shared[name] for name in ("tensor", "error", "tolerance")] == [
        alone[name] for name in ("tensor", "error", "tolerance")
    ]
    assert "own_reference" not in shared


def test_worker_computes_its_own_reference_where_the_stored_one_is_damaged(made, tmp_path):
    (tmp_path / "w2.npy").unlink()
    answer = prepared(made)
    assert answer["own_reference"].startswith("the shared reference's w2.npy cannot be read")
    assert answer["reference_changed"]
    assert answer["error"] <= answer["tolerance"]


def test_worker_computes_its_own_reference_of_another_problem(made):
    answer = prepared({**made, "problem": "other"})
    assert answer["own_reference"] == "the shared reference is of another problem"
    assert not answer["reference_changed"]


@pytest.mark.parametrize("is_stored", [True, False])
def test_wrong_contender_is_wrong_by_either_reference(made, is_stored):
    with pytest.raises(Failure, match=r"gradient of w1: error .* \(and \d more of 10 comparisons\)") as raised:
        prepared(made if is_stored else None, "tests.bench.measure.worker.test_verify:WrongGradient1")
    assert raised.value.status == "wrong"


@pytest.mark.parametrize("shape", [(8, 200, 300, 1), (3000, 40, 10, 1), (300, 40, 10, 30)])
@pytest.mark.parametrize("is_stored", [True, False])
def test_needed_memory_is_a_minimum(tmp_path, shape, is_stored):
    answer = Referencing().make(str(tmp_path), shape, "float32", "highest")
    where = {"folder": str(tmp_path), **answer} if is_stored else None
    worker = Session("numpy", "cpu", "float32")
    worker.start(0.0)
    worker.prepare([1, 1, 1, 1], ["step"], 2)  # what is allocated only once
    tracemalloc.start()
    try:
        worker.prepare(list(shape), ["step"], 2, reference=where)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    needed = work.needed_bytes(Shape(*shape), 4, is_verified=True)
    assert peak / 4 < needed <= peak
