import math
from dataclasses import replace

import pytest

from bench.analyse.run.costs import BreakEven
from bench.analyse.run.run import Run
from bench.analyse.run.warmup import advice
from bench.measure.records import Block, WorkerStarted
from bench.plan.cells import Shape
from bench.report.run.costs import MOST_WARNINGS, break_even, section, warnings
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells, records


def with_slow_import_of_torch(run_records):
    """Records in which torch takes half a second longer to import."""
    return [
        replace(record, import_seconds=0.75 + record.pass_number / 1000)
        if isinstance(record, WorkerStarted) and "torch" in record.contender
        else record
        for record in run_records
    ]


def with_course(run_records, fits=lambda cell: True, course=(1.0, 1.0, 1.2, 1.2, 1.2, 1.2)):
    """Records in which the samples of each block of some cells follow a course."""
    return [
        replace(record, seconds=[record.seconds[0] * step for step in course])
        if isinstance(record, Block) and fits(record.cell)
        else record
        for record in run_records
    ]


def many_blocks(*contenders, **others):
    return Story(plan_of_cells(contenders or (NUMPY, TORCH), rounds=4, **others)).records()


def test_contenders_have_costs_with_intervals():
    plan = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE), ("step", "train"))
    page = section(Run.of(with_slow_import_of_torch(Story(plan).records())))
    assert page.startswith("## Start-up and break-even\n\nAt N=64 D_in=1000 H=100, with 95 % intervals:\n\n| contender")
    head = page.split("\n")[4]
    names = [name.strip() for name in head.strip("|").split("|")]
    costs = ["first import", "import", "set-up", "first step", "step", "train", "peak memory"]
    assert names == ["contender", *costs, "overtakes numpy after"]
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in page.split("\n")[6:8]
    }
    assert rows["numpy"][:2] == ["250 ms", "250 ms ± 0.0 %"]
    assert rows["numpy"][-1] == "baseline"
    assert rows["torch"][0] == "751 ms"
    assert rows["torch"][1].startswith("753 ms ± 0.")
    assert rows["torch"][-1].split(" steps ")[0] == "2,460"
    assert rows["torch"][-2] == "200 MiB ± 0.0 %"


def test_other_shapes_have_only_break_even():
    plan = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE))
    page = section(Run.of(with_slow_import_of_torch(Story(plan).records())))
    other_shapes = page[page.index("at the other shapes:") :]
    assert "N=512 D_in=1000 H=100" in other_shapes
    assert "| torch       | 308 steps [" in other_shapes
    assert "other shapes" not in section(Run.of(with_slow_import_of_torch(Story(plan_of_cells()).records())))


def test_untimed_shape_is_a_dash():
    third = Shape(64, 1000, 800)
    plan = plan_of_cells((NUMPY, TORCH, CUPY), (SMALL, LARGE, third))
    wrong = {
        cell: Outcome("wrong", "off by 1") for cell in plan.cells if cell.contender == TORCH and cell.shape == LARGE
    }
    lines = section(Story(plan, outcomes=wrong).run()).split("\n")
    torch = [line for line in lines if line.startswith("| torch")]
    assert [cell.strip() for cell in torch[1].split("|")][2] == "—"


def test_phases_not_measured_have_no_column():
    page = section(Run.of(Story(plan_of_cells(phases=("forward",))).records()))
    head = page.split("\n")[4]
    assert "train" not in head
    assert "step" not in head
    assert "overtakes" not in head


def test_single_pass_has_no_interval_and_no_break_even():
    page = section(Story(plan_of_cells(passes=1)).run())
    assert "250 ms ± ?" in page
    assert "200 MiB ± ?" in page
    assert "cannot tell" in page


def test_without_times_there_is_no_section_and_no_warning():
    plan = plan_of_cells()
    gone = {cell: Outcome("crashed", "gone") for cell in plan.cells}
    run_records = Story(plan, outcomes=gone).records()
    assert section(Run.of(run_records)) == ""
    assert warnings(Run.of(run_records)) == []


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (BreakEven("at once", 0, 0, 0), "at once"),
        (BreakEven("at once", 0, 0, 12.2), "at once [0, 13]"),
        (BreakEven("never", 0, 0, 0), "never"),
        (BreakEven("never", 0, 0, 40), "never, or ahead until 40 at most"),
        (BreakEven("after", 1234.5, 980, math.inf), "1,240 steps [980, ∞]"),
        (BreakEven("after", 0.2, 0, 3), "1 steps [0, 3]"),
        (BreakEven("after", 3.21e9, 2e9, 4.56e12), "3.2e9 steps [2e9, 4.6e12]"),
        (BreakEven("until", 55, 50, 60), "ahead until 55 steps [50, 60]"),
        (BreakEven("unclear"), "cannot tell"),
        (BreakEven("unclear", math.nan, 999, math.inf), "cannot tell, not before 999"),
        (BreakEven("unclear", math.nan, 999, math.inf, cheaper=True), "cannot tell, ahead for 999 at least"),
    ],
)
def test_break_even_in_words(result, text):
    assert break_even(result) == text


def test_steady_run_has_no_warnings():
    run_records = with_course(many_blocks(phases=("forward", "step")), course=(1.0, 1.01, 0.99, 1.0, 1.005, 0.995))
    assert warnings(Run.of(run_records)) == []


def test_slowing_contender_has_one_warning():
    run_records = with_course(
        many_blocks(shapes=(SMALL, LARGE), phases=("forward", "step")),
        lambda cell: cell.startswith("step[torch"),
    )
    run_records = with_course(run_records, lambda cell: not cell.startswith("step[torch"), (1.0,) * 6)
    assert warnings(Run.of(run_records)) == [
        f"torch: slowing in 2 of 4 cells (step at N=64 D_in=1000 H=100, …): {advice('slowing')}",
    ]


def test_cells_that_get_faster_have_no_warning():
    assert warnings(Run.of(with_course(many_blocks(), course=(1.2, 1.2, 1.0, 1.0, 1.0, 1.0)))) == []


def test_failed_cell_has_no_warning():
    plan = plan_of_cells(rounds=4)
    late = {plan.cells[0]: Outcome("timeout", "took too long", pass_number=5)}
    run_records = with_course(Story(plan, outcomes=late).records())
    assert [line.split(":")[0] for line in warnings(Run.of(run_records))] == ["torch"]


def test_warnings_are_at_most_ten():
    contenders = [replace(NUMPY, implementation=f"net{number}") for number in range(MOST_WARNINGS + 3)]
    lines = warnings(Run.of(with_course(many_blocks(*contenders, baseline="net0"))))
    assert len(lines) == MOST_WARNINGS + 1
    assert lines[-1] == "and 3 more"


def test_golden_run_has_the_section():
    assert "overtakes numpy after" in section(Run.of(records()))
