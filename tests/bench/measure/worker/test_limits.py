"""What must be set before a framework is imported: thread limits, settings, and dying with the parent."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.measure.client import ROOT, ProcessWorker, Setting
from bench.measure.worker import limits
from bench.plan.cells import Contender

SEEN_AT_IMPORT = """
import os
from implementations.numpy_ import Net

NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC", "CUPY_TF32", "XLA_PYTHON_CLIENT_PREALLOCATE")
SEEN = ",".join(os.environ.get(name, "unset") for name in NAMES)
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


class Seeing(Net):
    @classmethod
    def device_name(cls, device):
        return f"{SEEN};{PROCESSORS}"
"""


def test_environment_limits_threads_and_sets_float32():
    environment = limits.environment(3)
    assert {environment[name] for name in limits.THREAD_VARIABLES} == {"3"}
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"} <= environment.keys()
    assert environment["NVIDIA_TF32_OVERRIDE"] == environment["CUPY_TF32"] == "0"
    assert all(isinstance(value, str) for value in environment.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_settings_precede_the_import_of_the_class(tmp_path, monkeypatch, threads):
    for name in limits.THREAD_VARIABLES:
        monkeypatch.setenv(name, "7")
    (tmp_path / "seeing.py").write_text(SEEN_AT_IMPORT)
    contender = Contender("seeing:Seeing", "cpu", "float32", threads)
    worker = ProcessWorker(Setting(contender, threads, 60, tmp_path / "log", path=[str(tmp_path)]))
    try:
        seen, processors = worker.ask("start")["device_name"].split(";")
    finally:
        worker.close()
    assert seen == f"{threads},{threads},{threads},0,false"
    if hasattr(os, "sched_getaffinity"):
        assert int(processors) == min(threads, len(os.sched_getaffinity(0)))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity of processes")
def test_processors_are_only_ever_reduced():
    code = """if True:
        import os
        from bench.measure.worker import limits
        had = os.sched_getaffinity(0)
        limits.limit_processors(10_000)
        assert os.sched_getaffinity(0) == had
        limits.limit_processors(1)
        assert len(os.sched_getaffinity(0)) == 1
        assert os.sched_getaffinity(0) < had or len(had) == 1
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_stopped_worker_dies_with_its_parent(tmp_path):
    code = f"""if True:
        import time
        from pathlib import Path
        from bench.measure.client import ProcessWorker, Setting
        from bench.plan.cells import Contender

        setting = Setting(Contender("numpy", "cpu", "float32"), 1, 60, Path({str(tmp_path / "log")!r}))
        worker = ProcessWorker(setting)
        worker.ask("start")
        worker.suspend()
        print(worker._process.pid, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        try:
            worker = psutil.Process(int(parent.stdout.readline()))
            assert becomes(worker, psutil.STATUS_STOPPED)
        finally:
            parent.kill()
            parent.wait()
    # A process that has ended may remain until it is waited for.
    assert becomes(worker, psutil.STATUS_ZOMBIE, GONE)


GONE = "gone"


def becomes(process: psutil.Process, *wanted: str) -> bool:
    """Tell whether a process gets into one of these states within ten seconds: signals take effect a little later."""
    for _ in range(500):
        try:
            status = process.status()
        except psutil.NoSuchProcess:
            status = GONE
        if status in wanted:
            return True
        time.sleep(0.02)
    return False


def test_die_with_parent_does_nothing_elsewhere(monkeypatch):
    monkeypatch.setattr(limits.sys, "platform", "darwin")
    monkeypatch.setattr(limits.ctypes, "CDLL", lambda name: pytest.fail("prctl is Linux's"))
    limits.die_with_parent()


def test_limits_import_only_the_standard_library():
    source = Path(limits.__file__).read_text()
    imported = {line.split()[1] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert imported - {"__future__"} <= sys.stdlib_module_names
