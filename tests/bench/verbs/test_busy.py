"""Verbs that measure while another run measures on this machine."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import signals

ROOT = Path(__file__).parents[3]
VERBS = [["calibrate"], ["ab", "--base", ".", "--head", ".", "--grid", "smoke"]]
BUSY = "another run measures on this machine"


@pytest.fixture
def run(tmp_path):
    """A function that starts a verb while the machine's lock is taken."""
    lock = tmp_path / "busy.lock"
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lambda *verb: subprocess.Popen(
            [sys.executable, "-m", "bench", *verb, "--results", str(tmp_path / "results")],
            cwd=ROOT,
            env=os.environ | {"RELUBENCH_LOCK": str(lock)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=signals.heard,
        )


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_when_busy_fail_gives_one_line(run, verb):
    process = run(*verb, "--when-busy", "fail")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.splitlines()[-1].startswith(f"python -m bench {verb[0]}: {BUSY}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_waiting_verb_ends_by_a_signal(run, verb, number):
    process = run(*verb)
    for line in process.stdout:
        if BUSY in line:
            process.send_signal(number)
            break
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.splitlines()[-1] == f"python -m bench {verb[0]}: interrupted"
