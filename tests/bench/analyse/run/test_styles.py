"""Styles are compared with the plain implementation of their backend, at the same shape, dtype and thread limit."""

from dataclasses import replace

import pytest

from bench.analyse.run import styles
from bench.plan.cells import Contender
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells

INPLACE = Contender("numpy_inplace", "cpu", "float32")
STYLES = (("numpy_inplace", "numpy"), ("torch_module", "torch"))


def usual(cell, pass_number):
    steps = 10 if cell.phase == "train" else 1
    return steps * (2e-4 if cell.contender == INPLACE else 3e-4)


def made(contenders=(NUMPY, TORCH, INPLACE), seconds=None, phases=("step",), **others):
    plan = replace(plan_of_cells(contenders, (SMALL, LARGE), phases, passes=5), styles=STYLES)
    return Story(plan, seconds or usual, **others).run()


def test_each_shape_has_the_plain_cell_and_its_styles():
    found = styles.of_run(made())
    assert {style.plain for style in found} == {"numpy"}
    assert [style.measured.cell.contender for style in found] == [NUMPY, INPLACE] * 2
    for style in found:
        if style.measured.cell.contender == NUMPY:
            assert style.ratio is None
        else:
            assert style.ratio.value == pytest.approx(1.5)
            assert style.verdict == "faster"


@pytest.mark.parametrize("contenders", [(NUMPY, INPLACE), (INPLACE, NUMPY)])
def test_the_order_of_the_contenders_does_not_matter(contenders):
    [ratio] = {style.ratio.value for style in styles.of_run(made(contenders)) if style.ratio}
    assert ratio == pytest.approx(1.5)


def test_phases_apart_have_no_styles():
    found = styles.of_run(made(phases=("forward", "step", "train")))
    assert {style.measured.cell.phase for style in found} == {"step", "train"}


def test_a_style_without_its_plain_implementation_has_nothing_to_be_compared_with():
    assert styles.of_run(made((TORCH, INPLACE))) == []


def test_a_shape_at_which_the_plain_implementation_failed_is_left_out():
    plan = replace(plan_of_cells((NUMPY, INPLACE), (SMALL, LARGE), passes=5), styles=STYLES)
    lost = {cell: Outcome("crashed", "why") for cell in plan.cells if cell.contender == NUMPY and cell.shape == LARGE}
    assert {style.measured.cell.shape for style in styles.of_run(Story(plan, outcomes=lost).run())} == {SMALL}
