"""Contenders that do not do the work that is timed are found; honest ones pass."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.measure import journal, session
from bench.measure.records import Failed, Left
from bench.measure.worker import aftercheck, lazy
from bench.measure.worker.timing import Clocks, Timer
from bench.plan.cells import PHASES, Cell, Contender, Shape
from implementations import Problem, numpy_
from tests.bench.fakes import MICRO, FakeClock, plan_of

HERE = Path(__file__).parent
SHAPES = (Shape(64, 1000, 100), Shape(200, 300, 100), Shape(128, 500, 50, 5))
APART = ("forward", "backward", "update")
UNDONE = (
    r"work is left undone by synchronize: \d+ × {phase} took \S+ .?s, then reading the result \S+ .?s, "
    r"against \S+ .?s on an idle net"
)
KEPT = r"{phase} takes \S+ .?s after a change of the weights, but \S+ .?s while they are unchanged: it keeps"
SKIPPED = r"w\d is the same before and after one {phase} of several: its update is skipped"
NOT_RIGHT = r"after the timed iterations it is no longer right: .*: error \S+, tolerance"
NOT_SUBTRACTED = r"after the timed ones, \d updates of w\d are off by \S+; they had to change it by"
SHARED = r"nets share state"
UNTRAINED = r"train\(25\) returned \S+ as its last loss; 25 × step come to"
LEFT_TO_READERS = (
    r"{phase} leaves its work to those who read the result: it took \S+ .?s, but each reading \S+ .?s, "
    r"against \S+ .?s on an idle net"
)
UNREAD = r"\d steps between which nothing is read leave w\d \S+ away from where they bring another net"
KEPT_TRAINING = r"train\(25\) takes \S+ .?s for the timed numbers, but \S+ .?s for others: it keeps"
KEPT_LOSS = r"train\(25\) of other numbers returned \S+ as its first loss, which is \S+: it keeps"
CHEATERS = {
    "Queueing": ((*APART, "step"), UNDONE),
    "Unsynchronized": ((*APART, "step"), UNDONE),
    "KeptForward": (("forward",), KEPT),
    "KeptBackward": (("backward",), KEPT),
    "KeptProduct": (("forward",), KEPT),
    "SkipsLater": (("update", "step"), f"{SKIPPED}|{NOT_RIGHT}"),
    "SkipsEverySecond": (("update", "step"), f"{SKIPPED}|{NOT_RIGHT}|{NOT_SUBTRACTED}"),
    "Shared": (APART, SHARED),
    "Continuing": (("update", "step"), SHARED),
    # A late step may come while another net is checked, so that the reason varies.
    "ReturnsEarly": (("step",), f"{SKIPPED}|{NOT_RIGHT}|{SHARED}"),
    "TrainsEarly": (("train",), UNTRAINED),
    "TrainsShort": (("train",), UNTRAINED),
    "Degrades": (("forward", "step"), NOT_RIGHT),
    "ComputesWhenRead": (("forward", "backward"), LEFT_TO_READERS),
    "WorksOnceRead": (("update", "step"), f"{NOT_SUBTRACTED}|{UNREAD}"),
    "KeptTraining": (("train",), KEPT_TRAINING),
    "KeptTrainingOfItsShape": (("train",), KEPT_LOSS),
}


@pytest.mark.parametrize("name", CHEATERS)
def test_cheater_is_wrong_with_the_reason(name, tmp_path):
    phases, reason = CHEATERS[name]
    # On a busy machine, threads that wait for others would hide the part that is kept.
    thread_limits = (1,) if name == "KeptProduct" else (1, "all")
    contenders = [Contender(f"cheaters:{name}", "cpu", "float32", threads) for threads in thread_limits]
    cells = [Cell(contender, shape, phase) for phase in phases for shape in SHAPES for contender in contenders]
    # A check that a busy moment disturbs clears the cell, which the next pass checks again.
    plan = replace(plan_of(passes=3, rounds=1, samples=15, steps=25), cells=tuple(cells))
    session.measure(plan, tmp_path, [str(HERE)])
    failed = {key: record for record in journal.read(tmp_path) if isinstance(record, Failed) for key in record.cells}
    for cell in cells:
        assert cell.key in failed, f"{cell.key} passed"
        assert failed[cell.key].status == "wrong", failed[cell.key].reason
        assert re.search(reason.format(phase=cell.phase), failed[cell.key].reason), failed[cell.key].reason


def test_time_of_the_checks_is_recorded(tmp_path):
    contenders = [Contender("numpy", "cpu", dtype) for dtype in ("float32", "float64")]
    cells = [Cell(contender, Shape(8, 5, 6), phase) for phase in PHASES for contender in contenders]
    session.measure(replace(plan_of(passes=1, rounds=1, samples=2), cells=tuple(cells)), tmp_path)
    left_records = [record for record in journal.read(tmp_path) if isinstance(record, Left)]
    assert [record for record in journal.read(tmp_path) if isinstance(record, Failed)] == []
    assert len(left_records) == len(cells)
    assert all(record.check_seconds > 0 for record in left_records)


class Priced(numpy_.Net):
    """A right net whose calls and readings cost seconds on a clock."""

    common = FakeClock()

    def __init__(self, problem, device, dtype, clock=None, costs=None):
        super().__init__(problem, device, dtype)
        self.clock, self.costs = clock or self.common, costs or {"share": 1}
        self.owed = 0.0

    def pay(self, name):
        self.clock.spend(self.costs.get(name, 0.0) * MICRO)

    def forward(self):
        super().forward()
        self.pay("forward")
        self.owed += self.costs.get("owed", 0.0) * MICRO

    def prediction(self):
        self.pay("reading")
        self.clock.spend(self.owed)
        self.owed = 0.0
        return super().prediction()


def reasons_of(kind, phase="forward", seconds=64 * MICRO, noise=None, **costs):
    Priced.common = clock = FakeClock()
    problem = Problem.random(8, 12, 6, 5)
    timer = Timer(lambda: kind(problem, "cpu", "float64", clock, costs), phase, 2, Clocks(noise or clock, clock))
    timer.run(1)
    return [*aftercheck.reasons(timer, seconds)]


@pytest.mark.parametrize("phase", [*APART, "step"])
def test_honest_net_passes(phase):
    assert reasons_of(Priced, phase, forward=64, reading=16) == []


def test_one_slow_reading_is_not_undone_work():
    class Interrupted(Priced):
        readings = 0

        def prediction(self):
            Interrupted.readings += 1
            if Interrupted.readings % 2 and Interrupted.readings < 2 * lazy.TRIES:
                self.clock.spend(1.0)
            return super().prediction()

    assert reasons_of(Interrupted, forward=64, reading=16) == []


@pytest.mark.parametrize(("owed", "undone"), [(0, False), (1, False), (2, False), (8, True), (64, True), (4096, True)])
def test_work_done_by_a_reading_is_reported_with_both_times(owed, undone):
    reasons = reasons_of(Priced, forward=16, reading=1, owed=owed, seconds=16 * MICRO)
    assert bool(reasons) == undone
    if undone:
        assert re.match(UNDONE.format(phase="forward"), reasons[0])


@pytest.mark.parametrize(("compute", "left"), [(0, False), (16, False), (512, True)])
def test_getter_that_recomputes_is_wrong_if_slower_than_the_phase(compute, left):
    class Computes(Priced):
        def prediction(self):
            self.clock.spend(compute * MICRO)
            return super().prediction()

    reasons = reasons_of(Computes, forward=16, reading=1, seconds=16 * MICRO)
    assert bool(reasons) == left
    if left:
        assert re.match(LEFT_TO_READERS.format(phase="forward"), reasons[0])


class Remembering(Priced):
    """Pays only a share of its forward if the weights have not changed."""

    seen = None

    def forward(self):
        unchanged = self.seen is not None and np.array_equal(self.seen, self.w1)
        self.seen = self.w1.copy()
        numpy_.Net.forward(self)
        self.clock.spend(self.costs["forward"] * MICRO * (self.costs["share"] if unchanged else 1))


@pytest.mark.parametrize(
    ("share", "kept"), [(1, False), (0.6, False), (0.3, False), (0.2, True), (1 / 64, True), (0, True)]
)
def test_forward_much_quicker_with_unchanged_weights_is_kept(share, kept):
    reasons = reasons_of(Remembering, forward=256, share=share, seconds=256 * share * MICRO)
    assert bool(reasons) == kept
    if kept:
        assert re.match(KEPT.format(phase="forward"), reasons[0])


def test_calls_that_wait_for_threads_are_not_kept():
    class Waits(Priced):
        """Nine calls of ten take fifty times as long, with changed and unchanged weights."""

        random = random.Random(4)

        def forward(self):
            super().forward()
            self.clock.spend(MICRO * 64 * (50 if self.random.random() < 0.9 else 1))

    for _ in range(30):
        assert reasons_of(Waits) == []


def test_interrupted_calls_do_not_clear_a_kept_forward():
    class Interrupted(Remembering):
        updates = 0

        def forward(self):
            before = self.clock()
            super().forward()
            if self.updates == 1 and self.clock() == before:
                self.clock.spend(100 * MICRO)

        def update(self):
            super().update()
            self.updates += 1

    (reasons,) = reasons_of(Interrupted, forward=256, share=0, seconds=0.0)
    assert re.match(KEPT.format(phase="forward"), reasons)


def test_weights_without_a_gradient_are_not_skipped():
    class Dead(Priced):
        """A net whose hidden units are all off."""

        def __init__(self, problem, device, dtype, clock=None, costs=None):
            still = Problem(np.abs(problem.x), problem.y, -np.abs(problem.w1), problem.w2, problem.learning_rate)
            super().__init__(still, device, dtype, clock, costs)

    assert reasons_of(Dead, "step") == []
    assert reasons_of(Dead, "update") == []


def test_wrong_prediction_is_seen_if_rounding_hides_the_step():
    class Drifting(Priced):
        """A net with wrong predictions whose steps hardly change its weights."""

        def __init__(self, problem, device, dtype, clock=None, costs=None):
            super().__init__(replace(problem, learning_rate=1e-30), device, dtype, clock, costs)

        def forward(self):
            super().forward()
            self.y_pred = self.y_pred * 1.01

    (reason,) = reasons_of(Drifting, "step")
    assert re.match(NOT_RIGHT, reason)
    assert "prediction" in reason


def test_nan_is_wrong():
    class Overflows(Priced):
        calls = 0

        def forward(self):
            super().forward()
            self.calls += 1
            if self.calls > 1:
                self.y_pred = self.y_pred * np.nan

    (reason,) = reasons_of(Overflows)[:1]
    assert "NaN" in reason
