from dataclasses import replace

import pytest

from bench.analyse.run.disturbance import DISTURBED
from bench.analyse.run.run import Run
from bench.measure.records import Block
from bench.plan.cells import PHASES, Cell
from bench.report.change import paired, unpaired
from bench.report.run import disturbance, markdown, terminal
from tests.bench.made import NUMPY, SMALL, TORCH, Story, disturbed, plan_of_cells
from tests.bench.sides import compared

NOISE = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}


def noisy_records(**plan):
    return Story(plan_of_cells(**plan), seconds=lambda cell, pass_number: 1e-3 * NOISE[pass_number]).records()


def test_disturbed_run_has_a_line_with_shares_and_cells():
    assert disturbance.lines(Run.of(disturbed(noisy_records(), others=0.31, stolen=0.02))) == [
        "other processes took 31 % of the processors (and the hypervisor 2 %: steal) while this was measured: "
        "2 of 2 cells are unsteady; run it again on a quieter machine"
    ]


def test_unknown_steal_is_left_out():
    [line] = disturbance.lines(Run.of(disturbed(noisy_records(), others=0.31, stolen=None)))
    assert line.startswith("other processes took 31 % of the processors while this was measured: ")


@pytest.mark.parametrize("others", [0.0, 0.01, 0.9 * DISTURBED])
def test_quiet_run_has_no_line(others):
    assert disturbance.lines(Run.of(disturbed(noisy_records(), others))) == []


def test_run_without_records_of_it_has_no_line():
    assert disturbance.lines(Run.of(noisy_records())) == []
    assert disturbance.lines(Story(plan_of_cells(), passes=0, complete=False).run()) == []


def test_single_disturbed_cell_is_counted():
    run_records = noisy_records(phases=PHASES)
    is_disturbed = Cell(TORCH, SMALL, "train").key.__eq__
    lines = disturbance.lines(Run.of(disturbed(run_records, others=0.2, where=lambda block: is_disturbed(block.cell))))
    assert len(lines) == 1
    assert "1 of 10 cells is unsteady" in lines[0]
    assert "took 2 % of the processors" in lines[0]


def test_only_cell_is_named_so():
    [line] = disturbance.lines(Run.of(disturbed(noisy_records(contenders=(NUMPY,)), others=0.5)))
    assert "the only cell is unsteady" in line


def test_disturbed_run_without_unsteady_cells_says_so():
    run_records = disturbed(Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3).records(), others=0.5)
    run_records = [
        replace(record, seconds=[1e-3] * 5) if isinstance(record, Block) else record for record in run_records
    ]
    [line] = disturbance.lines(Run.of(run_records))
    assert "none of 2 cells is unsteady" in line


def test_terminal_has_the_line_and_marks_times():
    run_records = disturbed(noisy_records(), others=0.5)
    _, table, *_, below = terminal.page(Run.of(run_records)).split("\n\n")
    assert below.startswith("other processes took 50 % of the processors")
    for line in table.splitlines()[3:]:
        assert " % unsteady " in line
    assert "unsteady" not in terminal.page(Run.of(disturbed(noisy_records(), others=0.01)))


def test_page_has_the_line_and_marks_times():
    text = markdown.report(Run.of(disturbed(noisy_records(), others=0.5)))
    before, after = text.split("\n|", 1)
    assert "> **other processes took 50 % of the processors" in before
    assert " % unsteady, " in after
    assert "unsteady" not in markdown.report(Run.of(disturbed(noisy_records(), others=0.01)))


def test_comparison_has_the_line_and_counts_cells_once():
    run_records = disturbed(compared(lambda cell, pass_number: NOISE[(pass_number - 1) % 5 + 1]), others=0.5)
    comparison = paired.comparison(Run.of(run_records))
    line = "other processes took 50 % of the processors"
    assert "2 of 2 cells are unsteady" in comparison.notes[0]
    assert line in unpaired.text(comparison)
    assert line in unpaired.markdown(comparison).split("\n|")[0]
    assert line in unpaired.data(comparison)["notes"][0]
    assert line in markdown.report(Run.of(run_records)).split("\n|")[0]
    assert "unsteady" not in unpaired.text(paired.comparison(Run.of(disturbed(compared(), others=0.01))))
