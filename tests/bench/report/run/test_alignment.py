"""Cells whose time depends on where their weights begin in memory are named with both times."""

from dataclasses import replace

import pytest

from bench.analyse.run import alignment
from bench.analyse.run.run import Run
from bench.measure.records import Block
from bench.report.run import markdown
from bench.report.run.alignment import lines
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Story, plan_of_cells


def run(slowdown=1.0, quarter=0, known=True, contender="numpy", shapes=(SMALL,), passes=5):
    """A run of 8 rounds, of whose contenders one takes `slowdown` times as long wherever its weights begin elsewhere
    than in a `quarter` of a cache line."""
    plan = plan_of_cells((NUMPY, TORCH), shapes, ("forward", "step"), rounds=8, passes=passes)

    def aligned(block: Block) -> Block:
        at = (block.round + block.pass_number) % 4
        factor = slowdown if at != quarter and f"[{contender}" in block.cell else 1.0
        seconds = [second * factor for second in block.seconds]
        return replace(block, seconds=seconds, alignment=at if known else None)

    return Run.of([aligned(each) if isinstance(each, Block) else each for each in Story(plan).records()])


def test_dependence_is_named_with_its_size_and_place():
    (forward, step) = alignment.of_run(run(1.3, 2))
    assert (forward.cell.phase, step.cell.phase) == ("forward", "step")
    assert step.offset == 32
    assert step.elsewhere / step.seconds == pytest.approx(1.3, rel=0.02)
    assert step.ratio.value == pytest.approx(1 / 1.3, rel=0.02)


def test_report_has_a_line_for_each_such_contender():
    (line,) = lines(run(1.3))
    assert line.startswith("numpy: its time depends on where its weights begin in memory: ")
    assert "on a 64-byte boundary and" in line
    assert "elsewhere, and in 1 more cells; every contender" in line
    assert line in markdown.report(run(1.3)).replace("- ", "")
    assert "16 bytes past a 64-byte boundary" in lines(run(1.3, 1))[0]


@pytest.mark.parametrize(
    "made",
    [run(), run(1.01), run(1.3, known=False), run(1.3, passes=1)],
    ids=["no effect", "too small to matter", "not recorded", "one pass"],
)
def test_what_is_not_known_to_matter_is_not_named(made):
    assert lines(made) == []


def test_cell_without_a_time_is_passed_over():
    assert len(alignment.of_run(run(1.3, shapes=(SMALL, LARGE)))) == 4
    assert alignment.of_run(Story(plan_of_cells(), passes=0).run()) == []
