import pytest

from bench.measure.worker.slowed import slowed
from bench.measure.worker.timing import Clocks, Timer
from bench.plan.cells import PHASES
from tests.bench.fakes import MICRO, FakeClock, FakeNet

COSTS = {"forward": 100 * MICRO, "backward": 200 * MICRO, "update": 50 * MICRO, "step": 400 * MICRO, "train": MICRO}


class Ticking(FakeClock):
    """A clock that advances a little when it is read, so that waiting ends."""

    def __call__(self) -> float:
        self.now += MICRO / 64
        return self.now


@pytest.mark.parametrize("slowdown", [0.01, 0.1, 1.0])
def test_slowed_run_takes_longer_by_the_fraction(slowdown):
    clock = Ticking()

    def run(inner: int) -> float:
        clock.spend(inner * 100 * MICRO)
        return inner * 100 * MICRO

    begun = clock.now
    seconds = slowed(run, slowdown, clock)(8)
    assert seconds == pytest.approx(800 * MICRO * (1 + slowdown), abs=MICRO / 8)
    assert clock.now - begun == pytest.approx(seconds + 100 * MICRO, abs=MICRO / 8)  # one more, not timed


@pytest.mark.parametrize("phase", PHASES)
def test_slowed_samples_take_longer_by_the_fraction(phase):
    def sample(slowdown: float) -> float:
        clock = Ticking()
        timer = Timer(lambda: FakeNet(clock, **COSTS), phase, 3, Clocks(clock, clock), slowdown)
        return timer.block(inner=4, samples=1)[0][0]

    assert sample(0.05) == pytest.approx(1.05 * sample(0.0), rel=1e-3)


def test_timer_without_a_slowdown_calls_its_net_directly():
    clock = FakeClock()
    timer = Timer(lambda: FakeNet(clock, **COSTS), "step", 1, Clocks(clock, clock))
    assert timer.block(inner=2, samples=2)[0] == [COSTS["step"]] * 2
