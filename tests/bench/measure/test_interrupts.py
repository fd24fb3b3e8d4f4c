"""Signals that end a run: when they interrupt, and that handlers are restored."""

from __future__ import annotations

import os
import signal

import pytest

from bench.measure import interrupts

ALL = pytest.mark.parametrize("number", interrupts.SIGNALS, ids=lambda number: number.name)


def send(number, times=1):
    for _ in range(times):
        os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def as_from_a_terminal():
    """Let no signal be ignored, however the tests were started, and restore all handlers afterwards."""
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    for number in interrupts.SIGNALS:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def nothing_at_exit(monkeypatch):
    monkeypatch.setattr(interrupts.atexit, "register", lambda function: None)


@ALL
def test_only_the_first_signal_interrupts(number):
    with interrupts.handled():
        with pytest.raises(KeyboardInterrupt, match=number.name):
            send(number)
        for later in interrupts.SIGNALS:
            send(later, times=10)
        assert interrupts.current.name == number.name


@ALL
def test_first_signal_waits_for_the_block_in_flight(number):
    events = []

    def measure():
        with interrupts.current.between_blocks():
            send(number)
            events.append("the block")
            interrupts.current.check()
            events.append("the next one")

    with interrupts.handled(), pytest.raises(KeyboardInterrupt):
        measure()
    assert events == ["the block"]


@ALL
def test_second_signal_does_not_wait(number):
    events = []

    def measure():
        with interrupts.current.between_blocks():
            send(number)
            events.append("the first")
            send(number)
            events.append("the second")

    with interrupts.handled(), pytest.raises(KeyboardInterrupt):
        measure()
    assert events == ["the first"]


@ALL
def test_signal_in_the_last_block_interrupts_after_it(number):
    events = []

    def measure():
        with interrupts.current.between_blocks():
            send(number)
            events.append("the block")

    with interrupts.handled(), pytest.raises(KeyboardInterrupt):
        measure()
    assert events == ["the block"]


@ALL
def test_held_back_signal_does_not_interrupt(number):
    with interrupts.handled():
        with interrupts.current.held_back():
            send(number, times=30)
        assert interrupts.current.name == number.name
        send(number)  # the first signal counts as handled by now


@ALL
def test_signal_after_held_back_interrupts(number):
    with interrupts.handled():
        with interrupts.current.held_back():
            pass
        with pytest.raises(KeyboardInterrupt):
            send(number)


@ALL
def test_handlers_are_restored_after_a_signal(number):
    before = [signal.getsignal(signal_number) for signal_number in interrupts.SIGNALS]
    with interrupts.handled():
        assert signal.getsignal(number) not in before
        with pytest.raises(KeyboardInterrupt):
            send(number)
    assert [signal.getsignal(signal_number) for signal_number in interrupts.SIGNALS] == before
    assert interrupts.current.name == ""


def test_ignored_signal_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with interrupts.handled():
        send(signal.SIGHUP, times=3)
        assert interrupts.current.name == ""
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
