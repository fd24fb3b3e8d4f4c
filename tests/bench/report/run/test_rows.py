import pandas as pd
import pytest

from bench.analyse.run.run import Run
from bench.plan.cells import Contender, Shape
from bench.report.run import rows
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, TORCH, Story, plan_of_cells, records


@pytest.mark.parametrize(("best", "worst", "text"), [(1, 1, "1"), (2, 4, "2–4"), (10, 12, "10–12")])
def test_a_rank_is_a_number_or_what_the_verdicts_leave_open(best, worst, text):
    assert rows.rank_range(best, worst) == text


@pytest.mark.parametrize(
    ("typical", "floor", "apart"),
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
def test_typical_time_and_floor_disagree_where_both_are_decided_and_differently(typical, floor, apart):
    assert rows.disagree(pd.Series({"verdict": typical, "verdict_floor": floor})) is apart


def test_the_rows_of_a_shape_stand_together_in_the_order_the_shapes_first_stand():
    timings = Run.of(records()).timings
    assert [shape for shape, _ in rows.shapes(timings)] == [SMALL, LARGE]
    assert sum(len(some) for _, some in rows.shapes(timings)) == len(timings)


def test_an_output_size_stands_in_a_shape_s_name_only_when_not_the_usual():
    assert rows.shape_name(SMALL) == "N=64 D_in=1000 H=100"
    assert rows.shape_name(Shape(1, 2, 3, 4)) == "N=1 D_in=2 H=3 D_out=4"


def test_a_name_has_as_much_as_tells_contenders_apart():
    def names(*contenders):
        return list(rows.contender_names(Story(plan_of_cells(contenders)).run().timings))

    assert names(NUMPY, TORCH) == ["numpy", "torch"]
    assert names(NUMPY, CUPY) == ["numpy, cpu", "cupy, cuda"]
    assert names(*(Contender("numpy", "cpu", "float32", n) for n in (1, 2))) == ["numpy, 1 threads", "numpy, 2 threads"]
