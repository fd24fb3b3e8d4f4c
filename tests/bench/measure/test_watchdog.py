"""A run's processes end when the run itself is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from bench.measure import client

GUARD_SECONDS = 30.0
CONTENDER = """
import ctypes, os, subprocess, sys
from implementations.numpy_ import Net as Numpy

if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 0)  # the kernel no longer ends this process with its parent, as on other systems


class Net(Numpy):
    def forward(self):
        super().forward()
        children = [
            subprocess.Popen(["sleep", "600"]),
            subprocess.Popen(["sleep", "600"], start_new_session=True),
            subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"]}, process_group=0),
        ]
        with open(os.environ["PIDS"], "a") as file:
            print(os.getpid(), *(child.pid for child in children), file=file)
"""
RUN = """
import sys, time
from pathlib import Path
from bench.measure import processes
from bench.measure.client import ProcessWorker, Setting
from bench.plan.cells import Contender

folder = Path(sys.argv[1])
setting = Setting(Contender("leaving:Net", "cpu", "float32"), 1, 60, folder / "log", path=[str(folder)])
worker = ProcessWorker(setting)
worker.ask("start")
worker.ask("prepare", shape=[2, 3, 2, 1], phases=["forward"], steps=1, check=False)
(folder / "temporary").mkdir()
(folder / "temporary" / "file").write_text("")
processes.remove_in_the_end(folder / "temporary")
if sys.argv[2] == "stopped":
    worker.suspend()
print("ready", flush=True)
time.sleep(600)
"""


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("state", ["awake", "stopped"])
def test_workers_of_a_killed_run_end_with_their_children_and_its_folder_is_removed(tmp_path, state):
    (tmp_path / "leaving.py").write_text(CONTENDER)
    pids = tmp_path / "pids"
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path), state],
        cwd=client.ROOT,
        env=os.environ | {"PIDS": str(pids)},
        stdout=subprocess.PIPE,
    )
    assert run.stdout
    assert run.stdout.readline() == b"ready\n"
    processes = [int(pid) for pid in pids.read_text().split()]
    try:
        assert len(processes) == 4
        assert all(is_running(pid) for pid in processes)
        assert (tmp_path / "temporary" / "file").exists()
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        end = time.monotonic() + GUARD_SECONDS
        while (running := [pid for pid in processes if is_running(pid)]) and time.monotonic() < end:
            time.sleep(0.05)
        assert running == []
        while (tmp_path / "temporary").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert not (tmp_path / "temporary").exists()
    finally:
        run.kill()
        run.stdout.close()
        for pid in filter(is_running, processes):
            os.kill(pid, signal.SIGKILL)
