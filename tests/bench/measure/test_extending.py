"""Runs that are extended by further passes."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from bench.analyse.run import loading
from bench.analyse.run.run import Run
from bench.measure import extending, journal, machine, session, sources
from bench.measure.records import Block, Ceiling, RunEnded, RunResumed, RunStarted
from bench.measure.state import State
from bench.plan.cells import Side
from bench.plan.grid import PlanError
from bench.plan.plain import to_plain
from bench.plan.sides import BASE, HEAD, doubled
from bench.report import files
from tests.bench.fakes import Office, places, plan_of, records_of

START = RunStarted("r", "2026-01-02T03:04:05+00:00", to_plain(plan_of()), {}, [])
MORE = RunResumed("2026-01-02T04:04:05+00:00", [], passes=5)


@pytest.fixture(autouse=True)
def fixed_machine(monkeypatch):
    monkeypatch.setattr(machine, "describe", lambda: {"host": "here"})
    monkeypatch.setattr(sys, "argv", ["pytest", "bench/"])


@pytest.fixture
def complete(tmp_path):
    """The folder of a complete run of two passes, with its files."""
    folder = tmp_path / "runs" / "one"
    session.measure(plan_of(), folder, open_worker=Office().open)
    files.write(loading.read(folder), folder, tmp_path)
    return folder


def extend(folder, passes="5", **office):
    plan = session.resumable(folder, more={"passes": passes})
    session.measure(plan, folder, resumed=True, open_worker=Office(**office).open)


@pytest.mark.parametrize(
    ("records", "is_complete"),
    [
        ([START], False),
        ([START, RunEnded(False, 1.0)], False),
        ([START, RunEnded(True, 1.0)], True),
        ([START, RunEnded(True, 1.0), MORE], False),
        ([START, RunEnded(True, 1.0), MORE, RunEnded(False, 1.0)], False),
        ([START, RunEnded(True, 1.0), MORE, RunEnded(True, 1.0)], True),
    ],
)
def test_run_is_complete_unless_it_was_extended_since(records, is_complete):
    assert extending.is_complete(records) is is_complete


def test_plan_has_the_passes_that_the_run_was_extended_to():
    assert extending.extended(plan_of(), [START]) == plan_of()
    again = replace(MORE, passes=None)
    assert extending.extended(plan_of(), [START, MORE, again]) == plan_of(passes=5)


def test_complete_run_gets_further_passes_and_keeps_what_it_has(complete, tmp_path):
    before = (complete / journal.FILE).read_bytes()
    extend(complete)
    assert (complete / journal.FILE).read_bytes().startswith(before)
    [resumed] = records_of(complete, RunResumed)
    assert (resumed.passes, resumed.changed) == (5, [])
    blocks = records_of(complete, Block)
    assert len(set(places(blocks))) == len(blocks) == 5 * 2 * 6
    run = loading.read(complete)
    assert (run.plan.passes, run.is_complete, run.info["plan"]["passes"]) == (5, True, 5)
    assert Run.of(journal.read(complete)).plan == run.plan
    assert set(run.timings["passes"]) == {5}
    files.write(run, complete, tmp_path)
    for folder in (complete, tmp_path):
        assert set(loading.load_run(folder / "timings.csv").timings["passes"]) == {5}


def test_run_can_be_extended_again(complete):
    extend(complete, "3")
    extend(complete, "4")
    assert [record.passes for record in records_of(complete, RunResumed)] == [3, 4]
    assert {block.pass_number for block in records_of(complete, Block)} == {1, 2, 3, 4}
    assert loading.read(complete).is_complete


def test_interrupted_extension_goes_on_where_it_was(complete):
    with pytest.raises(KeyboardInterrupt):
        extend(complete, interrupt_at=20)
    run = loading.read(complete)
    assert not run.is_complete
    assert run.plan.passes == 5
    assert 24 < len(records_of(complete, Block)) < 60
    plan = session.resumable(complete)
    assert plan.passes == 5
    session.measure(plan, complete, resumed=True, open_worker=Office().open)
    blocks = records_of(complete, Block)
    assert len(set(places(blocks))) == len(blocks) == 60
    assert [record.passes for record in records_of(complete, RunResumed)] == [5, None]
    assert loading.read(complete).is_complete


def test_interrupted_run_may_be_given_more_passes(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        session.measure(plan_of(), tmp_path, open_worker=Office(interrupt_at=14).open)
    extend(tmp_path, "3")
    assert len(set(places(records_of(tmp_path, Block)))) == len(records_of(tmp_path, Block)) == 36


def test_files_of_fewer_passes_do_not_pass_for_those_of_all(complete):
    """A run that is killed once it is complete, but before its files are written again, can still be resumed."""
    extend(complete)
    assert not (complete / "report.md").exists()
    assert session.resumable(complete).passes == 5


def test_finished_passes_measure_no_ceilings_again(tmp_path):
    """Two passes do not probe in the second, three do: what is measured today is of no pass of yesterday."""
    plan = plan_of()
    plan = replace(plan, ceilings=(plan.cells[0].contender,))
    session.measure(plan, tmp_path, open_worker=Office().open)
    assert [record.pass_number for record in records_of(tmp_path, Ceiling)] == [1]
    extend(tmp_path, "4")
    assert [record.pass_number for record in records_of(tmp_path, Ceiling)] == [1, 3, 4]


def test_state_knows_the_passes_that_are_finished(complete):
    assert State.of(journal.read(complete)).finished == 2
    extend(complete, "3")
    assert State.of(journal.read(complete)).finished == 3


@pytest.mark.parametrize("passes", ["1", "2"])
def test_as_many_passes_or_fewer_are_refused(complete, passes):
    with pytest.raises(PlanError, match=r"^--passes: one is a run of 2 passes; with --resume, name more than that"):
        session.resumable(complete, more={"passes": passes})


@pytest.mark.parametrize("passes", ["auto", "0", "-3", "2.5", "", "1000000"])
def test_other_texts_are_refused(complete, passes):
    with pytest.raises(PlanError, match=r"^--passes: .* is not a whole number of at (least 1|most 100000); "):
        session.resumable(complete, more={"passes": passes})


def test_run_that_chose_its_passes_is_refused(tmp_path):
    with journal.Journal(tmp_path) as book:
        book.append(replace(START, plan=to_plain(plan_of(time_budget=9.0))))
    with pytest.raises(PlanError, match=r"^--passes: .* chose its passes itself"):
        session.resumable(tmp_path, more={"passes": "9"})


def test_run_of_two_sides_is_refused(tmp_path):
    sides = tuple(Side(name, name, "python", "/there", ("a",)) for name in (BASE, HEAD))
    with journal.Journal(tmp_path) as book:
        book.append(replace(START, plan=to_plain(doubled(plan_of("a"), sides))))
    with pytest.raises(PlanError, match=r"^--resume: .* compares two sides"):
        session.resumable(tmp_path, more={"passes": "9"})


def test_complete_run_says_how_it_gets_more_passes(complete):
    with pytest.raises(PlanError, match=r"is complete; .*, unless --passes asks for more than its 2 passes$"):
        session.resumable(complete)


def test_change_since_is_refused_or_recorded(complete, monkeypatch):
    monkeypatch.setattr(sources, "changes", lambda before, now: ["the source of a"])
    with pytest.raises(PlanError, match=r"^--resume: since one was measured, there changed: the source of a"):
        session.resumable(complete, more={"passes": "5"})
    plan = session.resumable(complete, anyway=True, more={"passes": "5"})
    session.measure(plan, complete, resumed=True, open_worker=Office().open)
    assert records_of(complete, RunResumed)[0].changed == ["the source of a"]
    assert "resumed after a change of the source of a" in str(loading.read(complete).timings["reason"].iloc[0])


def within(budget, passes=5):
    """Return the plan of a run of as many passes as needed, within so many seconds."""
    return plan_of(passes=passes, time_budget=budget)


@pytest.fixture
def out_of_time(tmp_path):
    """The folder of a complete run that ended because its time was over."""
    folder = tmp_path / "runs" / "auto"
    session.measure(within(1e-9), folder, open_worker=Office().open)
    files.write(loading.read(folder), folder, tmp_path)
    return folder


def test_run_of_as_many_passes_as_needed_gets_a_longer_budget(out_of_time):
    assert {block.pass_number for block in records_of(out_of_time, Block)} == {1}
    plan = session.resumable(out_of_time, more={"time_budget": "10m"})
    assert plan.time_budget == 600.0
    session.measure(plan, out_of_time, resumed=True, open_worker=Office().open)
    [resumed] = records_of(out_of_time, RunResumed)
    assert (resumed.time_budget, resumed.passes) == (600.0, None)
    run = loading.read(out_of_time)
    assert (run.plan.time_budget, run.info["plan"]["time_budget"], run.is_complete) == (600.0, 600.0, True)
    assert {block.pass_number for block in records_of(out_of_time, Block)} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"time_budget": "1e-9s"}, "--time-budget: "),
        ({"time_budget": "soon"}, "--time-budget: .*; with --resume it is the time in total"),
        ({"passes": "9"}, r"--passes: auto chose its passes itself \(--passes auto\); give it a longer --time-budget"),
    ],
)
def test_refused_extensions_of_a_run_with_a_budget(out_of_time, more, message):
    with pytest.raises(PlanError, match=message):
        session.resumable(out_of_time, more=more)


def test_budget_of_a_run_with_fixed_passes_is_refused(complete):
    with pytest.raises(
        PlanError, match="--time-budget: one is a run of 2 passes; with --resume, ask for more --passes"
    ):
        session.resumable(complete, more={"time_budget": "10m"})
