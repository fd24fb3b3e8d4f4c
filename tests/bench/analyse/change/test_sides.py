"""A run as one side of a comparison."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bench.analyse.change import sides
from bench.analyse.change.sides import CellSide, RunSide, matched
from bench.analyse.estimates.statistics import floor
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

ONE, TWO = (Contender("numpy", "cpu", "float32", threads) for threads in (1, 2))


def side(*contenders: Contender) -> RunSide:
    return RunSide("made", [CellSide(Cell(contender, SMALL, "step"), "ok") for contender in contenders])


def threads(pairs):
    return [tuple(one and one.cell.contender.threads for one in pair) for pair in pairs]


def test_a_run_has_one_floor_and_one_typical_time_a_process():
    told = sides.of_run(Run.of(records()))
    first = told.cells[0]
    assert first.cell == Cell(replace(NUMPY, threads=2), SMALL, "forward")
    seconds = [s for one in records() if isinstance(one, Block) and one.pass_number == 2 for s in one.seconds]
    assert list(first.floors) == list(first.typicals) == [1, 2, 3, 4, 5]
    assert first.floors[2] == floor(pd.Series(seconds[:10]).to_numpy())
    assert (told.name, told.sampling, told.machine["cpu"]) == (story().name, "2 rounds of 5 samples", "Model Processor")


def test_a_cell_carries_what_its_times_depend_on():
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


def test_a_limit_that_did_not_hold_is_not_the_threads_in_force():
    plan = plan_of_cells((ONE, NUMPY))
    for told in (sides.of_run(Story(plan, busy={ONE: 1.9}).run()),):
        first, second = told.cells
        assert (first.cell.contender.threads, first.facts["threads"]) == (1, "2")
        assert (second.cell.contender.threads, second.facts["threads"]) == (2, "2")


def test_a_cell_without_a_time_has_its_reason():
    told = {one.cell: one for one in sides.of_run(Run.of(records())).cells}
    wrong = told[Cell(replace(TORCH, threads=2), LARGE, "step")]
    assert (wrong.status, wrong.floors) == ("wrong", {})
    assert wrong.reason.startswith("w1 after update")


def test_a_run_that_measured_its_ceilings_has_each_pass_s_least_time():
    plan = plan_of_cells((NUMPY,), ceilings=(NUMPY,))
    rates = [
        Ceiling(9, pass_number, NUMPY.label, {"a": 1e11 / pass_number}, {"1000000": 1e12}, {"1000000": 1e12})
        for pass_number in (1, 2, 3)
    ]
    [told] = sides.of_run(Run.of([*Story(plan).records(), *rates])).cells
    work = 4 * 64 * 1000 * 100 + 6 * 64 * 100 * 10
    least = {pass_number: work * pass_number / 1e11 for pass_number in (1, 2, 3)}
    assert told.limits == pytest.approx(least | dict.fromkeys((4, 5), work * 2 / 1e11)), "the usual where none is known"
    assert told.limit > 0


@pytest.fixture
def written(tmp_path):
    """A run with all its files, one contender's limit not held."""
    plan = plan_of_cells((ONE, NUMPY, replace(TORCH, threads=1)), (SMALL, LARGE), ("step", "train"))

    def seconds(cell, pass_number):
        steps = plan.steps if cell.phase == "train" and cell.shape == SMALL else 1  # at the other, it is suspect
        return (1e-3 if cell.contender == ONE else 2e-3) * (1 + pass_number / 100) * cell.shape.N * steps

    folder = write_journal(tmp_path / "run", Story(plan, seconds, busy={ONE: 1.9}).records())
    write_files(folder)
    return folder


def test_a_csv_and_its_samples_are_the_same_side_as_the_journal(written):
    from_journal = sides.load(written)
    for path in (written / "timings.csv", written):
        from_csv = sides.load(path)
        assert (from_csv.name, from_csv.machine, from_csv.sampling) == (
            from_journal.name,
            from_journal.machine,
            from_journal.sampling,
        )
        for one, other in zip(from_csv.cells, from_journal.cells, strict=True):
            assert (one.cell, one.status, one.reason) == (other.cell, other.status, other.reason)
            assert one.floors == pytest.approx(other.floors)
            assert one.typicals == pytest.approx(other.typicals)
            assert one.facts == {name: value for name, value in other.facts.items() if name != "blas"}
        assert {one.status for one in from_csv.cells if one.floors} == {"ok"}
        assert {one.status for one in from_csv.cells} == {"ok", "suspect"}
        (written / journal.FILE).unlink(missing_ok=True)


def test_a_journal_is_read_from_its_file_and_from_a_results_folder(tmp_path):
    folder = write_journal(tmp_path / "runs" / "one")
    assert sides.load(tmp_path).name == sides.load(folder / journal.FILE).name == story().name


def test_a_csv_without_samples_is_named_with_what_to_do(written):
    (written / "samples.csv.gz").unlink()
    with pytest.raises(ValueError, match=r"timings.csv: has no samples.csv.gz beside it.*name the run's folder$"):
        sides.load(written / "timings.csv")


def test_samples_of_another_run_are_noticed(written):
    path = written / "samples.csv.gz"
    samples = pd.read_csv(path)
    samples.assign(seconds=samples["seconds"] * 1.01).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"timings.csv: the samples beside it are of another run"):
        sides.load(written / "timings.csv")


def test_a_csv_with_a_hole_is_named(written):
    path = written / "timings.csv"
    table = pd.read_csv(path)
    table.loc[0, ["threads", "status"]] = [None, "crashed"]
    table.to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"timings.csv: not a table of this version"):
        sides.load(path)


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run here"):
        sides.load(tmp_path)


def test_cells_are_matched_by_name_in_base_s_order_and_then_head_s():
    torch = replace(TORCH, threads=1)
    pairs = matched(side(ONE, TWO), side(TWO, torch, ONE))
    assert threads(pairs) == [(1, 1), (2, 2), (None, 1)]


def test_the_only_one_left_is_matched_in_spite_of_its_threads_or_dtype():
    double = replace(ONE, dtype="float64")
    assert threads(matched(side(ONE), side(TWO))) == [(1, 2)]
    assert threads(matched(side(ONE, TWO), side(TWO, replace(ONE, threads=4)))) == [(1, 4), (2, 2)]
    [(base, head)] = matched(side(ONE), side(double))
    assert (base.cell.contender.dtype, head.cell.contender.dtype) == ("float32", "float64")
    [(base, head)] = matched(side(ONE), side(replace(double, threads=2)))
    assert head is not None


def test_where_several_are_left_none_is_matched():
    assert threads(matched(side(ONE), side(TWO, replace(ONE, threads=4)))) == [(1, None), (None, 2), (None, 4)]
