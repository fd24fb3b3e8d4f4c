"""Which matrix kernels a contender's processes ran, and whether the processor offers more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.measure import instructions

OWNERS = {"numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}
WITHOUT_BLAS = ("jax", "cupy")
"""Backends that bring kernels of their own."""
PYTORCH = {"DEFAULT": instructions.SSE, "NO AVX": instructions.SSE, "AVX2": instructions.AVX2}
"""What PyTorch's kernels are written for, by its name for them; its best are for AVX-512."""
OPENBLAS_SETTINGS = ("OPENBLAS_CORETYPE",)
BLIS_SETTINGS = ("BLIS_ARCH_TYPE",)
MKL_SETTINGS = ("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "MKL_CBWR_BRANCH")
ONEDNN_SETTINGS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
XLA_LIMIT = re.compile(r"--?xla_cpu_max_isa=(\w+)", re.IGNORECASE)
LIMITS = {
    **dict.fromkeys(("COMPATIBLE", "SSE2", "SSSE3", "SSE3"), instructions.SSE),
    **dict.fromkeys(("SSE41", "SSE4_1", "SSE42", "SSE4_2"), instructions.SSE4),
    **dict.fromkeys(("AVX", "AVX_E1"), instructions.AVX),
    **dict.fromkeys(("AVX2", "AVX2_E1", "AVX2_VNNI", "AVX2_VNNI_2"), instructions.AVX2),
}
"""What MKL, oneDNN and XLA are limited to, by their names for it; others are AVX-512 or no limit."""


@dataclass(frozen=True)
class Slower:
    """A library that computes with less than the processor offers."""

    library: str
    runs: str
    """What it runs, in words."""
    offered: str
    """The instructions that the processor has."""
    cause: str
    """`NAME=value`, or empty where nothing in the environment causes it."""


def used(backend: str, details: Mapping[str, Any]) -> dict[str, str]:
    """By library, the kernels that a backend's products run on."""
    told: Mapping[str, str] = details.get("kernels") or {}
    return {library: kernel for library, kernel in told.items() if _uses(backend, library)}


def in_words(backend: str, details: Mapping[str, Any]) -> str:
    """`NumPy's OpenBLAS SkylakeX`; empty where nothing is known."""
    return ", ".join(f"{library} {kernel}" for library, kernel in used(backend, details).items())


def slower(backend: str, details: Mapping[str, Any], offered: str | None) -> list[Slower]:
    """What of a host contender's process runs with less than its processor offers, an instruction set."""
    if offered is None:
        return []
    return [*_kernels(backend, details, offered), *_limited(backend, details, offered)]


def _kernels(backend: str, details: Mapping[str, Any], offered: str) -> Iterator[Slower]:
    """Those that libraries report themselves."""
    for library, kernel in used(backend, details).items():
        if library == "PyTorch":
            written, names = PYTORCH.get(kernel), ("ATEN_CPU_CAPABILITY",)
            lacking = offered in (instructions.AVX2, instructions.AVX512) and instructions.is_below(written, offered)
        else:
            written = instructions.of_kernel(kernel)
            names = BLIS_SETTINGS if library.endswith("BLIS") else OPENBLAS_SETTINGS
            lacking = kernel.lower() == instructions.GENERIC or instructions.is_below(written, offered)
        if lacking:
            names_it = written is None or library == "PyTorch"  # whose names are those of instruction sets
            named = f"the {kernel} kernels" + ("" if names_it else f" ({written})")
            yield Slower(library, named, offered, _cause(details, names))


def _limited(backend: str, details: Mapping[str, Any], offered: str) -> Iterator[Slower]:
    """Those that do not report what they run, by what the environment limits them to."""
    variables: Mapping[str, str] = details.get("environment") or {}
    has_mkl = backend == "torch" or any(library.endswith("MKL") for library in used(backend, details))
    limits = [("MKL", name, variables.get(name, "").partition(",")[0]) for name in MKL_SETTINGS if has_mkl]
    if backend == "torch":
        limits += [("PyTorch's oneDNN", name, variables.get(name, "")) for name in ONEDNN_SETTINGS]
    if backend == "jax":
        limits += [("XLA", "XLA_FLAGS", limit) for limit in XLA_LIMIT.findall(variables.get("XLA_FLAGS", ""))[-1:]]
    for library, name, limit in limits:
        written = LIMITS.get(limit.upper())
        if instructions.is_below(written, offered):
            yield Slower(library, f"at most {written}", offered, f"{name}={variables[name]}")
    if backend == "numpy" and variables.get("NPY_DISABLE_CPU_FEATURES"):
        cause = f"NPY_DISABLE_CPU_FEATURES={variables['NPY_DISABLE_CPU_FEATURES']}"
        yield Slower("NumPy", "its own loops without some of the instructions", offered, cause)


def _uses(backend: str, library: str) -> bool:
    """A library of another package is loaded beside a backend, but computes nothing for it. A class of someone's own
    may use any."""
    owner = next((name for name, owner in OWNERS.items() if library == owner or library.startswith(f"{owner}'s ")), "")
    if owner:
        return owner == backend or (backend not in OWNERS and backend not in WITHOUT_BLAS)
    return backend not in WITHOUT_BLAS


def _cause(details: Mapping[str, Any], names: tuple[str, ...]) -> str:
    variables: Mapping[str, str] = details.get("environment") or {}
    return next((f"{name}={variables[name]}" for name in names if name in variables), "")
