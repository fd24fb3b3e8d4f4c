"""A contender's failures concern it alone, and what does not fit in memory is not tried."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.measure import cgroups, journal, memory
from bench.measure.client import WorkerFailed
from bench.measure.records import Block, Failed
from bench.measure.run import RunInProgress
from bench.plan import work
from bench.plan.cells import Shape
from tests.bench.fakes import MICRO, Office, Scripted, measured, plan_of, records_of

LARGE = Shape(100, 2000, 3000)


def outcomes(folder):
    rows = Run.of(journal.read(folder)).timings
    return {(row.implementation, row.phase): (row.status, row.reason) for row in rows.itertuples()}


def failing(verb, contender, phases, status="crashed"):
    """Return a fault that fails a contender's requests that concern one of some phases."""

    def fault(ask):
        phases_asked = ask.request.get("phases", [ask.where])
        if ask.verb == verb and str(ask.contender).startswith(contender) and set(phases_asked) & set(phases):
            return WorkerFailed(status, f"{verb} of {', '.join(phases_asked)}", alive=False)
        return None

    return fault


@pytest.mark.parametrize("status", ["crashed", "timeout", "out_of_memory"])
def test_failed_first_call_spares_other_phases(tmp_path, status):
    plan = plan_of("ab", phases=["forward", "backward", "step"])
    measured(plan, tmp_path, Office(fault=failing("prepare", "a", ["backward"], status)))
    results = outcomes(tmp_path)
    assert results.pop(("a", "backward")) == (status, "prepare of backward")
    assert {status for status, _ in results.values()} == {"ok"}
    blocks = records_of(tmp_path, Block)
    assert len(blocks) == 5 * plan.passes * plan.rounds


def test_failing_shape_is_tried_phase_by_phase_up_to_the_limit(tmp_path):
    plan = plan_of("ab", phases=["forward", "backward", "update", "step"], max_failures=3)
    measured(plan, tmp_path, Office(fault=failing("prepare", "a", ["forward", "backward", "update", "step"])))
    results = [outcome for (name, _), outcome in outcomes(tmp_path).items() if name == "a"]
    assert [status for status, _ in results].count("crashed") == 3
    assert ("not_run", "not tried after 3 failures in a row, the last of them: crashed, prepare of update") in results
    assert {status for (name, _), (status, _) in outcomes(tmp_path).items() if name == "b"} == {"ok"}


@pytest.mark.parametrize(("max_failures", "tried"), [(1, 1), (2, 2), (0, 6)])
def test_max_failures_in_a_row_are_tried(tmp_path, max_failures, tried):
    plan = plan_of("ab", [Shape(4, 5, 6), Shape(5, 5, 6), Shape(6, 5, 6)], max_failures=max_failures)
    measured(plan, tmp_path, Office(fault=failing("enter", "a", ["forward", "step"])))
    results = [status for (name, _), (status, _) in outcomes_of_shapes(tmp_path) if name == "a"]
    assert results.count("crashed") == tried
    assert results.count("not_run") == 6 - tried


def outcomes_of_shapes(folder):
    rows = Run.of(journal.read(folder)).timings
    return [((row.implementation, row.phase), (row.status, row.reason)) for row in rows.itertuples()]


def test_separate_failures_do_not_exclude_a_contender(tmp_path):
    phases = ["forward", "backward", "update", "step", "train"]
    plan = plan_of("ab", [Shape(4, 5, n) for n in (3, 4, 5)], phases=phases, max_failures=2)
    measured(plan, tmp_path, Office(fault=failing("enter", "a", ["backward"])))
    assert {status for _, (status, _) in outcomes_of_shapes(tmp_path)} == {"ok", "crashed"}


@pytest.mark.parametrize("status", ["wrong", "unavailable", "unsupported"])
def test_status_other_than_a_crash_does_not_count(tmp_path, status):
    def fault(ask):
        if ask.verb == "prepare" and str(ask.contender).startswith("a"):
            return WorkerFailed(status, "no", alive=True)
        return None

    plan = plan_of("ab", [Shape(4, 5, n) for n in range(1, 6)], max_failures=1)
    measured(plan, tmp_path, Office(fault=fault))
    assert {results for (name, _), (results, _) in outcomes_of_shapes(tmp_path) if name == "a"} == {status}


def test_cells_of_too_few_passes_say_so(tmp_path):
    office = Office(interrupt_at=40)
    with pytest.raises(KeyboardInterrupt):
        measured(plan_of("ab", passes=3), tmp_path, office)
    reasons = {reason for status, reason in outcomes(tmp_path).values() if status == "ok"}
    assert reasons <= {"1 of 3 passes", "2 of 3 passes"}
    assert reasons


def run_of(plan, folder, office, free):
    with journal.Journal(folder) as book:
        run = RunInProgress(plan, book, office.open, now=office.clock, free_bytes=lambda: free)
        run.measure()
    return {key: (failed.status, failed.reason) for key, failed in run.state.failed.items()}


def test_shape_too_large_for_memory_is_not_tried(tmp_path):
    plan, office = plan_of("ab", [Shape(4, 5, 3), LARGE]), Office()
    needed = work.needed_bytes(LARGE, 4, is_verified=True)
    results = run_of(plan, tmp_path, office, needed - 1)
    assert set(results.values()) == {
        ("out_of_memory", f"its arrays need {needed / 1e9:.3g} GB at least, and {(needed - 1) / 1e9:.3g} GB are free")
    }
    assert {key.partition("-N")[2] for key in results} == {f"{LARGE}]"[1:]}
    assert {ask.where for ask in office.of("prepare")} == {str(Shape(4, 5, 3))}


def test_shape_that_fits_is_tried(tmp_path):
    assert run_of(plan_of("ab", [LARGE]), tmp_path, Office(), work.needed_bytes(LARGE, 4, is_verified=True)) == {}


def test_memory_limit_counts_as_free_memory(tmp_path):
    results = run_of(plan_of("a", [LARGE], memory_limit=10**6), tmp_path, Office(), 10**12)
    assert {status for status, _ in results.values()} == {"out_of_memory"}
    assert all("0.001 GB are allowed by --memory-limit" in reason for _, reason in results.values())


def test_request_has_the_needed_device_bytes(tmp_path):
    office = Office()
    run_of(plan_of("a", [LARGE]), tmp_path, office, 10**12)
    assert {ask.request["device_bytes"] for ask in office.of("prepare")} == {work.needed_device_bytes(LARGE, 4)}


def group(tmp_path, **files):
    """Make a system with one control group that has these files."""
    for name, text in {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
        **{f"sys/fs/cgroup/{name.replace('__', '.')}": text for name, text in files.items()},
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert list(cgroups.folders("memory", tmp_path)) == [tmp_path / "sys/fs/cgroup"]
    return tmp_path


def test_free_memory_is_the_group_s_limit_less_its_use(tmp_path):
    stat = "inactive_file 30\nactive_file 20\nanon 7\n"
    root = group(tmp_path, memory__max="1000\n", memory__current="400\n", memory__stat=stat)
    assert memory.free_bytes(root) == 650


@pytest.mark.parametrize("files", [{}, {"memory__max": "max\n", "memory__current": "400\n"}, {"memory__max": "odd"}])
def test_free_memory_is_the_system_s_without_a_group_limit(tmp_path, files):
    assert memory.free_bytes(group(tmp_path, **files)) > 1000


def test_kills_of_a_control_group_are_counted(tmp_path):
    root = group(tmp_path, memory__events="low 0\noom 3\noom_kill 2\n")
    (root / "proc/vmstat").write_text("pgfault 9\noom_kill 4\n")
    assert memory.kills(root) == 6
    assert memory.kills(tmp_path / "nothing") == 0


def test_failure_is_recorded_once_for_each_status(tmp_path):
    plan = replace(plan_of("a", phases=["forward", "backward", "step"]), max_failures=1)
    measured(plan, tmp_path, Office(fault=failing("enter", "a", ["forward", "backward", "step"])))
    statuses = [record.status for record in records_of(tmp_path, Failed)]
    assert statuses == ["crashed", "not_run"]


@pytest.mark.parametrize(
    ("verb", "changed"),
    [
        ("start", {"backend": 3}),
        ("start", {"import_seconds": None}),
        ("start", {"details": {"more": json.loads("[" * 900 + "]" * 900)}}),
        ("start", {"extra": 1}),
        ("prepare", {"first_calls": None}),
        ("prepare", {"first_calls": {}}),
        ("prepare", {"first_calls": {"forward": "soon", "step": "soon"}}),
        ("prepare", {"setup_seconds": -1.0}),
        ("prepare", {"verify_seconds": True}),
        ("enter", {"inner": 0}),
        ("enter", {"inner": 1.5}),
        ("enter", {"samples": 10**30}),
        ("block", {"seconds": []}),
        ("block", {"seconds": [MICRO] * 2}),
        ("block", {"seconds": [MICRO] * 4}),
        ("block", {"seconds": [MICRO, MICRO, float("nan")]}),
        ("block", {"seconds": [MICRO, MICRO, 0.0]}),
        ("block", {"seconds": [MICRO, MICRO, "\udcff"]}),
        ("block", {"seconds": "abc"}),
        ("block", {"cpu_per_wall": float("inf")}),
        ("leave", {"host_bytes": -1}),
        ("leave", {"host_bytes": 10**30}),
        ("leave", {"\udcff": 1}),
    ],
)
def test_unfit_answer_is_the_crash_of_its_contender_alone(tmp_path, monkeypatch, verb, changed):
    answer = getattr(Scripted, f"_{verb}")
    monkeypatch.setattr(
        Scripted,
        f"_{verb}",
        lambda self, **request: answer(self, **request) | (changed if str(self.contender).startswith("a") else {}),
    )
    measured(plan_of("ab"), tmp_path, Office())
    for (name, _), (status, reason) in outcomes(tmp_path).items():
        assert status == ("crashed" if name == "a" else "ok")
        assert ("answered what does not fit" in reason) == (name == "a")
        reason.encode()


def test_other_iterations_than_asked_for_are_refused(tmp_path, monkeypatch):
    """In the second pass, `inner` is given as the first pass chose it."""
    answer = Scripted._enter
    monkeypatch.setattr(
        Scripted,
        "_enter",
        lambda self, **request: (
            answer(self, **request) | ({"inner": 5} if request["inner"] and str(self.contender).startswith("a") else {})
        ),
    )
    measured(plan_of("ab"), tmp_path, Office())
    assert {name: status for (name, _), (status, _) in outcomes(tmp_path).items()} == {"a": "crashed", "b": "ok"}
