"""Checks in processes: those that crash, leave or hang fail with the reason, and the others are not run."""

from __future__ import annotations

import os
import tempfile

import pytest

from bench.measure import checking
from bench.measure.checking import FAILED, INFORMATION, NOT_RUN, PASSED, Asked, Impossible, check
from bench.measure.client import WorkerFailed
from bench.measure.worker.conformance import suite
from bench.plan.cells import DTYPES

MISTAKEN = "tests.bench.measure.worker.mistaken"
START = {"backend": "numpy", "backend_version": "2.0"}


def checked(name, dtypes=("float32",), **options):
    return check(Asked(f"{MISTAKEN}:{name}", (), ("cpu",), dtypes, threads=1, **options))


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    """Logs that reasons name are kept; here, only as long as the test's folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def by_name(outcomes):
    """Return the status of each check that has one status at all shapes."""
    statuses = {}
    for outcome in outcomes:
        statuses.setdefault(outcome.name, set()).add(outcome.status)
    return {name: found.pop() for name, found in statuses.items() if len(found) == 1}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Crashes", "the worker process was ended by SIGSEGV"),
        ("Exits", "the worker process exited with status 3: no licence for this machine; see "),
        ("Hangs", "no answer within 5 s"),
    ],
)
def test_process_that_ends_or_hangs_fails_with_the_reason(name, reason, tmp_path):
    of_class, first, *others = checked(name, timeout=5.0)
    assert (of_class.name, of_class.status) == ("class", PASSED)
    assert (first.name, first.status, [*first.shape.__dict__.values()]) == ("types", FAILED, [*suite.TUTORIAL])
    assert reason in first.reason
    assert ("worker.log" in first.reason) == any(tmp_path.glob("relubench-*/worker.log"))
    assert {outcome.status for outcome in others} == {NOT_RUN}
    assert {outcome.reason for outcome in others} == {"its process has ended"}
    assert {outcome.name for outcome in others} == {item.name for item in suite.SUITE} - {"types"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no limit of processors to lift")
@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one processor")
def test_lifted_limit_of_threads_fails():
    outcomes = checked("LiftsItsLimit")
    statuses = by_name(outcomes)
    assert statuses.pop("threads") == FAILED
    assert statuses.pop("overhead") == INFORMATION
    assert set(statuses.values()) == {PASSED}
    [reason] = [outcome.reason for outcome in outcomes if outcome.name == "threads"]
    assert "processors" in reason


def test_devices_of_other_kinds_than_declared_fail():
    [outcome] = checked("HasNoDevice")
    assert (outcome.name, outcome.status) == ("class", FAILED)
    assert outcome.reason == "devices() has abacus, a kind that its DEVICE_KINDS, cpu, lacks"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nope", "there is no implementation 'nope'"),
        ("nomodule:Net", "there is no module 'nomodule'"),
        (f"{MISTAKEN}:Nope", "has no class 'Nope'"),
    ],
)
def test_unknown_class_is_refused_before_a_process_starts(name, complaint):
    with pytest.raises(Impossible, match=complaint):
        check(Asked(name, (), ()), open_worker=None)


class FakeWorker:
    """A worker that passes every check but those in `failing`, which it answers as given."""

    def __init__(self, failing=(), devices=("cpu",), start=START):
        self.failing, self.devices, self.start = dict(failing), [*devices], start
        self.asked, self.is_closed = [], False

    def ask(self, verb, **request):
        if verb == "conform":
            self.asked.append(request)
            return answer(self.failing.get(request["check"], {"passed": True, "seen": "right", "share": 0.1}))
        return answer({"start": self.start, "devices": {"devices": self.devices}}[verb])

    def close(self):
        self.is_closed = True

    def suspend(self): ...

    def resume(self): ...


def answer(value):
    if isinstance(value, Exception):
        raise value
    return value


def outcomes_of(asked=None, **options):
    """Return the outcomes with fake workers, and the workers by their contenders and thread limits."""
    opened = {}

    def open_worker(contender, threads):
        return opened.setdefault((contender, threads), FakeWorker(**options))

    outcomes = check(asked or Asked("torch", (), (), threads=3), open_worker)
    assert all(worker.is_closed for worker in opened.values())
    return outcomes, opened


def test_every_check_is_made_at_each_of_its_shapes_in_each_dtype():
    outcomes, opened = outcomes_of(devices=("cpu", "cuda", "cuda:0"))
    expected = {(item.name, shape) for item in suite.SUITE for shape in item.shapes}
    assert {(outcome.name, (*outcome.shape.__dict__.values(),)) for outcome in outcomes[1:]} == expected
    places = {(contender.device, contender.dtype, threads) for contender, threads in opened}
    assert places == {(d, t, 3) for d in ("cpu", "cuda") for t in DTYPES} | {("cpu", "float32", 1)}
    limited = next(worker for (_, threads), worker in opened.items() if threads == 1)
    assert [request["check"] for request in limited.asked] == ["threads"]
    assert {request["threads"] for request in limited.asked} == {1}
    assert all(
        request["check"] != "threads" for worker in opened.values() if worker is not limited for request in worker.asked
    )


def test_only_dtypes_that_the_implementation_declares_are_checked():
    _, opened = outcomes_of(Asked("numba", (), ("cpu",)))
    assert {contender.dtype for contender, _ in opened} == {"float32", "float64"}
    with pytest.raises(Impossible, match=r"^numba has no bfloat16, only float32, float64$"):
        outcomes_of(Asked("numba", (), ("cpu",), ("float32", "bfloat16")))


def test_thread_limit_is_of_the_host():
    outcomes, _ = outcomes_of(Asked("torch", (), ("cuda",)), devices=("cpu", "cuda"))
    assert "threads" not in {outcome.name for outcome in outcomes}


def test_timed_checks_need_right_results():
    outcomes, _ = outcomes_of(failing={"gradients": {"passed": False, "seen": "wrong"}})
    assert by_name(outcomes)["work"] == NOT_RUN
    outcomes, _ = outcomes_of(failing={"arrays": {"passed": False, "seen": "shared"}})
    assert by_name(outcomes)["work"] == PASSED


def test_an_answer_that_is_none_fails_the_check():
    outcomes, _ = outcomes_of(failing={"order": {"passed": 1, "seen": []}})
    assert by_name(outcomes)["order"] == FAILED
    assert by_name(outcomes)["work"] == PASSED


def test_text_of_a_class_is_made_harmless():
    outcomes, _ = outcomes_of(failing={"order": {"passed": False, "seen": "\x1b[2Jgone\nnext"}})
    [reason] = {outcome.reason for outcome in outcomes if outcome.name == "order"}
    assert reason == "gone next"


@pytest.mark.parametrize("status", checking.NOT_HERE)
def test_class_that_cannot_be_used_here_is_refused(status):
    with pytest.raises(Impossible, match=f"^torch: {status}, no driver$"):
        outcomes_of(start=WorkerFailed(status, "no driver", alive=True))


def test_class_that_cannot_be_made_fails():
    [outcome], _ = outcomes_of(start=WorkerFailed("crashed", "torch lacks forward", alive=False))
    assert (outcome.name, outcome.status, outcome.reason) == ("class", FAILED, "torch lacks forward")


def test_device_that_is_not_found_is_refused():
    with pytest.raises(Impossible, match=r"^torch finds only cpu here, not cuda$"):
        outcomes_of(Asked("torch", (), ("cpu", "cuda")))


def test_first_device_of_each_kind():
    assert checking.first_of_each_kind(["cpu", "cuda", "cuda:0", "cuda:1", "mps"]) == ("cpu", "cuda", "mps")
    assert checking.first_of_each_kind(["cuda:1", "cuda:0"]) == ("cuda:1",)
