import pytest

from bench.analyse.run.run import Run
from bench.plan.cells import Contender, Shape
from bench.report.run import rows
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, TORCH, Story, plan_of_cells, records


@pytest.mark.parametrize(("best", "worst", "text"), [(1, 1, "1"), (2, 4, "2–4"), (10, 12, "10–12")])
def test_rank_range_in_words(best, worst, text):
    assert rows.rank_range(best, worst) == text


@pytest.mark.parametrize(
    ("typical", "floor", "differ"),
    [
        ("faster", "same", True),
        ("slower", "faster", True),
        ("same", "slower", True),
        ("faster", "faster", False),
        ("faster", "unclear", False),
        ("unclear", "same", False),
        ("unclear", "unclear", False),
        (None, None, False),
        (None, "faster", False),
    ],
)
def test_disagree_needs_two_different_decided_verdicts(typical, floor, differ):
    assert rows.disagree(typical, floor) is differ


def test_shapes_are_in_order_of_appearance():
    timings = Run.of(records()).timings
    assert [shape for shape, _ in rows.shapes(timings)] == [SMALL, LARGE]
    assert sum(len(of_shape) for _, of_shape in rows.shapes(timings)) == len(timings)


def test_shape_name_omits_the_default_output_size():
    assert rows.shape_name(SMALL) == "N=64 D_in=1000 H=100"
    assert rows.shape_name(Shape(1, 2, 3, 4)) == "N=1 D_in=2 H=3 D_out=4"


def test_contender_names_are_as_long_as_needed():
    def names(*contenders):
        return list(rows.contender_names(Story(plan_of_cells(contenders)).run().timings))

    assert names(NUMPY, TORCH) == ["numpy", "torch"]
    assert names(NUMPY, CUPY) == ["numpy, cpu", "cupy, cuda"]
    assert names(*(Contender("numpy", "cpu", "float32", threads) for threads in (1, 2))) == [
        "numpy, 1 threads",
        "numpy, 2 threads",
    ]
