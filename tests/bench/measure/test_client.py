"""Worker processes that die, hang and run out of memory."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import psutil
import pytest

from bench.measure import client
from bench.measure.client import ProcessWorker, Setting, WorkerFailed
from bench.plan.cells import Contender

CLASSES = '''
import ctypes, os, signal, sys, time
from implementations.numpy_ import Net


class Fine(Net):
    pass


class Exits(Net):
    def forward(self):
        print("about to leave", flush=True)
        os._exit(3)


class Segfaults(Net):
    def forward(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class Killed(Net):
    def forward(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Hangs(Net):
    def forward(self):
        time.sleep(600)


class Stubborn(Net):
    """Hangs, and will not hear of it."""

    def forward(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            time.sleep(600)


class Allocates(Net):
    def forward(self):
        raise MemoryError


class AllocatesTooMuch(Net):
    def forward(self):
        import numpy
        numpy.ones(1 << 60, "u1")


class Raises(Net):
    def forward(self):
        raise KeyError("no such weight")


class Leaves(Net):
    def forward(self):
        sys.exit("enough")
'''


@pytest.fixture
def start(tmp_path):
    """Starts a worker of one of the classes, of which none outlives the test."""
    (tmp_path / "failing.py").write_text(CLASSES)
    workers = []

    def of(name, timeout=60.0):
        contender = Contender(f"failing:{name}", "cpu", "float32")
        workers.append(
            ProcessWorker(Setting(contender, 1, timeout, tmp_path / "logs" / "worker.log", path=[str(tmp_path)]))
        )
        workers[-1].ask("start")
        return workers[-1]

    yield of
    for worker in workers:
        worker.close()
        assert not psutil.pid_exists(worker._process.pid)


def failure_of(worker):
    with pytest.raises(WorkerFailed) as caught:
        worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1)
    assert str(caught.value) == caught.value.reason
    return caught.value


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("Exits", "crashed", "the worker process exited with status 3: about to leave; see logs/worker.log"),
        ("Segfaults", "crashed", "the worker process was ended by SIGSEGV; see logs/worker.log"),
        ("Killed", "crashed", "the worker process was ended by SIGKILL; see logs/worker.log"),
        ("Leaves", "crashed", "the worker process exited with status 1: enough; see logs/worker.log"),
        ("Allocates", "out_of_memory", "MemoryError: no message"),
        ("AllocatesTooMuch", "out_of_memory", "Unable to allocate"),
        ("Raises", "crashed", "KeyError: 'no such weight'"),
    ],
)
def test_a_failing_class_has_a_status_and_a_reason(start, tmp_path, monkeypatch, name, status, said):
    monkeypatch.chdir(tmp_path)
    worker = start(name)
    failure = failure_of(worker)
    assert failure.status == status
    assert said in failure.reason
    assert not failure.alive
    assert "\n" not in failure.reason
    log = (tmp_path / "logs" / "worker.log").read_text()
    assert name != "Exits" or "about to leave" in log
    assert name != "Raises" or "Traceback" in log
    worker.close()
    worker.close()  # as often as one likes


@pytest.mark.parametrize("name", ["Hangs", "Stubborn"])
def test_a_hanging_class_is_ended_when_its_time_is_up(start, name):
    worker = start(name)
    worker.timeout = 1.0
    failure = failure_of(worker)
    assert (failure.status, failure.alive) == ("timeout", False)
    assert failure.reason == "no answer within 1 s"
    assert not psutil.pid_exists(worker._process.pid)


def test_a_worker_that_died_while_it_was_stopped_has_crashed(start):
    worker = start("Fine")
    worker.suspend()
    os.kill(worker._process.pid, signal.SIGKILL)
    worker.resume()
    failure = failure_of(worker)
    assert (failure.status, failure.alive) == ("crashed", False)
    assert "SIGKILL" in failure.reason


def test_a_worker_killed_by_the_system_for_its_memory_is_out_of_memory(start, monkeypatch):
    kills = iter([5, 6])
    monkeypatch.setattr(client, "_oom_kills", lambda: next(kills))
    failure = failure_of(start("Killed"))
    assert failure.status == "out_of_memory"
    assert "ran out of memory" in failure.reason


def test_a_worker_can_be_stopped_and_goes_on(start):
    worker = start("Fine")
    worker.suspend()
    worker.resume()
    assert worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1)["first_calls"]
    worker.suspend()
    worker.close()  # even while it is stopped
    assert not psutil.pid_exists(worker._process.pid)


def test_closing_ends_a_worker_that_does_not_end_by_itself(start, monkeypatch):
    monkeypatch.setattr(client, "GRACE_SECONDS", 0.2)
    worker = start("Stubborn")
    request = {"id": 2, "verb": "prepare", "shape": [2, 3, 2, 1], "phases": ["forward"], "steps": 1}
    worker._pipes.send(json.dumps(request).encode() + b"\n", time.monotonic() + 60)
    worker.close()
    assert not psutil.pid_exists(worker._process.pid)


def test_an_interpreter_that_is_no_python_has_crashed(tmp_path):
    setting = Setting(Contender("numpy", "cpu", "float32"), 1, 60, tmp_path / "log", interpreter="/bin/false")
    worker = ProcessWorker(setting)
    with pytest.raises(WorkerFailed) as caught:
        worker.ask("start")
    assert caught.value.status == "crashed"
    worker.close()


def test_another_source_tree_s_implementations_are_measured_by_this_harness(tmp_path):
    folder = tmp_path / "tree" / "implementations"
    folder.mkdir(parents=True)
    here = client.ROOT / "implementations"
    for path in here.glob("*.py"):
        text = path.read_text()
        changed = text.replace('backend = "numpy"', 'backend = "theirs"') if path.name == "numpy_.py" else text
        (folder / path.name).write_text(changed)
    setting = Setting(Contender("numpy", "cpu", "float32"), 1, 60, tmp_path / "log", source=tmp_path / "tree")
    worker = ProcessWorker(setting)
    try:
        assert worker.ask("start")["backend"] == "theirs"
    finally:
        worker.close()


def test_logs_of_several_processes_are_appended_and_only_its_own_part_is_a_process_s_reason(start, tmp_path):
    failure_of(start("Exits"))
    failure_of(start("Exits"))
    assert "about to leave" not in failure_of(start("Killed")).reason
    assert (tmp_path / "logs" / "worker.log").read_text().count("about to leave") == 2


def test_no_descriptors_are_left_open(start):
    worker = start("Fine")
    worker.close()
    if sys.platform == "linux":
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        worker = start("Fine")
        worker.close()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
