"""Facts about the machine, found without a backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest

from bench.measure import machine, processors
from bench.measure.client import ROOT
from bench.plan.plan import Machine


@pytest.mark.parametrize(
    ("count", "platform", "architecture", "accelerators"),
    [
        (0, "linux", "x86_64", ()),
        (1, "linux", "x86_64", ("cuda",)),
        (3, "linux", "aarch64", ("cuda:0", "cuda:1", "cuda:2")),
        (0, "darwin", "arm64", ("mps",)),
        (0, "darwin", "x86_64", ()),
        (1, "win32", "AMD64", ("cuda",)),
    ],
)
def test_accelerators_have_device_names(monkeypatch, count, platform, architecture, accelerators):
    monkeypatch.setattr(machine, "_cuda_devices", lambda: count)
    monkeypatch.setattr(machine.sys, "platform", platform)
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    assert machine.accelerators() == accelerators


class Driver:
    """A stand-in for NVIDIA's driver as ctypes loads it."""

    def __init__(self, devices, result=0):
        self.devices, self.result = devices, result

    def cuInit(self, flags):  # noqa: N802
        return self.result

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = self.devices
        return 0


@pytest.mark.parametrize(("driver", "count"), [(Driver(2), 2), (Driver(0), 0), (Driver(2, result=100), 0), (None, 0)])
def test_gpus_are_counted_by_their_driver(monkeypatch, driver, count):
    def load(name):
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    monkeypatch.setattr(machine.ctypes, "CDLL", load)
    assert machine._cuda_devices() == count


def test_usable_processors_are_those_of_affinity_and_quota(monkeypatch):
    assert 1 <= machine.usable_processors() <= (psutil.cpu_count() or 1)
    monkeypatch.setattr(processors, "affinity", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(processors, "quota", lambda root: None)
    assert machine.usable_processors() == 4
    monkeypatch.setattr(processors, "quota", lambda root: 2.5)
    assert machine.usable_processors() == machine.here().cpus == machine.describe()["usable_processors"] == 2


def test_usable_processors_without_affinity(monkeypatch):
    monkeypatch.delattr(processors.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(processors, "quota", lambda root: None)
    assert machine.usable_processors() == os.cpu_count()


def test_fingerprint_includes_a_quota_that_leaves_less():
    facts = {"cpu": "Model Processor", "usable_processors": 1, "affinity": 2}
    usual = machine.fingerprint(facts)
    assert machine.fingerprint({**facts, "quota": None}) == machine.fingerprint({**facts, "quota": 2.0}) == usual
    assert machine.fingerprint({**facts, "quota": 1.5}) != usual != machine.fingerprint({**facts, "quota": 1.0})


def test_overridden_variables_are_a_fact(monkeypatch):
    monkeypatch.setenv("JAX_DEBUG_NANS", "1")
    assert machine.describe()["overridden"]["JAX_DEBUG_NANS"] == "1"


def test_here_is_a_plan_s_machine():
    plan_machine = machine.here()
    assert isinstance(plan_machine, Machine)
    assert (plan_machine.cpus, plan_machine.accelerators) == (machine.usable_processors(), machine.accelerators())


def test_description_is_plain_and_complete():
    described = machine.describe()
    assert json.loads(json.dumps(described)) == described
    assert described["cpu"]
    assert described["memory_bytes"] > 2**20
    assert described["usable_processors"] <= described["processors"]
    assert described["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert described.keys() >= {"host", "architecture", "system", "accelerators", "relubench", "source", "megahertz"}
    assert described.keys() >= {"affinity", "quota", "usable_cores", "governor", "turbo", "swap_bytes", "instructions"}
    assert described["load"] >= 0
    assert "driver" in described


@pytest.mark.parametrize(
    ("script", "version"),
    [("echo 580.82.07; echo 580.82.07", "580.82.07"), ("echo no devices; exit 9", None), ("true", None), (None, None)],
)
def test_driver_version_is_from_its_own_tool(monkeypatch, tmp_path, script, version):
    if script:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._driver() == version


def test_revision_is_empty_without_git(monkeypatch, tmp_path):
    assert machine._revision(tmp_path) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine._revision(ROOT) == ""


def test_version_of_a_missing_distribution():
    assert machine._version("no-such-distribution-of-relubench") == "not installed"


def test_describing_imports_no_backend():
    code = """if True:
        import sys
        from bench.measure import machine
        machine.here(), machine.describe()
        assert not {"torch", "jax", "cupy", "pandas"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
