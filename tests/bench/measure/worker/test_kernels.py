"""The kernels that loaded libraries run, as they report them."""

from __future__ import annotations

import platform
import sys
from types import SimpleNamespace

import pytest

from bench.measure.client import ProcessWorker, Setting
from bench.measure.worker import kernels
from bench.plan.cells import Contender

SITE = "/venv/lib/python3.11/site-packages"


def library(folder, api="openblas", architecture="SkylakeX"):
    return {"internal_api": api, "architecture": architecture, "filepath": f"{folder}/lib.so"}


@pytest.mark.parametrize(
    ("library", "kernel_names"),
    [
        (library(f"{SITE}/numpy.libs"), {"NumPy's OpenBLAS": "SkylakeX"}),
        (library(f"{SITE}/numpy/.dylibs"), {"NumPy's OpenBLAS": "SkylakeX"}),
        (library(f"{SITE}/scipy.libs"), {"SciPy's OpenBLAS": "SkylakeX"}),
        (library(f"{SITE}/torch/lib"), {"PyTorch's OpenBLAS": "SkylakeX"}),
        (library("/home/numpy/conda/lib"), {"OpenBLAS": "SkylakeX"}),
        (library("/usr/lib", "blis", "zen3"), {"BLIS": "zen3"}),
        (library("/usr/lib", "mkl", None), {"MKL": "unknown"}),
        (library(f"{SITE}/torch/lib", "openmp"), {}),
    ],
)
def test_libraries_are_named_by_their_package(monkeypatch, library, kernel_names):
    monkeypatch.setattr(kernels, "_libraries", lambda: [library])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert kernels.in_force() == kernel_names


def test_prescott_kernels_of_openblas_are_named(monkeypatch):
    monkeypatch.setattr(kernels, "_libraries", lambda: [library(f"{SITE}/numpy.libs", architecture="Katmai")])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert kernels.in_force() == {"NumPy's OpenBLAS": "Prescott"}


def test_libraries_of_one_name_have_both_kernels(monkeypatch):
    both = [library("/a", architecture="Zen"), library("/b", architecture="Haswell"), library("/c", architecture="Zen")]
    monkeypatch.setattr(kernels, "_libraries", lambda: both)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert kernels.in_force() == {"OpenBLAS": "Haswell, Zen"}


def test_pytorch_reports_its_own_capability(monkeypatch):
    monkeypatch.setattr(kernels, "_libraries", lambda: [])
    cpu = SimpleNamespace(get_cpu_capability=lambda: "AVX2")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(backends=SimpleNamespace(cpu=cpu)))
    assert kernels.in_force() == {"PyTorch": "AVX2"}
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(backends=SimpleNamespace()))
    assert kernels.in_force() == {}


def test_no_kernels_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert kernels.in_force() == {}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="Prescott is a processor of x86-64")
def test_real_worker_records_the_kernel_of_its_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    worker = ProcessWorker(Setting(Contender("numpy", "cpu", "float32"), 1, 60, tmp_path / "log"))
    try:
        details = worker.ask("start")["details"]
    finally:
        worker.close()
    if "openblas" not in details["blas"]:
        pytest.skip(f"NumPy has {details['blas']} here")
    assert details["environment"]["OPENBLAS_CORETYPE"] == "Prescott"
    assert "Prescott" in details["kernels"].values()
