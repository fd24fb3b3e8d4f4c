"""The order of a run, what becomes of failures, and going on after an interruption."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from bench.measure import journal
from bench.measure.client import WorkerFailed
from bench.measure.records import Block, Entered, Failed, Left, Prepared, WorkerStarted
from bench.measure.run import Run
from bench.plan.cells import Cell, Contender, Shape
from tests.bench.fakes import Office, measured, places, plan_of, records_of

SMALL, LARGE = Shape(4, 5, 3), Shape(8, 5, 3)


def crash(ask):
    return WorkerFailed("crashed", f"crashed in {ask.verb}", alive=False)


def failing_at(implementation, verb, where=None, passage=1, make=crash):
    """A fault of one contender's, whenever it is asked this."""

    def fault(ask):
        hit = ask.contender.implementation == implementation and ask.verb == verb and ask.passage == passage
        return make(ask) if hit and where in (None, ask.where) else None

    return fault


def orders(folder):
    """The cells of each (pass, phase, round), in the order they were timed."""
    found = defaultdict(list)
    for block in records_of(folder, Block):
        found[block.passage, block.cell.partition("[")[0], block.round].append(block.cell)
    return dict(found)


def test_each_pass_starts_a_fresh_process_for_each_contender_and_ends_it(tmp_path):
    office = Office()
    measured(plan_of(shapes=(SMALL, LARGE), passes=3), tmp_path, office)
    started = Counter((worker.contender.implementation, worker.passage) for worker in office.opened)
    assert started == {(name, passage): 1 for name in "abc" for passage in (1, 2, 3)}
    assert [worker.state for worker in office.opened] == ["closed"] * 9
    assert [record.number for record in records_of(tmp_path, WorkerStarted)] == list(range(1, 10))
    passes = [ask.passage for ask in office.asked]
    assert passes == sorted(passes)


def test_every_request_finds_only_its_own_worker_awake(tmp_path):
    # Scripted.ask checks it at every request; here, that they are all stopped in between as well.
    office = Office()
    awake = []
    measured(
        plan_of(shapes=(SMALL, LARGE)),
        tmp_path,
        office,
        notify=lambda progress: awake.append([worker.state for worker in office.opened].count("awake")),
    )
    assert len(awake) == 3 * 2 * 2 * 2 * 2
    assert set(awake) == {0}


def test_every_contender_is_timed_once_in_every_round(tmp_path):
    plan = plan_of(shapes=(SMALL, LARGE), rounds=3)
    measured(plan, tmp_path, Office())
    blocks = records_of(tmp_path, Block)
    assert Counter(places(blocks)) == {
        (passage, turn, cell.key): 1 for passage in (1, 2) for turn in (1, 2, 3) for cell in plan.cells
    }
    assert {block.position for block in blocks} == {1, 2, 3}
    assert len(records_of(tmp_path, Left)) == len(records_of(tmp_path, Entered)) == 2 * len(plan.cells)
    assert len(records_of(tmp_path, Prepared)) == 2 * 2 * 3


def test_rounds_of_a_cell_are_interleaved_with_the_other_contenders(tmp_path):
    measured(plan_of(rounds=3), tmp_path, Office())
    blocks = [block for block in records_of(tmp_path, Block) if block.passage == 1 and block.cell.startswith("step")]
    assert [block.round for block in blocks] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_the_order_is_the_same_for_a_seed_and_another_for_another(tmp_path):
    plan = plan_of("abcdef", passes=3, rounds=3)
    for name, seed in (("one", 7), ("again", 7), ("other", 8)):
        measured(replace(plan, seed=seed), tmp_path / name, Office())
    assert places(records_of(tmp_path / "one", Block)) == places(records_of(tmp_path / "again", Block))
    assert places(records_of(tmp_path / "one", Block)) != places(records_of(tmp_path / "other", Block))


def test_the_order_differs_between_rounds_and_passes(tmp_path):
    measured(plan_of("abcdefgh", passes=3, rounds=3, phases=["step"]), tmp_path, Office())
    found = [tuple(order) for order in orders(tmp_path).values()]
    assert len(found) == 9
    assert len(set(found)) == 9
    starts = defaultdict(list)
    for record in records_of(tmp_path, WorkerStarted):
        starts[record.passage].append(record.contender)
    assert len(set(map(tuple, starts.values()))) == 3


def test_contenders_that_differ_in_dtype_or_threads_do_not_share_rounds(tmp_path):
    plan = plan_of("ab", phases=["step"])
    others = [Contender("a", "cpu", "float64"), Contender("a", "cpu", "float32", 1)]
    plan = replace(plan, cells=plan.cells + tuple(Cell(contender, SMALL, "step") for contender in others))
    measured(plan, tmp_path, Office())
    alone = [block for block in records_of(tmp_path, Block) if block.cell == Cell(others[0], SMALL, "step").key]
    assert {block.position for block in alone} == {1}
    assert {record.threads for record in records_of(tmp_path, WorkerStarted)} == {1, 2}
    names = {record.contender for record in records_of(tmp_path, WorkerStarted)}
    assert names == {"a-cpu-float32", "b-cpu-float32", "a-cpu-float64", "a-cpu-float32-T1"}


def test_inner_is_calibrated_in_the_first_pass_and_kept_in_later_ones(tmp_path):
    office = Office()
    measured(plan_of(passes=3), tmp_path, office)
    assert {ask.request["inner"] for ask in office.of("enter") if ask.passage == 1} == {None}
    inners = defaultdict(set)
    for block in records_of(tmp_path, Block):
        inners[block.cell].add(block.inner)
    assert all(len(found) == 1 for found in inners.values())
    assert all(ask.request["inner"] in range(101, 104) for ask in office.of("enter") if ask.passage > 1)


def test_a_worker_is_told_the_shape_its_phases_and_the_steps(tmp_path):
    office = Office()
    measured(plan_of("a", phases=["train", "forward"], steps=9, passes=1), tmp_path, office)
    asked = office.of("prepare")[0].request
    assert asked == {"shape": [4, 5, 3, 10], "phases": ["train", "forward"], "steps": 9}


@pytest.mark.parametrize("status", ["wrong", "timeout", "crashed", "out_of_memory", "unavailable", "unsupported"])
def test_a_failed_start_ends_all_cells_of_its_contender_and_no_others(tmp_path, status):
    def failure(ask):
        return WorkerFailed(status, "why", alive=status in ("wrong", "unavailable", "unsupported"))

    office = Office(fault=failing_at("b", "start", make=failure))
    plan = plan_of(shapes=(SMALL, LARGE))
    measured(plan, tmp_path, office)
    [failed] = records_of(tmp_path, Failed)
    assert (failed.status, failed.reason) == (status, "why")
    assert set(failed.cells) == {cell.key for cell in plan.cells if cell.contender.implementation == "b"}
    expected = {
        (passage, turn, cell.key)
        for passage in (1, 2)
        for turn in (1, 2)
        for cell in plan.cells
        if cell.contender.implementation != "b"
    }
    assert set(places(records_of(tmp_path, Block))) == expected
    assert Counter(worker.contender.implementation for worker in office.opened)["b"] == 1
    assert all(worker.state == "closed" for worker in office.opened)


@pytest.mark.parametrize(
    ("verb", "status", "alive"),
    [
        ("prepare", "wrong", True),
        ("prepare", "crashed", False),
        ("prepare", "out_of_memory", False),
        ("prepare", "timeout", False),
    ],
)
def test_a_failed_prepare_ends_the_contenders_cells_of_that_shape_alone(tmp_path, verb, status, alive):
    def failure(ask):
        return WorkerFailed(status, "why", alive, error=0.5, tolerance=1e-6)

    office = Office(fault=failing_at("b", verb, str(SMALL), make=failure))
    plan = plan_of(shapes=(SMALL, LARGE))
    measured(plan, tmp_path, office)
    [failed] = records_of(tmp_path, Failed)
    mine = {cell.key for cell in plan.cells if cell.contender.implementation == "b" and cell.shape == SMALL}
    assert set(failed.cells) == mine
    assert (failed.status, failed.error, failed.tolerance, failed.passage) == (status, 0.5, 1e-6, 1)
    done = Counter(block.cell for block in records_of(tmp_path, Block))
    assert done == {cell.key: 4 for cell in plan.cells if cell.key not in mine}
    assert not [ask for ask in office.of("prepare") if ask.passage == 2 and ask.contender.implementation == "b"][1:]


@pytest.mark.parametrize("status", ["crashed", "timeout", "out_of_memory"])
@pytest.mark.parametrize("verb", ["enter", "block", "leave"])
def test_a_failure_in_a_cell_ends_that_cell_alone_and_the_others_get_a_new_process(tmp_path, verb, status):
    def failure(ask):
        return WorkerFailed(status, f"{status} in {ask.verb}", alive=False)

    plan = plan_of(shapes=(SMALL, LARGE), phases=("forward", "backward", "step"))
    for phase in ("forward", "backward", "step"):  # whichever of them comes first, midmost and last
        office = Office(fault=failing_at("b", verb, phase, make=failure))
        folder = tmp_path / phase
        measured(plan, folder, office)
        failed = records_of(folder, Failed)
        mine = {cell.key for cell in plan.cells if cell.contender.implementation == "b" and cell.phase == phase}
        assert [len(record.cells) for record in failed] == [1, 1]
        assert {record.cells[0] for record in failed} == mine
        assert {(record.status, record.reason) for record in failed} == {(status, f"{status} in {verb}")}
        done = Counter(block.cell for block in records_of(folder, Block) if block.cell not in mine)
        assert done == {cell.key: 4 for cell in plan.cells if cell.key not in mine}
        assert all(worker.state == "closed" for worker in office.opened)
        numbers = [record.number for record in records_of(folder, WorkerStarted)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert 6 < len(numbers) <= 8


def test_a_cell_that_failed_in_a_later_pass_keeps_its_earlier_blocks_and_is_not_visited_again(tmp_path):
    office = Office(fault=failing_at("b", "block", "step", passage=2))
    measured(plan_of(passes=3), tmp_path, office)
    [failed] = records_of(tmp_path, Failed)
    assert failed.passage == 2
    blocks = [block for block in records_of(tmp_path, Block) if block.cell == failed.cells[0]]
    assert [block.passage for block in blocks] == [1, 1]


def test_the_journal_has_everything_before_the_next_block_begins(tmp_path):
    office = Office()
    seen = []

    def look(progress):
        records = journal.read(tmp_path)
        seen.append(sum(isinstance(record, Block) for record in records))
        assert seen[-1] == office.blocks_answered
        entered = sum(isinstance(record, Entered) for record in records)
        assert entered == len(office.of("enter"))

    measured(plan_of(), tmp_path, office, notify=look)
    assert seen == list(range(24))


def test_a_run_interrupted_anywhere_goes_on_to_the_same_blocks_and_measures_none_twice(tmp_path):
    plan = plan_of("ab", shapes=(SMALL, LARGE), rounds=2)
    whole = Office()
    measured(plan, tmp_path / "whole", whole)
    expected = Counter(places(records_of(tmp_path / "whole", Block)))
    for at in range(len(whole.asked)):
        folder = tmp_path / f"cut-at-{at}"
        first, second = Office(interrupt_at=at), Office()
        with pytest.raises(KeyboardInterrupt):
            measured(plan, folder, first)
        assert all(worker.state == "closed" for worker in first.opened)
        before = journal.read(folder)
        measured(plan, folder, second, resumed=True)
        assert journal.read(folder)[: len(before)] == before
        blocks = records_of(folder, Block)
        assert Counter(places(blocks)) == expected
        assert first.blocks_answered + second.blocks_answered == len(blocks)
        numbers = [record.number for record in records_of(folder, WorkerStarted)]
        assert len(set(numbers)) == len(numbers), "a resumed run's processes are others"
        inners = defaultdict(set)
        for block in blocks:
            inners[block.cell].add(block.inner)
        assert all(len(found) == 1 for found in inners.values()), "a calibration is kept when resumed"


def test_a_resumed_run_does_not_visit_what_has_failed(tmp_path):
    plan = plan_of("ab", rounds=2)
    fault = failing_at("b", "prepare")
    with pytest.raises(KeyboardInterrupt):
        measured(plan, tmp_path, Office(fault=fault, interrupt_at=8))
    assert records_of(tmp_path, Failed)
    again = Office()
    measured(plan, tmp_path, again, resumed=True)
    assert {ask.contender.implementation for ask in again.asked} == {"a"}


def test_resuming_a_run_that_has_everything_starts_nothing(tmp_path):
    plan = plan_of()
    measured(plan, tmp_path, Office())
    again = Office()
    measured(plan, tmp_path, again, resumed=True)
    assert again.opened == []


def test_progress_goes_from_nothing_to_all(tmp_path):
    shown = []
    run = measured(plan_of(shapes=(SMALL, LARGE)), tmp_path, Office(), notify=shown.append)
    assert len(shown) == 48
    later = [progress.done for progress in shown[1:]]  # before the first block no one knows what a block costs
    assert later == sorted(later)
    assert shown[0].done < 0.5 < 0.9 < shown[-1].done < 1
    assert {progress.passage for progress in shown} == {1, 2}
    assert shown[0].passes == 2
    assert shown[-1].seconds_left < shown[0].seconds_left
    assert set(run.tally.left.values()) == {0}
    end = run.tally.progress(2, "step", str(SMALL), "a")
    assert (end.done, end.seconds_left) == (1.0, 0.0)


@pytest.mark.parametrize("verb", ["prepare", "enter", "block", "leave"])
def test_progress_does_not_wait_for_blocks_that_will_not_come(tmp_path, verb):
    run = measured(plan_of(shapes=(SMALL, LARGE)), tmp_path, Office(fault=failing_at("b", verb, make=crash)))
    assert run.tally.left["block"] == 0


def test_verifying_calls_each_cell_once_and_times_none(tmp_path):
    office = Office(fault=failing_at("b", "prepare", str(LARGE)))
    plan = plan_of(shapes=(SMALL, LARGE))
    with journal.Journal(tmp_path) as book:
        run = Run(plan, book, office.open, now=office.clock)
        run.verify()
    assert {ask.verb for ask in office.asked} == {"start", "prepare"}
    assert len(office.of("prepare")) == 6
    mine = {cell.key for cell in plan.cells if cell.contender.implementation == "b" and cell.shape == LARGE}
    assert set(run.state.failed) == mine
