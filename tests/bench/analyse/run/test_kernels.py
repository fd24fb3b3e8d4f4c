"""Tests of the kernels that a contender uses, and of those that its processor could use."""

from __future__ import annotations

import pytest

from bench.analyse.run import kernels
from bench.analyse.run.kernels import Slower

NUMPYS, SCIPYS, TORCHS = "NumPy's OpenBLAS", "SciPy's OpenBLAS", "PyTorch"


def details_with(**kernels_and_environment):
    return {"kernels": {}, "environment": {}} | kernels_and_environment


def test_only_libraries_of_the_backend_are_used():
    loaded = details_with(kernels={NUMPYS: "Zen", SCIPYS: "Zen", TORCHS: "AVX2", "OpenBLAS": "Zen"})
    assert kernels.used("numpy", loaded).keys() == {NUMPYS, "OpenBLAS"}
    assert kernels.used("torch", loaded).keys() == {TORCHS, "OpenBLAS"}
    assert kernels.used("jax", loaded) == {}
    assert kernels.used("someones_own", loaded) == loaded["kernels"]


def test_run_without_recorded_kernels_has_none():
    assert kernels.used("numpy", {}) == {}
    assert kernels.in_words("numpy", {"kernels": {NUMPYS: "Zen"}}) == "NumPy's OpenBLAS Zen"
    assert kernels.slower("numpy", {}, "AVX-512") == []


@pytest.mark.parametrize(
    ("backend", "library", "kernel", "offered"),
    [
        ("numpy", NUMPYS, "Prescott", "AVX-512"),
        ("numpy", NUMPYS, "Haswell", "AVX-512"),
        ("numpy", NUMPYS, "Zen", "AVX-512"),
        ("numpy", NUMPYS, "Nehalem", "AVX2"),
        ("numpy", "BLIS", "zen3", "AVX-512"),
        ("numpy", "OpenBLAS", "generic", "SSE3"),
        ("numpy", NUMPYS, "ARMV8", "SVE"),
        ("numpy", NUMPYS, "generic", "NEON"),
        ("torch", TORCHS, "DEFAULT", "AVX2"),
        ("torch", TORCHS, "AVX2", "AVX-512"),
    ],
)
def test_kernels_below_the_processor_are_named(backend, library, kernel, offered):
    [slower] = kernels.slower(backend, details_with(kernels={library: kernel}), offered)
    assert (slower.library, slower.offered, slower.cause) == (library, offered, "")
    assert kernel in slower.runs


@pytest.mark.parametrize(
    ("backend", "library", "kernel", "offered"),
    [
        ("numpy", NUMPYS, "SkylakeX", "AVX-512"),
        ("numpy", NUMPYS, "Cooperlake", "AVX-512"),
        ("numpy", NUMPYS, "Haswell", "AVX2"),
        ("numpy", NUMPYS, "SkylakeX", "AVX2"),
        ("numpy", NUMPYS, "neoversev1", "SVE"),
        ("numpy", NUMPYS, "ARMV8", "NEON"),
        ("numpy", NUMPYS, "NewName", "AVX-512"),
        ("numpy", "MKL", "unknown", "AVX-512"),
        ("numpy", NUMPYS, "Prescott", None),
        ("torch", TORCHS, "AVX512", "AVX-512"),
        ("torch", TORCHS, "DEFAULT", "AVX"),  # PyTorch has none for this processor
        ("torch", TORCHS, "DEFAULT", "NEON"),
        ("torch", NUMPYS, "Prescott", "AVX-512"),
        ("jax", SCIPYS, "Prescott", "AVX-512"),
    ],
)
def test_best_and_unknown_kernels_are_not_named(backend, library, kernel, offered):
    assert kernels.slower(backend, details_with(kernels={library: kernel}), offered) == []


@pytest.mark.parametrize(
    ("backend", "library", "kernel", "name", "value"),
    [
        ("numpy", NUMPYS, "Prescott", "OPENBLAS_CORETYPE", "Prescott"),
        ("numpy", "BLIS", "haswell", "BLIS_ARCH_TYPE", "haswell"),
        ("torch", TORCHS, "DEFAULT", "ATEN_CPU_CAPABILITY", "default"),
    ],
)
def test_variable_that_sets_a_kernel_is_named(backend, library, kernel, name, value):
    [slower] = kernels.slower(backend, details_with(kernels={library: kernel}, environment={name: value}), "AVX-512")
    assert slower.cause == f"{name}={value}"


@pytest.mark.parametrize(
    ("backend", "name", "value", "library", "runs"),
    [
        ("jax", "XLA_FLAGS", "--xla_x=1 --xla_cpu_max_isa=AVX2", "XLA", "at most AVX2"),
        ("jax", "XLA_FLAGS", "--xla_cpu_max_isa=sse4_2", "XLA", "at most SSE4.2"),
        ("jax", "XLA_FLAGS", "--xla_cpu_max_isa=AVX512 --xla_cpu_max_isa=AVX2", "XLA", "at most AVX2"),
        ("torch", "ONEDNN_MAX_CPU_ISA", "AVX2", "PyTorch's oneDNN", "at most AVX2"),
        ("torch", "DNNL_MAX_CPU_ISA", "SSE41", "PyTorch's oneDNN", "at most SSE4.2"),
        ("torch", "MKL_ENABLE_INSTRUCTIONS", "SSE4_2", "MKL", "at most SSE4.2"),
        ("torch", "MKL_CBWR", "COMPATIBLE", "MKL", "at most SSE3"),
        ("torch", "MKL_CBWR", "AVX2,STRICT", "MKL", "at most AVX2"),
    ],
)
def test_limits_on_other_libraries_are_named(backend, name, value, library, runs):
    slower = kernels.slower(backend, details_with(environment={name: value}), "AVX-512")
    assert slower == [Slower(library, runs, "AVX-512", f"{name}={value}")]


@pytest.mark.parametrize(
    ("backend", "name", "value"),
    [
        ("jax", "XLA_FLAGS", "--xla_cpu_max_isa=AVX512"),
        ("jax", "XLA_FLAGS", "--xla_cpu_max_isa=AVX2 --xla_cpu_max_isa=AVX512"),  # of several the last is in force
        ("jax", "XLA_FLAGS", "--xla_cpu_enable_fast_math=true"),
        ("numpy", "XLA_FLAGS", "--xla_cpu_max_isa=AVX2"),
        ("torch", "ONEDNN_MAX_CPU_ISA", "ALL"),
        ("torch", "ONEDNN_MAX_CPU_ISA", "AVX512_CORE"),
        ("torch", "MKL_CBWR", "AUTO"),
        ("numpy", "MKL_CBWR", "COMPATIBLE"),
    ],
)
def test_limits_without_effect_are_not_named(backend, name, value):
    assert kernels.slower(backend, details_with(environment={name: value}), "AVX-512") == []


def test_numpy_with_mkl_is_limited_by_mkl_variables():
    slower = kernels.slower("numpy", details_with(kernels={"MKL": "unknown"}, environment={"MKL_CBWR": "AVX"}), "AVX2")
    assert slower == [Slower("MKL", "at most AVX", "AVX2", "MKL_CBWR=AVX")]


def test_numpy_loops_can_be_limited():
    [slower] = kernels.slower("numpy", details_with(environment={"NPY_DISABLE_CPU_FEATURES": "AVX2"}), "AVX-512")
    assert slower.cause == "NPY_DISABLE_CPU_FEATURES=AVX2"
