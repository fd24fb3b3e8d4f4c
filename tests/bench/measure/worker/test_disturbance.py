"""The counts of a fake /proc, and of the real one where there is one."""

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
        self.count([0.0] * processors, [0.0] * processors)

    def wait(self, **seconds: float) -> None:
        """Set how long each thread has waited since it started."""
        for thread, waited in seconds.items():
            folder = self.proc / "self" / "task" / thread.removeprefix("thread")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "schedstat").write_text(f"123456 {round(waited * 1e9)} 7\n")

    def count(self, idle: list[float], stolen: list[float]) -> None:
        """Set the idle and stolen seconds of each processor since it started."""

        def line(name: object, *seconds: float) -> str:
            ticks = [round(part * TICKS) for part in seconds]
            return f"cpu{name} 9 9 9 {ticks[0]} {ticks[1]} 9 9 {ticks[2]} 0 0"

        lines = [line(number, seconds / 2, seconds / 2, stolen[number]) for number, seconds in enumerate(idle)]
        total = line(" ", sum(idle), 0, sum(stolen))
        (self.proc / "stat").write_text("\n".join([total, *lines, "intr 5 6 7", "ctxt 8"]) + "\n")

    def monitor(self, *processors: int) -> Monitor:
        return Monitor(Clocks(self.wall, self.cpu), self.proc, processors)


@pytest.fixture
def machine(tmp_path):
    fake_machine = Machine(tmp_path)
    fake_machine.wait(thread1=1.0, thread2=2.0)
    return fake_machine


def test_waits_of_all_threads_are_counted(machine):
    monitor = machine.monitor(0, 1)
    before = monitor.read()
    machine.wait(thread1=1.25, thread2=2.125)
    machine.wall.spend(1.0)
    machine.cpu.spend(0.5)
    figures = monitor.since(before)
    assert figures["processor_seconds"] == 2.0
    assert figures["waited_seconds"] == 0.375


def test_others_on_one_processor_had_the_unused_time(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wall.spend(1.0)
    machine.cpu.spend(0.75)
    assert monitor.since(before)["others_seconds"] == 0.25


def test_others_on_several_processors_had_the_rest(machine):
    monitor = machine.monitor(0, 1)
    before = monitor.read()
    machine.wall.spend(1.0)
    machine.cpu.spend(0.75)
    machine.count(idle=[0.0, 0.5], stolen=[0.25, 0.0])
    figures = monitor.since(before)
    assert figures["others_seconds"] == 0.5
    assert figures["stolen_seconds"] == 0.25


def test_thread_started_while_sampling_counts_from_its_start(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wait(thread3=0.25)
    machine.wall.spend(1.0)
    assert monitor.since(before)["waited_seconds"] == 0.25


def test_thread_ended_while_sampling_takes_nothing_away(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wait(thread1=1.25)
    (machine.proc / "self" / "task" / "2" / "schedstat").unlink()
    machine.wall.spend(1.0)
    assert monitor.since(before)["waited_seconds"] == 0.25


def test_threads_on_a_busy_processor_wait_for_one_another(machine):
    monitor = machine.monitor(0)
    before = monitor.read()
    machine.wait(thread1=1.5, thread2=2.5)
    machine.wall.spend(1.0)
    machine.cpu.spend(1.0)
    assert monitor.since(before)["waited_seconds"] == 0.0


def test_steal_counts_on_usable_processors(machine):
    monitor = machine.monitor(1)
    before = monitor.read()
    machine.count(idle=[0.0, 0.0], stolen=[5.0, 0.25])
    assert monitor.since(before)["stolen_seconds"] == 0.25


def test_system_without_counts_has_none(tmp_path):
    monitor = Monitor(Clocks(FakeClock(), FakeClock()), tmp_path / "nowhere", [])
    figures = monitor.since(monitor.read())
    assert figures.pop("switches") is not None
    assert set(figures.values()) == {None}


@pytest.mark.parametrize("waited", ["", "12", "a b c"])
@pytest.mark.parametrize("stolen", ["", "cpu  1 2 3\n", "cpu0 1 2 3\n", "cpu0 a b c d e f g h i\n", "processor\n"])
def test_malformed_count_is_none(machine, waited, stolen):
    (machine.proc / "stat").write_text(stolen)
    (machine.proc / "self" / "task" / "1" / "schedstat").write_text(waited)
    monitor = machine.monitor(0, 1)
    before = monitor.read()
    machine.wall.spend(1.0)
    figures = monitor.since(before)
    assert figures["stolen_seconds"] is None
    assert figures["others_seconds"] is None
    assert figures["waited_seconds"] is None
    assert figures["processor_seconds"] == 2.0


def test_slow_count_is_read_once(machine, monkeypatch):
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
        assert block["waited_seconds"] is None or 0 <= block["waited_seconds"] <= block["processor_seconds"]
