"""Calibration: what is measured, in which order, and for how long."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from bench.analyse.machine import calibration
from bench.analyse.run import loading
from bench.measure import calibrate, journal, machine
from bench.measure.client import WorkerFailed
from bench.measure.records import Block, RunEnded
from bench.plan.cells import Shape
from bench.plan.grid import PlanError
from bench.plan.plain import from_plain
from bench.report.machine import calibration as shown
from tests.bench.fakes import Office, records_of

FACTS = {"cpu": "a processor", "usable_processors": 2}


@pytest.fixture(autouse=True)
def fixed_machine(monkeypatch):
    monkeypatch.setattr(machine, "describe", lambda: dict(FACTS))
    monkeypatch.setattr(machine, "usable_processors", lambda: 2)


def small_plan(threads=(1,), **changes):
    return replace(calibrate.plan_of("numpy", threads, 7), **{"passes": 3, "rounds": 2, "samples": 3, **changes})


def test_plan_has_each_variant_with_each_thread_limit():
    plan = calibrate.plan_of("numpy", [1, 2], 7)
    assert {(cell.phase, cell.shape, cell.contender.device) for cell in plan.cells} == {
        ("step", Shape(64, 1000, 100), "cpu")
    }
    variants = ["reference", "+0%", "+1%", "+2%", "+3%", "+5%", "+10%"]
    assert [(cell.contender.threads, cell.contender.variant) for cell in plan.cells] == [
        (threads, variant) for threads in (1, 2) for variant in variants
    ]
    assert list(calibrate.VARIANTS) == variants
    assert (plan.adaptive, plan.cpus, plan.seed, plan.ceilings) == (False, 2, 7, ())


@pytest.mark.parametrize(
    ("threads", "thread_limits"), [([1, "all"], [1, 2]), (["all"], [2]), ([2, "all", 1], [2, 1]), ([1, 2], [1, 2])]
)
def test_thread_limits_are_distinct_numbers(threads, thread_limits):
    assert calibrate.limits(threads, 2) == thread_limits


def test_more_threads_than_processors_are_refused():
    with pytest.raises(PlanError, match=r"^--threads: 3 is more than the 2 processors usable here$"):
        calibrate.limits([1, 3], 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nunpy", "there is no implementation 'nunpy'"), ("all", "'all'"), ("cupy", "cupy runs on cuda only; this calib")],
)
def test_only_host_implementations_can_calibrate(name, message):
    with pytest.raises(PlanError, match=rf"^--implementation: .*{message}"):
        calibrate.known(name, [])
    assert calibrate.known("numpy", []) == "numpy"


def test_time_is_used_in_turns_and_then_back_to_back(tmp_path):
    plan, office = small_plan(), Office()
    one_pass = 7 * (2 + 2 + 2) / 1024 * 1.1
    calibrate.measure(plan, tmp_path, 20 * one_pass, open_worker=office.open, now=office.clock)
    assert 16 * one_pass <= office.clock() <= 20 * one_pass
    turns, in_a_row = (records_of(tmp_path / name, Block) for name in ("in-turns", "back-to-back"))
    assert 10 <= max(block.pass_number for block in turns) <= 20
    assert 1 <= max(block.pass_number for block in in_a_row) <= 6
    assert {block.position for block in in_a_row} == set(range(1, 8))


@pytest.mark.parametrize("seconds", [1e-9, 1e-3])
def test_shortest_time_gives_one_trial_and_one_pass(tmp_path, seconds):
    plan, office = small_plan(threads=(1, 2)), Office()
    folders = calibrate.measure(plan, tmp_path, seconds, open_worker=office.open, now=office.clock)
    assert folders == (tmp_path / "in-turns", tmp_path / "back-to-back")
    for folder, passes in zip(folders, (3, 1), strict=True):
        done = Counter(block.cell for block in records_of(folder, Block))
        assert done == {cell.key: passes * 2 for cell in plan.cells}
        first, *_, last = journal.read(folder)
        assert from_plain(first.plan) == plan
        assert first.machine == FACTS
        assert isinstance(last, RunEnded)
        assert last.complete


def test_failure_ends_the_calibration(tmp_path):
    gone = WorkerFailed("unavailable", "it is not installed", alive=True)
    office = Office(fault=lambda ask: gone if ask.verb == "start" else None)
    calibrate.measure(small_plan(), tmp_path, 1e9, open_worker=office.open, now=office.clock)
    assert {ask.pass_number for ask in office.asked} == {1}
    assert office.clock() < 60


def test_back_to_back_times_one_contender_after_the_other(tmp_path):
    office = Office()
    calibrate.measure(small_plan(), tmp_path, 1e-9, open_worker=office.open, now=office.clock)
    cells = [block.cell for block in records_of(tmp_path / "back-to-back", Block)]
    assert cells == [cell for cell in dict.fromkeys(cells) for _ in range(2)]
    turns = [block.cell for block in records_of(tmp_path / "in-turns", Block) if block.pass_number == 1]
    assert len(set(turns[:7])) == 7


def test_variants_share_memory_layouts(tmp_path):
    office = Office()
    calibrate.measure(small_plan(), tmp_path, 1e-9, open_worker=office.open, now=office.clock)
    seeds = {ask.request["seed"] for ask in office.of("enter") if ask.pass_number == 1}
    assert len(seeds) == 1


def test_progress_shows_the_time_left(tmp_path):
    shown_progress, office = [], Office()
    calibrate.measure(
        small_plan(), tmp_path, 0.5, notify=shown_progress.append, open_worker=office.open, now=office.clock
    )
    assert {progress.passes for progress in shown_progress} == {None}
    assert all(0 <= progress.seconds_left <= 0.5 and 0 <= progress.done <= 1 for progress in shown_progress)


def test_interrupted_calibration_records_its_end(tmp_path):
    office = Office(interrupt_at=30)
    with pytest.raises(KeyboardInterrupt):
        calibrate.measure(small_plan(), tmp_path, 1e-9, open_worker=office.open, now=office.clock)
    assert not journal.read(tmp_path / "in-turns")[-1].complete
    assert all(worker.state == "closed" for worker in office.opened)


def test_workers_are_slowed_by_their_variant(tmp_path, monkeypatch):
    settings = []
    monkeypatch.setattr(calibrate, "ProcessWorker", lambda setting: settings.append(setting) or setting)
    plan = calibrate.plan_of("numpy", [1], 7)
    open_worker = calibrate._slowed(plan, tmp_path, ["/here"])
    for cell in plan.cells:
        open_worker(cell.contender, 1)
    assert [setting.slowdown for setting in settings] == [0.0, 0.0, 0.01, 0.02, 0.03, 0.05, 0.10]
    assert len({setting.log for setting in settings}) == 7
    assert {(setting.threads, tuple(setting.path)) for setting in settings} == {(1, ("/here",))}


def test_calibration_of_real_processes(tmp_path):
    plan = small_plan(passes=2, rounds=3, samples=2)
    plan = replace(plan, cells=tuple(c for c in plan.cells if c.contender.variant in ("reference", "+0%", "+10%")))
    folders = calibrate.measure(plan, tmp_path, 0.1)
    runs = [loading.read(folder) for folder in folders]
    assert {status for run in runs for status in run.timings["status"]} == {"ok"}
    analysed = calibration.analyse(*runs)
    assert [effect["slowdown"] for effect in analysed["effects"]] == [0.0, 0.10]
    assert analysed["settings"][0]["passes_measured"] == 2
    assert "numpy step at N=64 D_in=1000 H=100 against itself" in shown.text(analysed)
    json.dumps(analysed, allow_nan=False)
