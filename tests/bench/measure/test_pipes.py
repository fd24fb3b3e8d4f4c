"""Waiting for a process, its answers and its end."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench.measure import pipes
from bench.measure.pipes import Ended, Pipes, TooLate, TooLong

GUARD_SECONDS = 60.0
"""By which a test would have hung."""


@pytest.fixture(params=["pidfd", "polling"])
def start(request, monkeypatch):
    """Starts a process of some Python code that has both pipes, on systems that can and cannot wait for its end."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    started = []

    def of(code):
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        code = code.replace("REQUESTS", str(theirs_in)).replace("REPLIES", str(theirs_out))
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os, time\n{code}"],
            pass_fds=(theirs_in, theirs_out),
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        started.append((process, Pipes(ours_out, ours_in, process)))
        return started[-1][1]

    yield of
    for process, ends in started:
        os.killpg(process.pid, 9)
        process.wait()
        ends.close()


def within(seconds=GUARD_SECONDS):
    return time.monotonic() + seconds


def test_lines_are_received_one_by_one(start):
    ends = start(r"os.write(REPLIES, b'one\ntw'); os.write(REPLIES, b'o\n'); os.read(REQUESTS, 1)")
    assert [ends.receive(within()), ends.receive(within())] == [b"one", b"two"]


def test_receive_raises_at_the_deadline(start):
    with pytest.raises(TooLate):
        start("os.write(REPLIES, b'half a line'); time.sleep(600)").receive(within(0.3))


def test_slow_answer_is_too_late(start):
    with pytest.raises(TooLate):
        start("while True: os.write(REPLIES, b'x'); time.sleep(0.01)").receive(within(0.5))


def test_send_does_not_block_if_nothing_reads(start):
    with pytest.raises(TooLate):
        start("time.sleep(600)").send(b"x" * (1 << 20), within(0.3))


def test_long_request_is_sent_in_full(start):
    ends = start(r"n = 0" "\nwhile n < 1 << 20: n += len(os.read(REQUESTS, 1 << 16))" "\nos.write(REPLIES, b'all\\n')")
    ends.send(b"x" * (1 << 20), within())
    assert ends.receive(within()) == b"all"


def test_send_raises_if_the_pipe_is_closed(start):
    ends = start(r"os.close(REQUESTS); os.write(REPLIES, b'closed\n'); time.sleep(600)")
    ends.receive(within())
    with pytest.raises(Ended):
        ends.send(b"x" * (1 << 20), within())


def test_endless_line_is_too_long(start, monkeypatch):
    monkeypatch.setattr(pipes, "MOST_BYTES", 1 << 18)
    with pytest.raises(TooLong):
        start("while True: os.write(REPLIES, b'x' * 65536)").receive(within())


@pytest.mark.parametrize("code", ["os._exit(3)", "os.closerange(0, 256); time.sleep(600)"])
def test_end_of_process_or_pipe_ends_the_wait(start, code):
    with pytest.raises(Ended):
        start(code).receive(within())


def test_end_of_process_is_seen_though_a_child_keeps_the_pipe(start):
    with pytest.raises(Ended):
        start("time.sleep(600) if os.fork() == 0 else os._exit(1)").receive(within())


def test_output_before_the_end_is_received(start):
    ends = start(r"os.write(REPLIES, b'a last word\n') and os._exit(1)")
    assert ends.receive(within()) == b"a last word"
    with pytest.raises(Ended):
        ends.receive(within())


def test_stray_output_is_seen(start):
    ends = start(r"os.write(REPLIES, b'asked\nnot asked'); os.read(REQUESTS, 1)")
    assert ends.receive(within()) == b"asked"
    assert ends.stray() == b"not asked"
    assert start("time.sleep(600)").stray() == b""
