"""Processes that do not verify a contender check each cell as well."""

from __future__ import annotations

import time

import pytest
from threadpoolctl import threadpool_limits

from bench.measure.worker import aftercheck, timing, training
from bench.measure.worker.session import Failure, Session
from bench.plan.cells import PHASES
from tests.bench.measure.worker import cheaters

SEEN = {
    "Queueing": ("forward", "backward", "update", "step"),
    "Unsynchronized": ("forward", "backward", "update", "step"),
    "KeptForward": ("forward",),
    "KeptBackward": ("backward",),
    "KeptProduct": ("forward",),
    "SkipsLater": ("update", "step"),
    "SkipsEverySecond": ("update",),
    "TrainsEarly": ("train",),
    "Degrades": ("forward", "step"),
    "ComputesWhenRead": ("forward", "backward"),
}


@pytest.fixture(autouse=True)
def _short_warming(monkeypatch):
    """Shorten warming, since queued work is all done in the end, and use one thread, as a worker would."""
    monkeypatch.setattr(timing, "REWARM_SECONDS", 1e-4)
    with threadpool_limits(1):
        yield


def later(net_class=None, implementation="numpy", phases=PHASES):
    """Return a session of a later pass, prepared for a shape's phases."""
    session = Session(implementation, "cpu", "float32")
    session.start(time.perf_counter())
    session.net_class = net_class or session.net_class
    session.prepare((64, 500, 100, 5), [*phases], steps=25, check=False)
    return session


def leave(session, phase):
    session.enter(phase, samples=3, inner=20)
    session.block()
    return session.leave()


@pytest.mark.parametrize(("name", "phase"), [(name, phase) for name, phases in SEEN.items() for phase in phases])
def test_cheater_in_a_later_pass_is_wrong(name, phase):
    with pytest.raises(Failure) as failure:
        leave(later(getattr(cheaters, name)), phase)
    assert failure.value.status == "wrong"


@pytest.mark.parametrize("phase", PHASES)
def test_honest_contender_is_cleared_in_each_phase(phase):
    assert leave(later(), phase)["check_seconds"] > 0


@pytest.mark.parametrize(
    ("phases", "modules"),
    [
        *(([phase], [aftercheck]) for phase in PHASES if phase != "train"),
        (["train"], [aftercheck, training]),
        (["train", "step"], [training]),  # the step's own cell checks steps
    ],
)
def test_uncleared_cell_is_checked_in_full(phases, modules, monkeypatch):
    monkeypatch.setattr("bench.measure.worker.spotcheck.is_clear", lambda *_: False)
    checked = []
    for module in (aftercheck, training):
        monkeypatch.setattr(module, "reasons", lambda *_, module=module: checked.append(module) or iter(()))
    leave(later(phases=phases), phases[0])
    assert checked == modules
