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


def story(**plan):
    return Story(plan_of_cells(**plan), seconds=lambda cell, pass_number: 1e-3 * NOISE[pass_number]).records()


def test_a_disturbed_run_says_what_was_taken_and_how_many_cells_suffered():
    assert disturbance.lines(Run.of(disturbed(story(), others=0.31, stolen=0.02))) == [
        "other processes took 31 % of the processors (and the hypervisor 2 %: steal) while this was measured: "
        "2 of 2 cells are unsteady; run it again on a quieter machine"
    ]


def test_steal_that_is_not_told_is_not_said():
    [line] = disturbance.lines(Run.of(disturbed(story(), others=0.31, stolen=None)))
    assert line.startswith("other processes took 31 % of the processors while this was measured: ")


@pytest.mark.parametrize("others", [0.0, 0.01, 0.9 * DISTURBED])
def test_a_quiet_run_says_nothing(others):
    assert disturbance.lines(Run.of(disturbed(story(), others))) == []


def test_a_run_of_which_nothing_is_known_says_nothing():
    assert disturbance.lines(Run.of(story())) == []
    assert disturbance.lines(Story(plan_of_cells(), passes=0, complete=False).run()) == []


def test_one_disturbed_cell_in_a_quiet_run_is_counted():
    told = story(phases=PHASES)
    is_disturbed = Cell(TORCH, SMALL, "train").key.__eq__
    lines = disturbance.lines(Run.of(disturbed(told, others=0.2, where=lambda block: is_disturbed(block.cell))))
    assert len(lines) == 1
    assert "1 of 10 cells is unsteady" in lines[0]
    assert "took 2 % of the processors" in lines[0]


def test_the_only_cell_is_called_that():
    [line] = disturbance.lines(Run.of(disturbed(story(contenders=(NUMPY,)), others=0.5)))
    assert "the only cell is unsteady" in line


def test_a_disturbed_run_of_precise_times_says_that_none_suffered():
    told = disturbed(Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3).records(), others=0.5)
    told = [replace(record, seconds=[1e-3] * 5) if isinstance(record, Block) else record for record in told]
    [line] = disturbance.lines(Run.of(told))
    assert "none of 2 cells is unsteady" in line


def test_the_terminal_has_the_line_below_its_tables_and_the_word_beside_the_times():
    told = disturbed(story(), others=0.5)
    table, below = terminal.page(Run.of(told)).split("\n\n")
    assert below.startswith("other processes took 50 % of the processors")
    for line in table.splitlines()[2:]:
        assert " % unsteady " in line
    assert "unsteady" not in terminal.page(Run.of(disturbed(story(), others=0.01)))


def test_the_page_has_the_line_before_its_first_table_and_the_word_beside_the_times():
    text = markdown.report(Run.of(disturbed(story(), others=0.5)))
    before, after = text.split("\n|", 1)
    assert "> **other processes took 50 % of the processors" in before
    assert " % unsteady, " in after
    assert "unsteady" not in markdown.report(Run.of(disturbed(story(), others=0.01)))


def test_a_comparison_of_two_sides_has_the_line_and_counts_both_sides_of_a_cell_once():
    told = disturbed(compared(lambda cell, pass_number: NOISE[(pass_number - 1) % 5 + 1]), others=0.5)
    sides = paired.comparison(Run.of(told))
    line = "other processes took 50 % of the processors"
    assert "2 of 2 cells are unsteady" in sides.notes[0]
    assert line in unpaired.text(sides)
    assert line in unpaired.markdown(sides).split("\n|")[0]
    assert line in unpaired.data(sides)["notes"][0]
    assert line in markdown.report(Run.of(told)).split("\n|")[0]
    assert "unsteady" not in unpaired.text(paired.comparison(Run.of(disturbed(compared(), others=0.01))))
