"""Tests of runs as sides of a comparison."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pandas as pd
import pytest

from bench.analyse.change import sides
from bench.analyse.change.sides import CellSide, RunSide, matched
from bench.analyse.run.run import Run
from bench.measure import journal
from bench.measure.records import Block, Ceiling
from bench.plan.cells import Cell, Contender
from tests.bench.made import (
    LARGE,
    NUMPY,
    SMALL,
    TORCH,
    Story,
    plan_of_cells,
    records,
    story,
    write_files,
    write_journal,
)

NUMPY_1, NUMPY_2 = (Contender("numpy", "cpu", "float32", threads) for threads in (1, 2))


def side(*contenders: Contender) -> RunSide:
    return RunSide("made", [CellSide(Cell(contender, SMALL, "step"), "ok") for contender in contenders])


def threads(pairs):
    return [tuple(cell and cell.cell.contender.threads for cell in pair) for pair in pairs]


def test_side_has_a_floor_and_a_typical_time_by_pass():
    run_side = sides.of_run(Run.of(records()))
    first = run_side.cells[0]
    assert first.cell == Cell(replace(NUMPY, threads=2), SMALL, "forward")
    blocks = [record for record in records() if isinstance(record, Block) and record.pass_number == 2]
    assert list(first.floors) == list(first.typicals) == [1, 2, 3, 4, 5]
    assert first.floors[2] == median(min(block.seconds) for block in blocks if block.cell == blocks[0].cell)
    assert (run_side.name, run_side.sampling) == (story().name, "2 rounds of 5 samples")
    assert run_side.machine["cpu"] == "Model Processor"


def test_cell_has_the_facts_its_times_depend_on():
    plan = plan_of_cells((TORCH,), phases=("step", "train"))
    step, train = sides.of_run(Story(plan).run()).cells
    assert step.facts == {
        "cpu": "Model Processor",
        "python": "CPython 3.11.7",
        "torch": "1.2.3",
        "dtype": "float32",
        "precision": "highest",
        "threads": "2",
        "blas": "model-blas 1.0",
    }
    assert train.facts == {**step.facts, "steps": "10"}


def test_exceeded_thread_limit_differs_from_threads_in_force():
    plan = plan_of_cells((NUMPY_1, NUMPY))
    first, second = sides.of_run(Story(plan, busy={NUMPY_1: 1.9}).run()).cells
    assert (first.cell.contender.threads, first.facts["threads"]) == (1, "2")
    assert (second.cell.contender.threads, second.facts["threads"]) == (2, "2")


def test_cell_without_a_time_has_its_reason():
    cells = {cell.cell: cell for cell in sides.of_run(Run.of(records())).cells}
    wrong = cells[Cell(replace(TORCH, threads=2), LARGE, "step")]
    assert (wrong.status, wrong.floors) == ("wrong", {})
    assert wrong.reason.startswith("w1 after update")


def test_cell_has_the_shortest_possible_time_by_pass():
    plan = plan_of_cells((NUMPY,), ceilings=(NUMPY,))
    rates = [
        Ceiling(9, pass_number, NUMPY.label, {"a": 1e11 / pass_number}, {"1000000": 1e12}, {"1000000": 1e12})
        for pass_number in (1, 2, 3)
    ]
    [cell] = sides.of_run(Run.of([*Story(plan).records(), *rates])).cells
    work = 4 * 64 * 1000 * 100 + 6 * 64 * 100 * 10
    least = {pass_number: work * pass_number / 1e11 for pass_number in (1, 2, 3)}
    assert cell.limits == pytest.approx(least | dict.fromkeys((4, 5), work * 2 / 1e11)), "the usual where none is known"
    assert cell.limit > 0


@pytest.fixture
def written(tmp_path):
    """The folder of a run with all its files, in which one contender exceeded its thread limit."""
    plan = plan_of_cells((NUMPY_1, NUMPY, replace(TORCH, threads=1)), (SMALL, LARGE), ("step", "train"))

    def seconds(cell, pass_number):
        steps = plan.steps if cell.phase == "train" and cell.shape == SMALL else 1  # the larger one is suspect
        return (1e-3 if cell.contender == NUMPY_1 else 2e-3) * (1 + pass_number / 100) * cell.shape.N * steps

    folder = write_journal(tmp_path / "run", Story(plan, seconds, busy={NUMPY_1: 1.9}).records())
    write_files(folder)
    return folder


def test_csv_and_journal_give_the_same_side(written):
    from_journal = sides.load(written)
    for path in (written / "timings.csv", written):
        from_csv = sides.load(path)
        assert (from_csv.name, from_csv.machine, from_csv.sampling) == (
            from_journal.name,
            from_journal.machine,
            from_journal.sampling,
        )
        for cell, expected in zip(from_csv.cells, from_journal.cells, strict=True):
            assert (cell.cell, cell.status, cell.reason) == (expected.cell, expected.status, expected.reason)
            assert cell.floors == pytest.approx(expected.floors)
            assert cell.typicals == pytest.approx(expected.typicals)
            assert cell.facts == {name: value for name, value in expected.facts.items() if name != "blas"}
        assert {cell.status for cell in from_csv.cells if cell.floors} == {"ok"}
        assert {cell.status for cell in from_csv.cells} == {"ok", "suspect"}
        (written / journal.FILE).unlink(missing_ok=True)


def test_journal_is_read_from_file_and_results_folder(tmp_path):
    folder = write_journal(tmp_path / "runs" / "one")
    assert sides.load(tmp_path).name == sides.load(folder / journal.FILE).name == story().name


def test_csv_without_samples_is_named_with_advice(written):
    (written / "samples.csv.gz").unlink()
    with pytest.raises(ValueError, match=r"timings.csv: has no samples.csv.gz beside it.*name the run's folder$"):
        sides.load(written / "timings.csv")


def test_csv_whose_floors_were_computed_in_another_way_is_read(written):
    expected = sides.load(written)
    path = written / "timings.csv"
    table = pd.read_csv(path, dtype=str)
    table.assign(seconds_floor=table["seconds_floor"].astype(float) * 0.99).to_csv(path, index=False)
    assert [cell.floors for cell in sides.load(path).cells] == [pytest.approx(cell.floors) for cell in expected.cells]


def test_samples_of_another_run_are_refused(written):
    path = written / "samples.csv.gz"
    samples = pd.read_csv(path)
    samples.assign(seconds=samples["seconds"] * 1.01).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"timings.csv: the samples beside it are of another run"):
        sides.load(written / "timings.csv")


def test_csv_with_a_missing_value_is_named(written):
    path = written / "timings.csv"
    table = pd.read_csv(path)
    table.loc[0, ["threads", "status"]] = [None, "crashed"]
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"timings.csv: not a table of this version"):
        sides.load(path)


def test_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run here"):
        sides.load(tmp_path)


def test_cells_are_matched_by_name_in_base_order():
    torch = replace(TORCH, threads=1)
    pairs = matched(side(NUMPY_1, NUMPY_2), side(NUMPY_2, torch, NUMPY_1))
    assert threads(pairs) == [(1, 1), (2, 2), (None, 1)]


def test_only_remaining_cell_is_matched_despite_threads_or_dtype():
    double = replace(NUMPY_1, dtype="float64")
    assert threads(matched(side(NUMPY_1), side(NUMPY_2))) == [(1, 2)]
    assert threads(matched(side(NUMPY_1, NUMPY_2), side(NUMPY_2, replace(NUMPY_1, threads=4)))) == [(1, 4), (2, 2)]
    [(base, head)] = matched(side(NUMPY_1), side(double))
    assert (base.cell.contender.dtype, head.cell.contender.dtype) == ("float32", "float64")
    [(base, head)] = matched(side(NUMPY_1), side(replace(double, threads=2)))
    assert head is not None


def test_several_remaining_cells_are_not_matched():
    assert threads(matched(side(NUMPY_1), side(NUMPY_2, replace(NUMPY_1, threads=4)))) == [
        (1, None),
        (None, 2),
        (None, 4),
    ]
