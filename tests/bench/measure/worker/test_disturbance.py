"""The counts of a made /proc, and of the real one where there is one."""

import os
import sys
import time
from pathlib import Path

import pytest

from bench.measure.worker.disturbance import Monitor
from bench.measure.worker.session import Session
from bench.measure.worker.timing import Clocks
from tests.bench.fakes import FakeClock

TICKS = os.sysconf("SC_CLK_TCK")


class Machine:
    """A /proc folder whose counts are set, and clocks that a process advances."""

    def __init__(self, folder: Path, processors: int = 2) -> None:
        self.proc, self.wall, self.cpu = folder, FakeClock(), FakeClock()
        self.steal([0.0] * processors)

    def wait(self, **seconds: float) -> None:
        """How long each thread has waited since it started."""
        for thread, waited in seconds.items():
            place = self.proc / "self" / "task" / thread.removeprefix("thread")
            place.mkdir(parents=True, exist_ok=True)
            (place / "schedstat").write_text(f"123456 {round(waited * 1e9)} 7\n")

    def steal(self, seconds: list[float]) -> None:
        lines = [f"cpu{number} 9 9 9 9 9 9 9 {round(each * TICKS)} 0 0" for number, each in enumerate(seconds)]
        total = f"cpu  9 9 9 9 9 9 9 {round(sum(seconds) * TICKS)} 0 0"
        (self.proc / "stat").write_text("\n".join([total, *lines, "intr 5 6 7", "ctxt 8"]) + "\n")

    def monitor(self, *processors: int) -> Monitor:
        return Monitor(Clocks(self.wall, self.cpu), self.proc, processors)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    made.wait(thread1=1.0, thread2=2.0)
    return made


def test_what_all_threads_waited_is_what_other_processes_took(machine):
    monitor = machine.monitor(0, 1)
    before = monitor.read()
    machine.wait(thread1=1.25, thread2=2.125)
    machine.wall.spend(1.0)
    machine.cpu.spend(0.5)
    figures = monitor.since(before)
    assert figures["processor_seconds"] == 2.0
    assert figures["others_seconds"] == 0.375


def test_a_thread_that_starts_while_sampling_counts_from_its_start(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wait(thread3=0.25)
    machine.wall.spend(1.0)
    assert monitor.since(before)["others_seconds"] == 0.25


def test_a_thread_that_ends_while_sampling_takes_nothing_away(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wait(thread1=1.25)
    (machine.proc / "self" / "task" / "2" / "schedstat").unlink()
    machine.wall.spend(1.0)
    assert monitor.since(before)["others_seconds"] == 0.25


def test_threads_that_wait_for_one_another_are_not_disturbed_by_others(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wait(thread1=1.5, thread2=2.5)  # two threads share one processor, which they keep busy
    machine.wall.spend(1.0)
    machine.cpu.spend(1.0)
    assert monitor.since(before)["others_seconds"] == 0.0


def test_steal_counts_on_the_processors_that_the_process_may_run_on(machine):
    monitor = machine.monitor(1)
    before = monitor.read()
    machine.steal([5.0, 0.25])
    assert monitor.since(before)["stolen_seconds"] == 0.25


def test_a_system_without_these_counts_has_none(tmp_path):
    monitor = Monitor(Clocks(FakeClock(), FakeClock()), tmp_path / "nowhere", [])
    figures = monitor.since(monitor.read())
    assert figures.pop("switches") is not None
    assert set(figures.values()) == {None}


@pytest.mark.parametrize("waited", ["", "12", "a b c"])
@pytest.mark.parametrize("stolen", ["", "cpu  1 2 3\n", "cpu0 1 2 3\n", "cpu0 a b c d e f g h i\n", "processor\n"])
def test_a_count_of_another_form_is_no_count(machine, waited, stolen):
    (machine.proc / "stat").write_text(stolen)
    (machine.proc / "self" / "task" / "1" / "schedstat").write_text(waited)
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wall.spend(1.0)
    figures = monitor.since(before)
    assert figures["stolen_seconds"] is None
    assert figures["others_seconds"] is None
    assert figures["processor_seconds"] == 1.0


def test_a_count_that_is_slow_to_read_is_read_once(machine, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(time, "thread_time", lambda: clock.spend(0.01) or clock())
    monitor = machine.monitor(0)
    assert monitor.read().stolen is not None
    assert monitor.read().stolen is None


def test_every_block_has_the_counts():
    session = Session("numpy", "cpu", "float32")
    session.start(0.0)
    session.prepare([4, 5, 3, 2], ["step"], 1)
    session.enter("step", 2)
    block = session.block()
    assert block["switches"] >= 0
    if sys.platform == "linux":
        assert block["processor_seconds"] > 0
        assert block["others_seconds"] is None or 0 <= block["others_seconds"] <= block["processor_seconds"]
