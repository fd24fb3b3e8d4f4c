"""The timer with nets of known cost and a fake clock."""

from __future__ import annotations

import gc
import weakref

import pytest

from bench.measure.worker.session import Session
from bench.measure.worker.timing import (
    BLOCK_SECONDS,
    LEAST_BATCHES,
    MOST_INNER,
    REWARM_SECONDS,
    SAMPLE_SECONDS,
    SYNCHRONIZE_SHARE,
    WARM_SECONDS,
    Clocks,
    Timer,
)
from implementations import Problem
from tests.bench.fakes import MICRO, FakeClock, FakeNet, GraphNet

PHASES = ("forward", "backward", "update", "step", "train")
COSTS = {
    "make": 64 * MICRO,
    "forward": 16 * MICRO,
    "backward": 32 * MICRO,
    "update": 8 * MICRO,
    "step": 128 * MICRO,
    "train": 256 * MICRO,
    "weights": 4 * MICRO,
}


def timer_of(phase, kind=FakeNet, steps=2, cpu=None, **options):
    clock = FakeClock()
    nets = []

    def make():
        nets.append(kind(clock, **{**COSTS, **options}))
        return nets[-1]

    timer = Timer(make, phase, steps, Clocks(clock, cpu or clock))
    return timer, clock, nets


def price(phase, steps=2):
    """Return the seconds of one iteration."""
    return COSTS["make"] + steps * COSTS["train"] + COSTS["weights"] if phase == "train" else COSTS[phase]


@pytest.mark.parametrize("kind", [FakeNet, GraphNet])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("phase", PHASES)
def test_samples_include_work_done_in_synchronize(phase, lazy, kind):
    timer, _, _ = timer_of(phase, kind, lazy=lazy)
    assert timer.first_call() == price(phase)
    assert timer.block(inner=8, samples=5) == ([price(phase)] * 5, 1.0)


def test_sample_excludes_earlier_work():
    timer, _, nets = timer_of("step", lazy=True)
    nets[0].owed = 1.0
    assert timer.block(inner=2, samples=1)[0] == [COSTS["step"]]


def test_training_goes_from_host_arrays_to_host_arrays():
    timer, _, nets = timer_of("train", steps=3)
    assert len(nets) == 1
    timer.block(inner=2, samples=2)
    assert [net.calls for net in nets[1:]] == [["make", "train", "weights"]] * 4
    assert timer.block(inner=2, samples=2)[0] == [price("train", steps=3)] * 2


def test_backward_that_consumes_its_graph_has_an_untimed_forward():
    timer, clock, nets = timer_of("backward", GraphNet)
    before, calls = clock.now, len(nets[0].calls)
    seconds, _ = timer.block(inner=4, samples=2)
    assert seconds == [COSTS["backward"]] * 2
    assert nets[0].calls[calls:] == ["forward", "backward"] * 8
    assert clock.now - before == 8 * (COSTS["forward"] + COSTS["backward"])


def test_repeatable_backward_has_only_one_forward():
    timer, _, nets = timer_of("backward")
    timer.block(inner=4, samples=2)
    assert nets[0].calls == ["make", "forward"] + ["backward"] * 8


def test_update_has_gradients_before_the_clock_runs():
    timer, _, nets = timer_of("update")
    timer.block(inner=2, samples=2)
    assert nets[0].calls == ["make", "forward", "backward"] + ["update"] * 4


@pytest.mark.parametrize("kind", [FakeNet, GraphNet])
@pytest.mark.parametrize("micros", [1, 5, 64, 700])
@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_inner_is_chosen_by_the_seconds_of_a_sample(phase, micros, kind):
    timer, clock, _ = timer_of(phase, kind, **{phase: micros * MICRO})
    before = clock.now
    inner, samples = timer.choose_inner(15)
    assert SAMPLE_SECONDS <= inner * micros * MICRO < SAMPLE_SECONDS + micros * MICRO
    assert samples == 15
    assert clock.now - before >= WARM_SECONDS


@pytest.mark.parametrize(
    ("seconds", "samples"), [(1 / 512, 15), (1 / 128, 5), (1 / 64, 2), (1 / 32, 1), (1.0, 1), (50.0, 1)]
)
def test_slow_cells_take_fewer_samples_and_at_least_one(seconds, samples):
    timer, _, _ = timer_of("step", step=seconds)
    inner, chosen = timer.choose_inner(15)
    assert inner == (2 if seconds < SAMPLE_SECONDS else 1)
    assert chosen == (samples if seconds >= SAMPLE_SECONDS else int(BLOCK_SECONDS / (2 * seconds)))
    assert inner * chosen * seconds <= max(BLOCK_SECONDS, seconds)


def test_slow_cell_is_calibrated_and_warmed_once():
    timer, _, nets = timer_of("step", step=50.0)
    timer.choose_inner(15)
    assert nets[0].calls.count("step") == 1
    timer.rewarm()
    assert nets[0].calls.count("step") == 2


def test_inner_of_an_instant_phase_is_bounded():
    timer, _, _ = timer_of("step", step=1e-12)
    ticking = timer.clocks.wall
    timer.clocks = Clocks(lambda: ticking.spend(1e-4) or ticking(), ticking)
    timer._run = lambda inner: inner * 1e-12
    assert timer.choose_inner(15)[0] == MOST_INNER


def interrupted(timer, clock, seconds, at):
    """Let the timer's iteration of a number, from 0, be interrupted."""
    advance, count = timer.net.step, iter(range(10**9))

    def step():
        advance()
        clock.spend(seconds if next(count) == at else 0.0)

    timer._run = timer._repeat(step)


@pytest.mark.parametrize("seconds", [4e-3, 5e-2, 2.0])
@pytest.mark.parametrize("at", [0, 1, 2, 20, 60])
def test_interrupted_iteration_does_not_change_inner(at, seconds):
    timer, clock, _ = timer_of("step", step=256 * MICRO)
    interrupted(timer, clock, seconds, at)
    assert timer.choose_inner(15) == (9, 15)


def test_inner_is_chosen_by_several_batches_unless_slow():
    timer, _, nets = timer_of("step", step=0.25)
    timer.choose_inner(15)
    assert nets[0].calls.count("step") == LEAST_BATCHES


class Awaited(FakeNet):
    """A net whose synchronise takes a while even if it has nothing to wait for."""

    def synchronize(self):
        super().synchronize()
        self.clock.spend(self.costs["synchronize"])


@pytest.mark.parametrize("micros", [0, 1, 9, 40])
@pytest.mark.parametrize("step", [1, 16, 3000])
def test_samples_are_long_beside_a_synchronise(step, micros):
    timer, _, _ = timer_of("step", Awaited, step=step * MICRO, synchronize=micros * MICRO)
    inner, samples = timer.choose_inner(15)
    assert timer.synchronize_seconds() == micros * MICRO
    assert micros <= SYNCHRONIZE_SHARE * inner * step * 1.05
    assert inner * step * MICRO >= SAMPLE_SECONDS * 0.95
    assert samples * inner * step * MICRO <= BLOCK_SECONDS


def test_samples_of_a_training_ignore_synchronise():
    timer, _, _ = timer_of("train", Awaited, synchronize=4096 * MICRO)
    assert timer.sample_seconds() == SAMPLE_SECONDS


@pytest.mark.parametrize("phase", PHASES)
def test_rewarm_is_short_and_reports_its_time(phase):
    timer, clock, nets = timer_of(phase)
    before = clock.now
    assert timer.rewarm() == clock.now - before
    assert REWARM_SECONDS <= clock.now - before < 2 * REWARM_SECONDS
    if phase == "train":
        assert len(nets) == 1, "warm-up by steps, for whole trainings are long"


def session_of(**costs):
    """Return a session of fake nets, its clock, and a list of the nets made."""
    clock, nets = FakeClock(), []
    session = Session("fake", "cpu", "float32", clocks=Clocks(clock, clock))
    session.problem, session.steps = Problem.random(2, 2, 2, 2), 2
    session.reasons = lambda timer: iter(())  # these nets have no numbers to check

    def net_class(*_):
        nets.append(FakeNet(clock, **{**COSTS, **costs}))
        return nets[-1]

    session.net_class = net_class
    return session, clock, nets


@pytest.mark.parametrize("phase", PHASES)
def test_session_rewarms_before_every_block_and_keeps_inner(phase):
    session, clock, _ = session_of()
    assert session.enter(phase, samples=3, inner=5) == {"inner": 5, "samples": 3}
    for _ in range(3):
        before = clock.now
        answer = session.block()
        assert answer["rewarm_seconds"] >= REWARM_SECONDS
        assert answer["seconds"] == [price(phase)] * 3
        assert answer["cpu_per_wall"] == 1.0
        assert clock.now - before >= answer["rewarm_seconds"] + 15 * price(phase)
    assert session.leave()["device_bytes"] is None
    assert session.timer is None


def test_session_chooses_inner_if_none_is_given():
    session, _, _ = session_of()
    assert session.enter("step", samples=3) == {"inner": 17, "samples": 3}
    assert len(session.block()["seconds"]) == 3


def test_slow_net_is_warmed_and_sampled_once_per_block():
    session, _, nets = session_of(step=50.0)
    assert session.enter("step", samples=15) == {"inner": 1, "samples": 1}
    for net in nets:
        net.calls.clear()
    assert session.block()["seconds"] == [50.0]
    assert sum(net.calls.count("step") for net in nets) == 2


class Garbage:
    """An object that only the collector can free."""

    def __init__(self):
        self.itself = self


def test_garbage_is_collected_on_entering_a_cell():
    session, _, _ = session_of()
    collecting = gc.isenabled()
    gc.disable()
    try:
        garbage = weakref.ref(Garbage())
        assert garbage() is not None
        session.enter("step", samples=2, inner=1)
        assert garbage() is None
    finally:
        if collecting:
            gc.enable()


def test_garbage_is_not_collected_during_a_block():
    seen = []
    timer, _, _ = timer_of("step", watch=lambda name: seen.append(gc.isenabled()))
    seen.clear()
    assert gc.isenabled()
    timer.block(inner=3, samples=2)
    assert seen == [False] * 6
    assert gc.isenabled()


def test_garbage_is_collected_again_after_a_failed_block():
    def fail(name):
        if name == "step":
            raise RuntimeError("no")

    timer, _, _ = timer_of("step", watch=fail)
    with pytest.raises(RuntimeError):
        timer.block(inner=1, samples=1)
    assert gc.isenabled()


def test_disabled_garbage_collection_stays_off():
    timer, _, _ = timer_of("step")
    gc.disable()
    try:
        timer.block(inner=1, samples=1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_processor_seconds_are_per_second_of_the_block():
    clock = FakeClock()
    timer = Timer(lambda: FakeNet(clock, **COSTS), "step", 1, Clocks(clock, lambda: 1.75 * clock()))
    assert timer.block(inner=2, samples=3)[1] == 1.75


def test_real_clocks_count_seconds_of_this_process():
    clocks = Clocks()
    before = clocks.wall(), clocks.cpu()
    sum(range(200_000))
    assert clocks.wall() > before[0]
    assert clocks.cpu() > before[1]
