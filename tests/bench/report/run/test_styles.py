"""The section on styles has a table for each backend, the fastest style of a shape first."""

from dataclasses import replace

from bench.plan.cells import Contender
from bench.report.run import styles
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Story, plan_of_cells

INPLACE, NUMBA = Contender("numpy_inplace", "cpu", "float32"), Contender("numba", "cpu", "float32")
STEPS = 20
SECONDS = {INPLACE: (2e-4, 3e-3), NUMPY: (4e-4, 9e-3), NUMBA: (2.5e-4, 2e-3), TORCH: (1e-4, 1e-3)}


def seconds(cell, pass_number):
    step, train = SECONDS[cell.contender]
    return train if cell.phase == "train" else step


def made(contenders=(*SECONDS,), phases=("step", "train"), named=(("numpy_inplace", "numpy"), ("numba", "numpy"))):
    plan = plan_of_cells(contenders, (SMALL, LARGE), phases, passes=5, steps=STEPS)
    return Story(replace(plan, styles=named), seconds).run()


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|:")]


def test_rows_are_by_shape_and_the_fastest_first():
    heading, *rows = rows_of(styles.section(made()))
    assert heading == [
        "shape",
        "style of numpy",
        "step",
        "step: speed-up",
        "a step of train",
        "a step of train: speed-up",
    ]
    assert [row[1] for row in rows] == ["numba", "numpy_inplace", "numpy"] * 2
    assert rows[2][3] == rows[2][5] == "plain"
    assert rows[1][2].startswith("200 µs")
    assert rows[1][3].startswith("▲ 2.00×")
    assert rows[0][3].startswith("▲ 1.60×")
    assert rows[0][4].startswith("100 µs")
    assert rows[0][5].startswith("▲ 4.50×")


def test_only_phases_of_the_run_have_columns():
    heading, *_ = rows_of(styles.section(made(phases=("forward", "step"))))
    assert heading == ["shape", "style of numpy", "step", "step: speed-up"]


def test_run_of_plain_implementations_has_no_section():
    assert styles.section(made(named=())) == ""
    assert styles.section(made((NUMPY, TORCH))) == ""
