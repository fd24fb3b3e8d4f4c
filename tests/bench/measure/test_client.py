"""Worker processes that die, hang and run out of memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.measure import client, logs, memory, processes
from bench.measure.client import ProcessWorker, Setting, WorkerFailed
from bench.plan.cells import Contender

CLASSES = r'''
import ctypes, json, os, shutil, signal, subprocess, sys, time
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
    """Hangs, and ignores signals that ask it to end."""

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


def write(data):
    """Write to the pipe of this process's answers."""
    os.write(json.loads(sys.argv[1])["replies"], data)


class Text(Net):
    def forward(self):
        write(b"hello\n")


class Bytes(Net):
    def forward(self):
        write(b"\xff\x00\xfe\n")


class List(Net):
    def forward(self):
        write(b"[1]\n")


class Nested(Net):
    def forward(self):
        write(b"[" * 100_000 + b"\n")


class OtherAnswer(Net):
    def forward(self):
        write(b'{"id": 99, "ok": {}}\n')


class Unspoken(Net):
    def forward(self):
        write(b'{"id": 2, "ok": 3}\n')


class OddFailure(Net):
    def forward(self):
        write(b'{"id": 2, "failed": {"status": "ok", "reason": "none"}}\n')


class Floods(Net):
    def forward(self):
        while True:
            write(b"x" * 65536)


class Closes(Net):
    def forward(self):
        os.closerange(3, 256)
        time.sleep(600)


class Patches(Net):
    def forward(self):
        json.dumps = lambda *_, **__: "not json"


class Forks(Net):
    def forward(self):
        super().forward()
        os.fork()


class Twice(Net):
    def forward(self):
        super().forward()
        write(b'{"id": 2, "ok": {"first_calls": {"forward": 1.0}}}\n')


class RealTime(Net):
    def forward(self):
        os.kill(os.getpid(), signal.SIGRTMIN + 5)


class LeavesAChild(Net):
    """Leaves a child with its pipe and its group, and one that has left both."""

    def forward(self):
        for detach in (False, True):
            subprocess.Popen(["sleep", "600"], start_new_session=detach, close_fds=False)
        os._exit(1)


class Nests(Net):
    """Starts nested shells in a session of their own."""

    def forward(self):
        subprocess.Popen(["sh", "-c", "sh -c 'sleep 600; true' & wait; true"], start_new_session=True)
        super().forward()


class IsSurvivedByItsChild(Net):
    """Exits, while its child goes on to answer."""

    def forward(self):
        super().forward()
        if os.fork():
            os._exit(0)


class HasAStatus(Net):
    def forward(self):
        raise type("HTTPError", (Exception,), {"status": 404})("weights are gone")


class LeavesADaemon(Net):
    """Leaves a daemon in a session of its own, without its environment, and no longer its child."""

    def forward(self):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve(shutil.which("sleep"), ["sleep", "600"], {})
            os._exit(0)
        os.wait()


class Talkative(Net):
    def forward(self):
        for _ in range(40):
            os.write(1, b"blah " * 20_000)
        print("the last of it", flush=True)
        os._exit(1)


class Surrogate(Net):
    def forward(self):
        raise ValueError("a name \udcff of no encoding")


class Greedy(Net):
    def forward(self):
        self.hoard = b"x" * 400_000_000
        time.sleep(600)
'''


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a worker of one of the classes; all end with the test."""
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
    ("name", "status", "message"),
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
def test_failing_class_has_a_status_and_a_reason(start, tmp_path, monkeypatch, name, status, message):
    monkeypatch.chdir(tmp_path)
    worker = start(name)
    failure = failure_of(worker)
    assert failure.status == status
    assert message in failure.reason
    assert not failure.alive
    assert "\n" not in failure.reason
    log = (tmp_path / "logs" / "worker.log").read_text()
    assert name != "Exits" or "about to leave" in log
    assert name != "Raises" or "Traceback" in log
    worker.close()
    worker.close()  # a second close does nothing


@pytest.mark.parametrize("name", ["Hangs", "Stubborn"])
def test_hanging_class_is_ended_at_its_timeout(start, name):
    worker = start(name)
    worker.timeout = 1.0
    failure = failure_of(worker)
    assert (failure.status, failure.alive) == ("timeout", False)
    assert failure.reason == "no answer within 1 s"
    assert not psutil.pid_exists(worker._process.pid)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Text", "did not keep to its pipe: it wrote 'hello' where an answer was due; see "),
        ("Bytes", "did not keep to its pipe: it wrote "),
        ("List", "did not keep to its pipe: it wrote '[1]' where an answer was due"),
        ("Nested", "did not keep to its pipe: it wrote '[[["),
        ("OtherAnswer", "did not keep to its pipe: it answered request 99 when it was asked request 2"),
        ("Unspoken", "did not keep to its pipe: it answered "),
        ("OddFailure", "did not keep to its pipe: it answered "),
        ("Floods", "did not keep to its pipe: it wrote more than 16777216 bytes without an end of line"),
        ("Patches", "did not keep to its pipe: it wrote 'not json' where an answer was due"),
        ("Closes", "did not keep to its pipe: it closed it and went on"),
        ("RealTime", f"was ended by signal {signal.SIGRTMIN + 5}"),
        ("LeavesAChild", "exited with status 1"),
        ("HasAStatus", "HTTPError: weights are gone"),
        ("Surrogate", r"ValueError: a name \udcff of no encoding"),
    ],
)
def test_breach_of_protocol_is_a_crash(start, name, message):
    failure = failure_of(start(name, timeout=60.0))
    assert (failure.status, failure.alive) == ("crashed", False)
    assert message in failure.reason
    failure.reason.encode()


@pytest.mark.parametrize("name", ["Forks", "Twice"])
def test_second_answer_to_a_request_is_a_crash(start, name):
    worker = start(name)

    def ask_often():
        for _ in range(3):
            worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1)
            time.sleep(0.1)  # the second answer is on its way

    with pytest.raises(WorkerFailed, match="did not keep to its pipe"):
        ask_often()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to a process that asks for them")
@pytest.mark.parametrize("name", ["LeavesAChild", "LeavesADaemon", "Forks", "Nests"])
def test_children_of_a_contender_end_with_it(start, name):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    worker = start(name)
    with suppress(WorkerFailed):
        worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1)
    worker.close()
    remaining = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert [child for child in remaining if child.pid not in processes._own] == []


def test_child_does_not_answer_for_a_dead_worker(start):
    worker = start("IsSurvivedByItsChild")
    with suppress(WorkerFailed):  # its end or its child's answer may be seen first
        worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1, check=False)
    worker._process.wait(60)
    with pytest.raises(WorkerFailed, match="exited with status 0"):
        worker.ask("enter", phase="forward", samples=2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to a process that asks for them")
@pytest.mark.parametrize("started_first", [True, False])
def test_ending_a_worker_spares_unrelated_processes(start, monkeypatch, started_first):
    """A server that a plugin has started, and a process that another worker has left, are unrelated."""

    def unrelated_process(**changes):
        return subprocess.Popen(["sleep", "600"], start_new_session=True, **changes)

    workers = [] if started_first else [start("Fine")]
    unrelated = [unrelated_process()] if started_first else []
    workers = workers or [start("Fine")]
    unrelated.append(unrelated_process(env={processes.MARK: "of another worker"}))
    try:
        workers[0].close()
        assert [process.poll() for process in unrelated] == [None] * len(unrelated)
    finally:
        for process in unrelated:
            process.kill()
            process.wait()


def test_ending_worker_1_spares_worker_10(start, monkeypatch):
    monkeypatch.setattr(processes, "_numbers", iter([1, 10]))
    first, tenth = start("Fine"), start("Fine")
    first.close()
    assert tenth.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1)["first_calls"]


def test_log_is_bounded_and_keeps_its_end(start, tmp_path):
    failure = failure_of(start("Talkative"))
    assert "the last of it" in failure.reason
    log = (tmp_path / "logs" / "worker.log").read_bytes()
    assert len(log) < logs.MOST_BYTES
    assert b"bytes were left out here" in log


def test_worker_above_its_memory_limit_is_out_of_memory(start):
    worker = start("Greedy")
    worker._memory = 200_000_000
    worker._pipes._watch = worker._check_memory
    failure = failure_of(worker)
    assert (failure.status, failure.alive) == ("out_of_memory", False)
    assert "more than the 0.2 GB that --memory-limit allows" in failure.reason


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"interpreter": "/no/such/python"}, "cannot be started by /no/such/python: [Errno 2]"),
        ({"interpreter": "/dev/null"}, "cannot be started by /dev/null: [Errno 13]"),
        ({"interpreter": "a\0b"}, "cannot be started by"),
        ({"log": Path("/dev/null/log")}, "/dev/null"),
        ({"log": Path("/dev/zero")}, "/dev/zero is not a file"),
    ],
)
def test_worker_that_cannot_start_leaves_no_descriptors(tmp_path, changed, message):
    setting = replace(Setting(Contender("numpy", "cpu", "float32"), 1, 60, tmp_path / "log"), **changed)
    processes.new_mark()  # which starts the watchdog
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(WorkerFailed) as caught:
        ProcessWorker(setting)
    assert caught.value.status == "crashed"
    assert message in caught.value.reason
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("spare", range(0, 14))
def test_too_few_descriptors_are_the_reason_of_a_crash(tmp_path, spare):
    """This runs in a process of its own, since its first worker opens the most descriptors."""
    code = f"""if True:
        import os, resource, sys
        from pathlib import Path
        from bench.measure.client import ProcessWorker, Setting, WorkerFailed
        from bench.plan.cells import Contender

        used = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + {spare}, 4096))
        try:
            worker = ProcessWorker(Setting(Contender("numpy", "cpu", "float32"), 1, 60, Path(sys.argv[1])))
            try:
                worker.ask("start")
            finally:
                worker.close()
            print("answered")
        except WorkerFailed as failure:
            print(failure.status, failure.reason)
    """
    completed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], cwd=client.ROOT, capture_output=True, text=True, timeout=60
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout == "answered\n" or "Too many open files" in completed.stdout


def test_worker_killed_while_suspended_has_crashed(start):
    worker = start("Fine")
    worker.suspend()
    os.kill(worker._process.pid, signal.SIGKILL)
    worker.resume()
    failure = failure_of(worker)
    assert (failure.status, failure.alive) == ("crashed", False)
    assert "SIGKILL" in failure.reason


def test_worker_killed_by_the_system_is_out_of_memory(start, monkeypatch):
    kills = iter([5, 6])
    monkeypatch.setattr(memory, "kills", lambda: next(kills))
    failure = failure_of(start("Killed"))
    assert failure.status == "out_of_memory"
    assert "ran out of memory" in failure.reason


def test_suspended_worker_can_be_resumed_and_closed(start):
    worker = start("Fine")
    worker.suspend()
    worker.resume()
    assert worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1)["first_calls"]
    worker.suspend()
    worker.close()  # even while it is stopped
    assert not psutil.pid_exists(worker._process.pid)


def test_close_ends_a_stubborn_worker(start, monkeypatch):
    monkeypatch.setattr(client, "GRACE_SECONDS", 0.2)
    worker = start("Stubborn")
    request = {"id": 2, "verb": "prepare", "shape": [2, 3, 2, 1], "phases": ["forward"], "steps": 1}
    worker._pipes.send(json.dumps(request).encode() + b"\n", time.monotonic() + 60)
    worker.close()
    assert not psutil.pid_exists(worker._process.pid)


def test_interpreter_that_is_no_python_has_crashed(tmp_path):
    setting = Setting(Contender("numpy", "cpu", "float32"), 1, 60, tmp_path / "log", interpreter="/bin/false")
    worker = ProcessWorker(setting)
    with pytest.raises(WorkerFailed) as caught:
        worker.ask("start")
    assert caught.value.status == "crashed"
    worker.close()


def test_other_source_trees_are_measured_by_this_harness(tmp_path):
    folder = tmp_path / "tree" / "implementations"
    folder.mkdir(parents=True)
    sources = client.ROOT / "implementations"
    for path in sources.glob("*.py"):
        text = path.read_text()
        changed = text.replace('backend = "numpy"', 'backend = "other"') if path.name == "numpy_.py" else text
        (folder / path.name).write_text(changed)
    setting = Setting(Contender("numpy", "cpu", "float32"), 1, 60, tmp_path / "log", source=tmp_path / "tree")
    worker = ProcessWorker(setting)
    try:
        assert worker.ask("start")["backend"] == "other"
    finally:
        worker.close()


def test_reason_is_from_the_process_s_own_part_of_the_log(start, tmp_path):
    failure_of(start("Exits"))
    failure_of(start("Exits"))
    assert "about to leave" not in failure_of(start("Killed")).reason
    assert (tmp_path / "logs" / "worker.log").read_text().count("about to leave") == 2


def test_close_leaves_no_descriptors(start):
    worker = start("Fine")
    worker.close()
    if sys.platform == "linux":
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        worker = start("Fine")
        worker.close()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


PREPARE = {"shape": [2, 3, 2, 1], "phases": ["forward"], "steps": 1}


def test_requests_that_were_begun_are_answered_when_they_are_waited_for(start):
    workers = [start("Fine"), start("Fine")]
    for worker in workers:
        worker.begin("prepare", **PREPARE)
    answers = [worker.ask("prepare", **PREPARE) for worker in reversed(workers)]
    assert [set(answer["first_calls"]) for answer in answers] == [{"forward"}] * 2
    assert workers[0].ask("enter", phase="forward", samples=1, inner=1)["inner"] == 1


@pytest.mark.parametrize("name", ["Exits", "Hangs", "Text"])
def test_failure_of_a_request_that_was_begun_is_raised_by_asking(start, name):
    failing, fine = start(name), start("Fine")
    failing.timeout = 2.0
    failing.begin("prepare", **PREPARE)
    fine.begin("prepare", **PREPARE)
    with pytest.raises(WorkerFailed):
        failing.ask("prepare", **PREPARE)
    assert fine.ask("prepare", **PREPARE)["first_calls"]


def test_request_to_a_process_that_has_ended_fails_when_it_is_waited_for(start):
    worker = start("Fine")
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    worker.begin("prepare", **PREPARE)
    with pytest.raises(WorkerFailed, match="SIGKILL"):
        worker.ask("prepare", **PREPARE)


def test_workers_that_are_let_go_end_while_others_are_waited_for(start):
    workers = [start("Fine"), start("Fine")]
    workers[0].suspend()
    for worker in workers:
        worker.begin_close()
    for worker in workers:
        worker.close()
        assert worker._process.returncode == 0
