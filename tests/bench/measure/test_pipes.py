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
"""A test that waits so long hangs."""


@pytest.fixture(params=["pidfd", "polling"])
def start(request, monkeypatch):
    """Return a function that starts Python code with both pipes, where its end can and cannot be waited for."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    started = []

    def of(code):
        (its_requests, our_requests), (our_replies, its_replies) = os.pipe(), os.pipe()
        code = code.replace("REQUESTS", str(its_requests)).replace("REPLIES", str(its_replies))
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os, time\n{code}"],
            pass_fds=(its_requests, its_replies),
            start_new_session=True,
        )
        os.close(its_requests)
        os.close(its_replies)
        started.append((process, Pipes(our_requests, our_replies, process)))
        return started[-1][1]

    yield of
    for process, worker_pipes in started:
        os.killpg(process.pid, 9)
        process.wait()
        worker_pipes.close()


def deadline(seconds=GUARD_SECONDS):
    return time.monotonic() + seconds


def test_lines_are_received_one_by_one(start):
    worker_pipes = start(r"os.write(REPLIES, b'one\ntw'); os.write(REPLIES, b'o\n'); os.read(REQUESTS, 1)")
    assert [worker_pipes.receive(deadline()), worker_pipes.receive(deadline())] == [b"one", b"two"]


def test_receive_raises_at_the_deadline(start):
    with pytest.raises(TooLate):
        start("os.write(REPLIES, b'half a line'); time.sleep(600)").receive(deadline(0.3))


def test_slow_answer_is_too_late(start):
    with pytest.raises(TooLate):
        start("while True: os.write(REPLIES, b'x'); time.sleep(0.01)").receive(deadline(0.5))


def test_send_does_not_block_if_nothing_reads(start):
    with pytest.raises(TooLate):
        start("time.sleep(600)").send(b"x" * (1 << 20), deadline(0.3))


def test_long_request_is_sent_in_full(start):
    worker_pipes = start(
        r"n = 0" "\nwhile n < 1 << 20: n += len(os.read(REQUESTS, 1 << 16))" "\nos.write(REPLIES, b'all\\n')"
    )
    worker_pipes.send(b"x" * (1 << 20), deadline())
    assert worker_pipes.receive(deadline()) == b"all"


def test_send_raises_if_the_pipe_is_closed(start):
    worker_pipes = start(r"os.close(REQUESTS); os.write(REPLIES, b'closed\n'); time.sleep(600)")
    worker_pipes.receive(deadline())
    with pytest.raises(Ended):
        worker_pipes.send(b"x" * (1 << 20), deadline())


def test_endless_line_is_too_long(start, monkeypatch):
    monkeypatch.setattr(pipes, "MOST_BYTES", 1 << 18)
    with pytest.raises(TooLong):
        start("while True: os.write(REPLIES, b'x' * 65536)").receive(deadline())


@pytest.mark.parametrize("code", ["os._exit(3)", "os.closerange(0, 256); time.sleep(600)"])
def test_end_of_process_or_pipe_ends_the_wait(start, code):
    with pytest.raises(Ended):
        start(code).receive(deadline())


def test_end_of_process_is_seen_though_a_child_keeps_the_pipe(start):
    with pytest.raises(Ended):
        start("time.sleep(600) if os.fork() == 0 else os._exit(1)").receive(deadline())


def test_output_before_the_end_is_received(start):
    worker_pipes = start(r"os.write(REPLIES, b'a last word\n') and os._exit(1)")
    assert worker_pipes.receive(deadline()) == b"a last word"
    with pytest.raises(Ended):
        worker_pipes.receive(deadline())


def test_stray_output_is_seen(start):
    worker_pipes = start(r"os.write(REPLIES, b'asked\nnot asked'); os.read(REQUESTS, 1)")
    assert worker_pipes.receive(deadline()) == b"asked"
    assert worker_pipes.stray() == b"not asked"
    assert start("time.sleep(600)").stray() == b""
