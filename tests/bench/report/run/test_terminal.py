from dataclasses import replace

from bench.analyse.run import columns
from bench.analyse.run.run import Run
from bench.measure.records import Block
from bench.plan.cells import Contender
from bench.report.run import terminal, trust
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, records, same_as_golden


def summary(run_records, baseline: str = "numpy") -> str:
    return terminal.summary(Run.of(run_records).timings, baseline)


def test_summary_is_the_golden_one():
    assert same_as_golden("terminal.txt", summary(records()) + "\n")


def test_run_without_cells_has_an_empty_summary():
    assert terminal.summary(columns.table_of([]), "numpy") == ""


def test_tables_have_the_fastest_first():
    text = summary(records())
    small, large, failed = text.split("\n\n")
    assert [line.split()[0] for line in small.splitlines()[2:]] == ["torch", "numpy"]
    assert [line.split()[0] for line in large.splitlines()[2:]] == ["numpy"]
    assert failed.startswith("Not timed:\n")


def test_rows_have_speed_up_and_verdict():
    torch, numpy = summary(records()).split("\n\n")[0].splitlines()[2:]
    assert "2.00× [" in torch
    assert "faster" in torch
    assert "baseline" in numpy
    assert "faster" not in numpy


def test_untimed_cells_are_grouped_by_reason():
    lines = summary(records()).split("Not timed:\n")[1].splitlines()
    assert len(lines) == 2
    text = "\n".join(lines)
    assert "unavailable, CuPy is not installed: pip install 'relubench[cuda13]' (4 cells)" in text
    assert "wrong, w1 after update is off by |a - b| = 0.25 (2 cells)" in text


def test_single_cell_is_singular():
    text = summary(Story(plan_of_cells((NUMPY,)), passes=0, complete=False).records())
    assert text == "Not timed:\nnumpy: not_run, the run ended before this cell's first block (1 cell)"


def test_run_without_failures_does_not_mention_them():
    assert "Not timed" not in summary(Story(plan_of_cells()).records())


def test_without_a_step_the_first_phase_is_shown():
    text = summary(Story(plan_of_cells(phases=("train", "forward"))).records())
    assert "train time" in text
    assert "forward" not in text


def test_single_pass_has_no_interval_and_no_verdict():
    torch, numpy = summary(Story(plan_of_cells(passes=1)).records()).splitlines()[2:]
    assert "± ?" in torch
    assert "2.00× [?]" in torch
    assert "unclear" in torch
    assert "baseline" in numpy


def test_without_a_baseline_there_is_no_ratio():
    line = summary(Story(plan_of_cells((TORCH,))).records()).splitlines()[2]
    assert "—" in line
    assert "baseline" not in line


def test_rows_have_ranks_or_ranges():
    jax = Contender("jax", "cpu", "float32")
    times = {NUMPY: 1e-3, TORCH: 1e-3, jax: 2e-3}
    story = Story(plan_of_cells((NUMPY, TORCH, jax)), seconds=lambda cell, pass_number: times[cell.contender])
    header, _, *lines = summary(story.records()).splitlines()
    assert header.split()[:5] == ["N=64", "D_in=1000", "H=100", "rank", "step"]
    assert {line.split()[0]: line.split()[1] for line in lines} == {"numpy": "1–2", "torch": "1–2", "jax": "3"}


def test_differing_floor_is_shown_beside_the_verdict():
    run_records = [
        replace(record, seconds=[min(record.seconds), *(1.5 * second for second in record.seconds[1:])])
        if isinstance(record, Block) and "torch" in record.cell
        else record
        for record in Story(plan_of_cells(rounds=10), seconds=lambda cell, pass_number: 1e-3).records()
    ]
    [line] = [line for line in summary(run_records).splitlines() if line.startswith("torch")]
    assert "slower (floor: same)" in line
    assert "floor" not in summary(records())


def test_page_has_summary_and_lines_on_trust():
    text = terminal.page(Run.of(records()))
    assert text.startswith(summary(records()))
    assert trust.UNCALIBRATED in text.removeprefix(summary(records())).splitlines()


def test_run_without_times_has_a_page():
    text = terminal.page(Run.of(records(passes=0, complete=False)))
    assert text.startswith("Not timed:")
    assert trust.UNCALIBRATED in text


def test_names_have_dtype_and_threads():
    contenders = [Contender("numpy", "cpu", dtype, threads) for dtype in ("float32", "float64") for threads in (1, 2)]
    text = summary(Story(plan_of_cells(contenders)).records())
    for dtype in ("float32", "float64"):
        for threads in (1, 2):
            assert f"numpy, {dtype}, {threads} threads" in text
