"""Schedules of passes: which cells each visits, and that the budget is kept, on a fake clock."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.measure import journal
from bench.measure.adaptive import ALL_FAILED, DECIDED, OUT_OF_TIME, Adaptive
from bench.measure.client import WorkerFailed
from bench.measure.records import Block, PassChosen, RunStarted
from bench.measure.run import RunInProgress
from bench.measure.state import State
from bench.plan import looks
from bench.plan.cells import Shape
from bench.plan.plain import to_plain
from tests.bench.fakes import Office, plan_of, records_of
from tests.bench.made import steady

PRICES = {"start": 1.0, "prepare": 0.25, "enter": 0.03, "block": 0.06, "leave": 0.001}
"""Seconds of each request."""
SHAPES = (Shape(4, 5, 3), Shape(8, 5, 3))
PLENTY = 1e6


def priced(**changes) -> Office:
    """Return an office whose requests cost their price on the clock."""
    office = Office(**changes)
    inner = office.fault

    def fault(ask):
        office.clock.spend(PRICES[ask.verb])
        return inner(ask)

    office.fault = fault
    return office


def adaptive_plan(budget: float = PLENTY, **changes):
    return plan_of(
        shapes=SHAPES, **{"passes": looks.FIRST, "rounds": 4, "samples": 20, "time_budget": budget, **changes}
    )


@dataclass
class Judge:
    """Says at each look which cells are undecided: the next of `answers`, and at last always the last one."""

    answers: list[set[str]]
    asked_after: list[int] = field(default_factory=list)
    """The pass after which each look came."""
    folder: object = None

    def __call__(self) -> set[str]:
        self.asked_after.append(max(block.pass_number for block in records_of(self.folder, Block)))
        return self.answers[min(len(self.asked_after), len(self.answers)) - 1]


def adaptively(plan, folder, judge, office=None, resumed=False):
    """Measure a plan with scripted workers, each pass by the schedule."""
    office = office or priced()
    judge.folder = folder
    state = State.of(journal.read(folder)) if resumed else State()
    with journal.Journal(folder) as book:
        if not resumed:
            book.append(RunStarted(folder.name, "2026-01-01T00:00:00+00:00", to_plain(plan), {}, []))
        schedule = Adaptive(plan, judge, office.clock, state.seconds)
        RunInProgress(plan, book, office.open, state, now=office.clock).measure(schedule)
    return schedule, office


def visited(folder) -> dict[int, dict[str, int]]:
    """Return the number of blocks of each cell, by pass."""
    blocks = {}
    for block in records_of(folder, Block):
        blocks.setdefault(block.pass_number, Counter())[block.cell] += 1
    return blocks


def test_first_five_passes_visit_every_cell(tmp_path):
    plan, judge = adaptive_plan(), Judge([set()])
    schedule, _ = adaptively(plan, tmp_path, judge)
    assert visited(tmp_path) == {pass_number: {cell.key: 4 for cell in plan.cells} for pass_number in range(1, 6)}
    assert judge.asked_after == [5]
    assert schedule.reason == DECIDED


def test_later_passes_visit_undecided_cells_until_the_next_look(tmp_path):
    plan = adaptive_plan()
    keys = [cell.key for cell in plan.cells]
    judge = Judge([set(keys[:3]), {keys[0], keys[5]}, set()])
    schedule, office = adaptively(plan, tmp_path, judge)
    blocks_by_pass = visited(tmp_path)
    assert sorted(blocks_by_pass) == list(range(1, 11))
    assert all(blocks_by_pass[pass_number] == dict.fromkeys(keys[:3], 4) for pass_number in (6, 7))
    assert all(blocks_by_pass[pass_number] == {keys[0]: 4, keys[5]: 4} for pass_number in (8, 9, 10))
    assert judge.asked_after == [5, 7, 10]
    assert schedule.reason == DECIDED
    started = Counter(worker.pass_number for worker in office.opened)
    assert (started[5], started[6], started[8]) == (3, 3, 2), "only those that are visited are started"


def test_choice_of_a_pass_is_recorded_before_its_first_block(tmp_path):
    plan = adaptive_plan()
    keys = [cell.key for cell in plan.cells]
    adaptively(plan, tmp_path, Judge([{keys[2]}, set()]))
    chosen = records_of(tmp_path, PassChosen)
    assert [(record.pass_number, record.rounds) for record in chosen] == [
        (pass_number, 4) for pass_number in range(1, 8)
    ]
    assert [record.cells for record in chosen] == [keys] * 5 + [[keys[2]]] * 2
    passes = [record.pass_number for record in journal.read(tmp_path) if isinstance(record, PassChosen | Block)]
    assert passes == sorted(passes)


def test_undecided_cells_outside_the_plan_are_ignored(tmp_path):
    schedule, _ = adaptively(adaptive_plan(), tmp_path, Judge([{"step[elsewhere]"}]))
    assert schedule.reason == DECIDED
    assert max(visited(tmp_path)) == 5


def pass_seconds(plan) -> float:
    """Return the seconds of a pass of all cells."""
    contenders = {cell.contender for cell in plan.cells}
    shapes = {cell.shape for cell in plan.cells}
    per_cell = PRICES["enter"] + plan.rounds * PRICES["block"] + PRICES["leave"]
    answers = len(contenders) * (1 + len(shapes)) + len(plan.cells) * (plan.rounds + 2)
    in_requests = len(contenders) * (PRICES["start"] + len(shapes) * PRICES["prepare"]) + len(plan.cells) * per_cell
    return in_requests + answers * 2.0**-10


@pytest.mark.parametrize("passes", [5.5, 7.2, 9.9, 12.3, 30.7])
def test_undecided_run_uses_its_budget_to_within_a_pass(tmp_path, passes):
    plan = adaptive_plan()
    one_pass = pass_seconds(plan)
    plan = adaptive_plan(budget := passes * one_pass)
    schedule, office = adaptively(plan, tmp_path, Judge([{cell.key for cell in plan.cells}]))
    assert schedule.reason.startswith(OUT_OF_TIME)
    assert budget - 1.01 * one_pass <= office.clock() <= budget
    blocks_by_pass = visited(tmp_path)
    assert all(len(blocks_by_pass[number]) == len(plan.cells) for number in range(1, int(passes) + 1))
    rest = [key for number in blocks_by_pass if number > int(passes) for key in blocks_by_pass[number]]
    assert len(rest) < len(plan.cells)
    assert not rest or any(key.startswith("step") for key in rest), "what is left goes to steps first"


def test_cells_that_fit_are_found_in_few_tries(tmp_path):
    """With a thousand phases and shapes, trying one after the other would take longer than the pass."""
    plan = plan_of("a", shapes=[Shape(4, 5, n) for n in range(1, 257)], passes=5, time_budget=PLENTY)
    tried, recorded = [], []

    def cost(of, passes=1):
        tried.append(len(of.cells))
        return 1e4 * len(of.cells)

    run = SimpleNamespace(failed=(), chosen={5: PassChosen(5, [], 4)}, cost=cost, record=recorded.append)
    steps = [cell.key for cell in plan.cells if cell.phase == "step"]
    fitting = Adaptive(plan, lambda: {cell.key for cell in plan.cells}, lambda: 0.0)(run, 6)
    assert [cell.key for cell in fitting.cells] == recorded[0].cells == steps[:100]
    assert len(tried) <= 9


def test_short_budget_makes_five_passes_of_fewer_rounds(tmp_path):
    plan = adaptive_plan(rounds=20)
    budget = 2.5 * pass_seconds(plan)
    schedule, office = adaptively(
        adaptive_plan(budget, rounds=20), tmp_path, Judge([{cell.key for cell in plan.cells}])
    )
    blocks_by_pass = visited(tmp_path)
    assert all(blocks_by_pass[pass_number].keys() == {cell.key for cell in plan.cells} for pass_number in range(1, 6))
    rounds = [record.rounds for record in records_of(tmp_path, PassChosen)][:5]
    assert all(1 < few < 20 for few in rounds)
    assert {pass_number: set(cells.values()) for pass_number, cells in blocks_by_pass.items()} == {
        pass_number: {few} for pass_number, few in enumerate(rounds, 1)
    }
    assert 0.8 * budget <= office.clock() <= 1.1 * budget
    assert schedule.reason.startswith(OUT_OF_TIME)


def test_too_small_a_budget_makes_fewer_passes_and_suggests_another(tmp_path):
    plan = adaptive_plan()
    least = pass_seconds(adaptive_plan(rounds=1))
    judge = Judge([{cell.key for cell in plan.cells}])
    schedule, office = adaptively(adaptive_plan(3.5 * least), tmp_path, judge)
    assert max(visited(tmp_path)) == 3
    assert {record.rounds for record in records_of(tmp_path, PassChosen)} == {1}
    assert judge.asked_after == []
    assert office.clock() <= 3.5 * least
    hint = re.fullmatch(OUT_OF_TIME + r" before 5 passes: here they need about --time-budget (\d+)s", schedule.reason)
    assert hint is not None
    suggested = float(hint[1])
    assert 5 * least <= suggested <= 6 * least + 10
    again, _ = adaptively(adaptive_plan(suggested), tmp_path / "again", Judge([set()]))
    assert again.reason == DECIDED, "what it asks for is enough"


def test_smallest_budget_makes_one_pass(tmp_path):
    schedule, _ = adaptively(adaptive_plan(1e-3), tmp_path, Judge([set()]))
    assert {pass_number: set(cells.values()) for pass_number, cells in visited(tmp_path).items()} == {1: {1}}
    assert schedule.reason.startswith(OUT_OF_TIME)


@settings(steady, max_examples=30)
@given(st.floats(2.5, 12), st.integers(1, 12), st.integers(0, 11))
def test_any_budget_is_kept_and_used(tmp_path_factory, passes, rounds, few):
    plan = adaptive_plan(rounds=rounds)
    one_pass = pass_seconds(plan)
    plan = adaptive_plan(budget := passes * one_pass, rounds=rounds)
    judge = Judge([{cell.key for cell in plan.cells[few:]}])
    schedule, office = adaptively(plan, tmp_path_factory.mktemp("run"), judge)
    assert office.clock() <= 1.1 * budget
    assert schedule.reason.startswith(OUT_OF_TIME)
    assert schedule.seconds_left() <= 1.01 * one_pass


def test_resumed_run_keeps_earlier_choices(tmp_path):
    plan = adaptive_plan(rounds=1)
    keys = [cell.key for cell in plan.cells]
    answers = [{keys[0], keys[3]}, {keys[3]}, set()]
    _, uninterrupted = adaptively(plan, tmp_path / "whole", Judge(answers))
    expected = visited(tmp_path / "whole")
    assert max(expected) == 10
    for at in range(0, len(uninterrupted.asked), 7):
        folder = tmp_path / f"cut-at-{at}"
        first = Judge(answers)
        with pytest.raises(KeyboardInterrupt):
            adaptively(plan, folder, first, priced(interrupt_at=at))
        # The judge of the resumed run has only the answers to later looks.
        later = Judge(answers[len(first.asked_after) :] or [set()])
        schedule, _ = adaptively(plan, folder, later, resumed=True)
        assert visited(folder) == expected
        chosen = [record.pass_number for record in records_of(folder, PassChosen)]
        assert chosen == list(range(1, 11)), "each pass is chosen once"
        assert first.asked_after + later.asked_after == [5, 7, 10]
        assert schedule.reason == DECIDED


def test_chosen_pass_is_finished_without_time_left(tmp_path):
    plan = adaptive_plan(pass_seconds(adaptive_plan()) / 100)
    with pytest.raises(KeyboardInterrupt):
        adaptively(plan, tmp_path, Judge([set()]), priced(interrupt_at=12))
    schedule, _ = adaptively(plan, tmp_path, Judge([set()]), resumed=True)
    assert set(visited(tmp_path)) == {1}
    assert set(visited(tmp_path)[1]) == {cell.key for cell in plan.cells}
    assert schedule.reason.startswith(OUT_OF_TIME)


def test_resumed_run_has_the_rest_of_its_budget(tmp_path):
    one_pass = pass_seconds(adaptive_plan())
    plan = adaptive_plan(9.5 * one_pass)
    judge = Judge([{cell.key for cell in plan.cells}])
    requests = len(adaptively(plan, tmp_path / "whole", judge)[1].asked)
    before = priced(interrupt_at=requests // 2)
    with pytest.raises(KeyboardInterrupt):
        adaptively(plan, tmp_path / "cut", judge, before)
    _, after = adaptively(plan, tmp_path / "cut", judge, resumed=True)
    assert 7 * one_pass < before.clock() + after.clock() < 10 * one_pass


def test_failed_cells_end_the_run(tmp_path):
    def fault(ask):
        return WorkerFailed("unavailable", "why", alive=True) if ask.verb == "start" else None

    plan = adaptive_plan()
    judge, office = Judge([set()]), priced(fault=fault)
    schedule, _ = adaptively(plan, tmp_path, judge, office)
    assert (schedule.reason, judge.asked_after) == (ALL_FAILED, [])
    assert len(office.opened) == 3
    assert [record.pass_number for record in records_of(tmp_path, PassChosen)] == [1]


def test_time_left_is_never_negative():
    office = Office()
    schedule = Adaptive(adaptive_plan(10.0), lambda: set(), office.clock)
    assert schedule.seconds_left() == 10.0
    office.clock.spend(4.0)
    assert schedule.seconds_left() == 6.0
    office.clock.spend(40.0)
    assert schedule.seconds_left() == 0.0
