"""A run's folder, its first and last records, and the pipeline from nets to tables on a fake clock."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.measure import calibrations, client, interrupts, journal, machine, session
from bench.measure.adaptive import DECIDED, OUT_OF_TIME
from bench.measure.client import WorkerFailed
from bench.measure.records import Block, Failed, PassChosen, RunEnded, RunResumed, RunStarted
from bench.plan.cells import PHASES, Cell, Contender, Shape, Side
from bench.plan.grid import PlanError
from bench.plan.plain import from_plain, to_plain
from bench.plan.sides import BASE, HEAD, doubled
from bench.report.run.terminal import page
from tests.bench.fakes import FakeClock, InProcess, Office, Slow, places, plan_of, records_of

FACTS = {"host": "here", "cpu": "a processor", "source": "v1"}
SHAPES = (Shape(4, 5, 3), Shape(6, 5, 3, 2))
SLOW, FAST, LAGGING = (f"tests.bench.fakes:{name}" for name in ("Slow", "Fast", "Lagging"))


@pytest.fixture(autouse=True)
def fixed_machine(monkeypatch):
    monkeypatch.setattr(machine, "describe", lambda: dict(FACTS))
    monkeypatch.setattr(sys, "argv", ["pytest", "bench/"])


def test_new_runs_have_distinct_folders_named_by_time_and_grid(tmp_path):
    folders = [session.new_run(tmp_path, "tiny") for _ in range(4)]
    assert len(set(folders)) == 4
    for folder in folders:
        assert folder.is_dir()
        assert folder.parent == tmp_path / "runs"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-tiny(-\d)?", folder.name)


def test_plan_round_trips():
    plan = plan_of(shapes=SHAPES)
    plan = replace(plan, cells=(*plan.cells, Cell(Contender("a", "cuda:1", "float64", 2), SHAPES[0], "train")))
    plain = json.loads(json.dumps(to_plain(plan)))
    assert from_plain(plain) == plan


def test_plan_with_variants_and_a_budget_round_trips():
    plan = plan_of(passes=5, time_budget=60.0, precision=0.005, min_effect=0.03)
    slowed = Contender("a", "cpu", "float32", 1, "+3%")
    plan = replace(plan, cells=(*plan.cells, Cell(slowed, SHAPES[0], "step")), ceilings=(plan.cells[0].contender,))
    plain = json.loads(json.dumps(to_plain(plan)))
    assert from_plain(plain) == plan


def test_plan_of_two_sides_round_trips():
    sides = tuple(Side(name, f"{name} label", "python", "/there", ("a", "b")) for name in (BASE, HEAD))
    plan = doubled(plan_of(shapes=SHAPES, min_effects=(("step*", 0.05), ("*", 0.1))), sides)
    plain = json.loads(json.dumps(to_plain(plan)))
    assert from_plain(plain) == plan


def test_run_of_two_sides_is_not_resumed(tmp_path):
    sides = tuple(Side(name, name, "python", "/there", ("a",)) for name in (BASE, HEAD))
    with journal.Journal(tmp_path) as book:
        book.append(RunStarted("r", "2026-01-02T03:04:05+00:00", to_plain(doubled(plan_of("a"), sides)), {}, []))
    with pytest.raises(PlanError, match=r"^--resume: .* compares two sides, .* run it again$"):
        session.resumable(tmp_path)


@pytest.mark.parametrize("suspicious", [True, False])
def test_only_suspected_cells_are_measured_again(tmp_path, suspicious):
    sides = tuple(Side(name, name, "python", "/there", ("a", "b")) for name in (BASE, HEAD))
    plan = doubled(plan_of("ab", phases=["step"]), sides)
    suspected = {cell.key for cell in plan.cells if cell.contender.implementation == "a"} if suspicious else set()
    blocks_before = []

    def suspects():
        blocks_before.append(len(records_of(tmp_path / "run", Block)))
        return suspected

    session.measure(plan, tmp_path / "run", open_worker=Office().open, suspects=suspects)
    assert blocks_before == [5 * 2 * 4]
    blocks = records_of(tmp_path / "run", Block)
    assert {block.cell for block in blocks if block.pass_number > 5} == suspected
    assert max(block.pass_number for block in blocks) == (10 if suspicious else 5)
    assert [record.pass_number for record in records_of(tmp_path / "run", PassChosen)] == [*range(6, 11)] * suspicious
    assert all(record.confirming for record in records_of(tmp_path / "run", PassChosen))


def test_plan_of_an_older_journal_has_fixed_passes_and_no_variants():
    plan = plan_of()
    plain = to_plain(plan)
    for name in ("ceilings", "time_budget", "precision", "min_effect"):
        del plain[name]
    for row in plain["cells"]:
        del row["variant"]
    older = from_plain(plain)
    assert older == plan
    assert not older.adaptive


def test_journal_of_a_run_has_a_beginning_and_an_end(tmp_path):
    plan = plan_of()
    session.measure(plan, tmp_path / "run", open_worker=Office().open)
    first, *_, last = journal.read(tmp_path / "run")
    assert (first.run, first.machine, first.options) == ("run", FACTS, ["bench/"])
    assert from_plain(first.plan) == plan
    assert isinstance(last, RunEnded)
    assert last.complete
    assert last.wall_seconds >= 0
    for name in session.WRITTEN:
        (tmp_path / "run" / name).touch()
    with pytest.raises(PlanError, match=r"^--resume: .* is complete"):
        session.resumable(tmp_path / "run")


def test_interrupted_run_is_incomplete_and_can_be_resumed(tmp_path):
    plan = plan_of(shapes=SHAPES)
    with pytest.raises(KeyboardInterrupt):
        session.measure(plan, tmp_path, open_worker=Office(interrupt_at=30).open)
    *before, end = journal.read(tmp_path)
    assert not end.complete
    done = len(records_of(tmp_path, Block))
    assert 0 < done < 48
    assert session.resumable(tmp_path) == plan
    assert not Run.of(journal.read(tmp_path)).is_complete
    session.measure(plan, tmp_path, resumed=True, open_worker=Office().open)
    records = journal.read(tmp_path)
    assert records[: len(before)] == before
    assert [type(record) for record in records].count(RunStarted) == 1
    assert [record.options for record in records_of(tmp_path, RunResumed)] == [["bench/"]]
    assert len(set(places(records_of(tmp_path, Block)))) == len(records_of(tmp_path, Block)) == 48
    assert Run.of(records).is_complete


def test_run_with_a_torn_line_can_be_resumed(tmp_path):
    plan = plan_of()
    with pytest.raises(KeyboardInterrupt):
        session.measure(plan, tmp_path, open_worker=Office(interrupt_at=14).open)
    path = tmp_path / journal.FILE
    lines = path.read_text().splitlines(keepends=True)
    cut = max(number for number, line in enumerate(lines) if line.startswith('{"record":"Block"'))
    path.write_text("".join(lines[:cut]) + lines[cut][:40])
    session.measure(session.resumable(tmp_path), tmp_path, resumed=True, open_worker=Office().open)
    assert len(set(places(records_of(tmp_path, Block)))) == len(records_of(tmp_path, Block)) == 24


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not a run's folder"),
        ("", "1: a journal begins with a RunStarted record"),
        ("not json\n", "1: a journal begins with a RunStarted record, but: "),
        ('{"record":"Block"}\n', "1: a journal begins with a RunStarted record, but: "),
        ('{"record":"RunStarted","run":"cut', "this line is cut short"),
    ],
)
def test_folder_without_a_run_cannot_be_resumed(tmp_path, text, message):
    if text is not None:
        (tmp_path / journal.FILE).write_text(text)
    with pytest.raises(PlanError, match=f"^--resume: .*{message}"):
        session.resumable(tmp_path)


def test_processes_have_the_plan_s_settings_and_a_log_each(tmp_path, monkeypatch):
    settings = []
    monkeypatch.setattr(session, "ProcessWorker", lambda setting: settings.append(setting) or setting)
    plan = plan_of(timeout=9, cpus=6)
    open_worker = session.processes(plan, tmp_path / "logs", ["/a/folder"])
    open_worker(Contender("torch", "cuda:1", "float32"), 1)
    open_worker(Contender("numpy", "cpu", "float64", 2), 2)
    assert [setting.log.name for setting in settings] == ["torch-cuda_1-float32.log", "numpy-cpu-float64-T2.log"]
    assert [setting.threads for setting in settings] == [6, 2]
    assert {setting.timeout for setting in settings} == {9}
    assert {tuple(setting.path) for setting in settings} == {("/a/folder",)}


def test_verify_returns_failures_and_measures_nothing(tmp_path, monkeypatch):
    def fault(ask):
        failed = ask.contender.implementation == "b" and ask.verb == "prepare"
        return WorkerFailed("wrong", "gradient of w1: ...", alive=True) if failed else None

    office = Office(fault=fault)
    plan = plan_of()
    monkeypatch.setattr(session, "processes", lambda *of: office.open)
    failed = session.verify(plan, tmp_path)
    assert {key: record.status for key, record in failed.items()} == {
        cell.key: "wrong" for cell in plan.cells if cell.contender.implementation == "b"
    }
    assert not office.of("block")
    assert {type(record) for record in [*failed.values()]} == {Failed}


# ── from nets with known costs to the table ──


def price(cell: Cell, steps: int) -> float:
    """Return the seconds of one iteration, by the net's class."""
    costs = Slow.costs
    speed = {SLOW: 1.0, FAST: 4.0, LAGGING: 0.5}[cell.contender.implementation]
    step = sum(costs.values())
    return {**costs, "step": step, "train": steps * step}[cell.phase] / speed


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("tests.bench.fakes.Costly.clock", clock)
    return clock


@pytest.mark.parametrize("cut", [False, True])
def test_known_times_are_exact_in_the_table(tmp_path, clock, cut):
    plan = plan_of([SLOW, FAST, LAGGING], SHAPES, PHASES, passes=3, rounds=2, samples=4, baseline=SLOW, steps=3)

    def open_worker(contender, pass_number):
        return InProcess(contender, clock)

    def open_until_the_second_pass(contender, pass_number):
        if pass_number == 2:
            raise KeyboardInterrupt
        return open_worker(contender, pass_number)

    if cut:
        with pytest.raises(KeyboardInterrupt):
            session.measure(plan, tmp_path, open_worker=open_until_the_second_pass)
        assert len(records_of(tmp_path, Block)) == 60
    session.measure(plan, tmp_path, resumed=cut, open_worker=open_worker)
    records = journal.read(tmp_path)
    timings = Run.of(records).timings
    assert len(timings) == len(plan.cells) == 30
    assert set(timings["status"]) == {"ok"}
    assert set(timings["reason"]) == {""}
    for cell, (_, row) in zip(plan.cells, timings.iterrows(), strict=True):
        seconds = price(cell, plan.steps)
        assert row["seconds"] == pytest.approx(seconds, rel=1e-12)
        for column in ("seconds_low", "seconds_high", "seconds_floor", "seconds_p95"):
            assert row[column] == pytest.approx(seconds, rel=1e-12)
        speed = {SLOW: 1.0, FAST: 4.0, LAGGING: 0.5}[cell.contender.implementation]
        for column in ("speedup", "speedup_low", "speedup_high"):
            assert row[column] == pytest.approx(speed, rel=1e-12)
        assert row["passes"] == 3
        assert row["first_call_seconds"] == seconds
        assert row["setup_seconds"] == 0
        assert row["threads"] == 2
        assert row["error"] <= row["tolerance"]
    verdicts = timings.groupby("implementation", observed=True)["verdict"]
    assert {name: set(of_name.dropna()) for name, of_name in verdicts} == {
        SLOW: set(),
        FAST: {"faster"},
        LAGGING: {"slower"},
    }
    samples = Run.of(records).samples
    assert len(samples) == sum(len(block.seconds) for block in records_of(tmp_path, Block))
    for cell in plan.cells:
        of_cell = samples[
            (samples["implementation"] == cell.contender.implementation)
            & (samples["phase"] == cell.phase)
            & (samples["N"] == cell.shape.N)
        ]
        assert set(of_cell["seconds"]) == {price(cell, plan.steps)}, "bit for bit"
        assert 3 * 2 <= len(of_cell) <= 3 * 2 * 4
        assert of_cell["inner"].iloc[0] * price(cell, plan.steps) < 0.01


@pytest.fixture
def adaptive_plan():
    return plan_of([SLOW, FAST], SHAPES, ["step"], passes=5, rounds=2, baseline=SLOW, time_budget=3600.0)


def test_adaptive_run_ends_once_all_cells_are_decided(tmp_path, clock, adaptive_plan):
    shown = []
    session.measure(
        adaptive_plan,
        tmp_path,
        notify=shown.append,
        open_worker=lambda contender, pass_number: InProcess(contender, clock),
        undecided=lambda: Run.of(journal.read(tmp_path)).undecided,
    )
    assert [record.pass_number for record in records_of(tmp_path, PassChosen)] == [1, 2, 3, 4, 5]
    [end] = records_of(tmp_path, RunEnded)
    assert (end.complete, end.reason) == (True, DECIDED)
    assert {block.pass_number for block in records_of(tmp_path, Block)} == {1, 2, 3, 4, 5}
    assert {progress.passes for progress in shown} == {None}
    assert all(0 <= progress.seconds_left <= 3600.0 for progress in shown)


def test_budget_is_kept_if_nothing_is_decided(tmp_path, clock, adaptive_plan):
    keys = {cell.key for cell in adaptive_plan.cells}
    session.measure(
        replace(adaptive_plan, time_budget=1e-6),
        tmp_path,
        open_worker=lambda contender, pass_number: InProcess(contender, clock),
        undecided=lambda: keys,
    )
    [end] = records_of(tmp_path, RunEnded)
    assert end.complete
    assert end.reason.startswith(OUT_OF_TIME)
    assert {(record.pass_number, record.rounds) for record in records_of(tmp_path, PassChosen)} == {(1, 1)}


def test_run_of_fixed_passes_records_no_choices(tmp_path):
    session.measure(plan_of(), tmp_path, open_worker=Office().open)
    assert records_of(tmp_path, PassChosen) == []
    assert [record.reason for record in records_of(tmp_path, RunEnded)] == [""]


def test_run_records_the_machine_s_last_calibration(tmp_path):
    session.measure(plan_of(), tmp_path / "runs" / "one", open_worker=Office().open)
    (tmp_path / calibrations.FOLDER).mkdir()
    calibrations.store(tmp_path, FACTS, {"started": "2026-01-01", "settings": []})
    session.measure(plan_of(), tmp_path / "runs" / "two", open_worker=Office().open)
    by_run = {run: journal.read(tmp_path / "runs" / run)[0].calibration for run in ("one", "two")}
    assert by_run == {"one": None, "two": {"started": "2026-01-01", "settings": []}}


def test_damaged_calibration_is_left_out_and_named_in_the_report(tmp_path):
    (tmp_path / calibrations.FOLDER).mkdir()
    file = calibrations.store(tmp_path, FACTS, {"started": "2026-01-01", "settings": [{"threads": 1}]})
    session.measure(plan_of(), tmp_path / "runs" / "one", open_worker=Office().open)
    records = journal.read(tmp_path / "runs" / "one")
    assert records[0].calibration is None
    message = f"calibrations/{file.name} is no calibration: settings.0.designs: Field required"
    assert records[0].calibration_damaged.startswith(message)
    assert message in page(Run.of(records))


@pytest.mark.parametrize("name", ["results", "results/runs"])
@pytest.mark.parametrize("is_link", [True, False])
def test_new_run_names_a_file_or_link_in_the_way(tmp_path, name, is_link):
    obstacle = tmp_path / name
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.symlink_to(tmp_path / "nowhere") if is_link else obstacle.write_text("")
    with pytest.raises(OSError, match=str(obstacle)) as raised:
        session.new_run(tmp_path / "results", "smoke")
    assert "thousand" not in str(raised.value)


def test_wrong_contender_has_a_row_and_no_time(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("tests.bench.fakes.Fast.loss", lambda net: 0 * Slow.loss(net))
    plan = plan_of([SLOW, FAST], SHAPES, ["step"], baseline=SLOW)
    session.measure(plan, tmp_path, open_worker=lambda contender, pass_number: InProcess(contender, clock))
    timings = Run.of(journal.read(tmp_path)).timings.set_index("implementation")
    assert set(timings.loc[SLOW, "status"]) == {"ok"}
    assert set(timings.loc[FAST, "status"]) == {"wrong"}
    assert timings.loc[FAST, ["seconds", "speedup"]].isna().all(axis=None)
    assert all("losses of train: error" in reason for reason in timings.loc[FAST, "reason"])
    assert (timings.loc[FAST, "error"] > timings.loc[FAST, "tolerance"]).all()


def test_workers_use_this_interpreter_by_default(tmp_path):
    assert client.Setting(Contender("numpy", "cpu", "float32"), 1, 1, tmp_path / "log").interpreter == sys.executable


# ── resuming after a change, or where only the files are missing ──


def changed(monkeypatch, name="cpu", now="another"):
    monkeypatch.setattr(machine, "describe", lambda: FACTS | {name: now})


def interrupted(folder, plan, at=30):
    with pytest.raises(KeyboardInterrupt):
        session.measure(plan, folder, open_worker=Office(interrupt_at=at).open)


def test_changes_prevent_resuming_and_are_listed(tmp_path, monkeypatch):
    plan = plan_of(shapes=SHAPES)
    interrupted(tmp_path, plan)
    before = (tmp_path / journal.FILE).read_bytes()
    changed(monkeypatch)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    with pytest.raises(PlanError, match=r"^--resume: .*cpu \(a processor, now another\); the variable OPENBLAS"):
        session.resumable(tmp_path)
    assert (tmp_path / journal.FILE).read_bytes() == before
    assert session.resumable(tmp_path, anyway=True) == plan


def test_changes_are_counted_since_the_last_resume(tmp_path, monkeypatch):
    plan = plan_of(shapes=SHAPES)
    interrupted(tmp_path, plan)
    changed(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        session.measure(plan, tmp_path, resumed=True, open_worker=Office(interrupt_at=20).open)
    assert session.resumable(tmp_path) == plan
    changed(monkeypatch, now=FACTS["cpu"])
    with pytest.raises(PlanError, match="now a processor"):
        session.resumable(tmp_path)


def last_block_of(plan, folder):
    """Return the number of the request for a run's last block."""
    office = Office()
    session.measure(plan, folder, open_worker=office.open)
    return max(number for number, ask in enumerate(office.asked) if ask.verb == "block")


@pytest.mark.parametrize("is_cut_off_again", [False, True])
def test_change_verifies_cells_with_all_their_blocks_again(tmp_path, monkeypatch, is_cut_off_again):
    plan = plan_of(shapes=SHAPES)
    interrupted(tmp_path, plan, at=last_block_of(plan, tmp_path / "whole"))
    changed(monkeypatch)

    def fault(ask):
        is_wrong = ask.contender.implementation == "b" and ask.verb == "prepare" and ask.request["check"]
        return WorkerFailed("wrong", "gradient of w1: ...", alive=True) if is_wrong else None

    if is_cut_off_again:  # before anything is verified; nothing changes afterwards
        with pytest.raises(KeyboardInterrupt):
            session.measure(plan, tmp_path, resumed=True, open_worker=Office(interrupt_at=0).open)
    session.measure(plan, tmp_path, resumed=True, open_worker=Office(fault=fault).open)
    timings = Run.of(journal.read(tmp_path)).timings
    for _, row in timings.iterrows():
        assert row["status"] == ("wrong" if row["implementation"] == "b" else "ok")
        if row["implementation"] != "b":
            assert "resumed after a change of the machine's cpu (a processor, now another)" in row["reason"]


def test_nothing_is_verified_again_without_a_change(tmp_path):
    plan = plan_of(shapes=SHAPES)
    interrupted(tmp_path, plan, at=last_block_of(plan, tmp_path / "whole"))
    office = Office()
    session.measure(plan, tmp_path, resumed=True, open_worker=office.open)
    assert not any(ask.request["check"] for ask in office.of("prepare"))
    assert set(Run.of(journal.read(tmp_path)).timings["reason"]) == {""}


@pytest.mark.parametrize("missing", session.WRITTEN)
def test_complete_run_without_a_file_is_resumed_without_measuring(tmp_path, monkeypatch, missing):
    plan = plan_of()
    session.measure(plan, tmp_path, open_worker=Office().open)
    for name in session.WRITTEN:
        if name != missing:
            (tmp_path / name).touch()
    before = (tmp_path / journal.FILE).read_bytes()
    changed(monkeypatch)  # allowed, since nothing is measured
    assert session.resumable(tmp_path) == plan
    office = Office()
    session.measure(plan, tmp_path, resumed=True, open_worker=office.open)
    assert office.opened == []
    assert (tmp_path / journal.FILE).read_bytes() == before


def test_run_measured_by_another_process_is_not_resumed(tmp_path):
    interrupted(tmp_path, plan_of())
    with journal.Journal(tmp_path), pytest.raises(PlanError, match=r"^--resume: .* is being measured by another"):
        session.resumable(tmp_path)
    assert session.resumable(tmp_path) == plan_of()


def test_signal_ends_a_run_after_the_block_in_flight(tmp_path, monkeypatch):
    monkeypatch.setattr(interrupts.atexit, "register", lambda function: None)
    plan = plan_of(shapes=SHAPES)

    def fault(ask):
        if ask.verb == "block" and not office.of("block")[:-1]:
            os.kill(os.getpid(), signal.SIGTERM)

    office = Office(fault=fault)
    with interrupts.handled(), pytest.raises(KeyboardInterrupt):
        session.measure(plan, tmp_path, open_worker=office.open)
    assert len(records_of(tmp_path, Block)) == 1
    [end] = records_of(tmp_path, RunEnded)
    assert not end.complete
    assert {worker.state for worker in office.opened} == {"closed"}
    session.measure(plan, tmp_path, resumed=True, open_worker=Office().open)
    assert len(set(places(records_of(tmp_path, Block)))) == len(records_of(tmp_path, Block)) == 48
