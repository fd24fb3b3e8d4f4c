"""Which matrix kernels a contender's processes ran, and whether the processor has better instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.measure import instructions

OWNERS = {"numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}
WITHOUT_BLAS = ("jax", "cupy")
"""The backends that have kernels of their own."""
PYTORCH = {"DEFAULT": instructions.SSE, "NO AVX": instructions.SSE, "AVX2": instructions.AVX2}
"""The instruction sets of PyTorch's kernels, by its names for them; its best kernels are for AVX-512."""
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
"""The instruction sets to which MKL, oneDNN and XLA are limited, by their names; others are AVX-512 or no limit."""


@dataclass(frozen=True)
class Slower:
    """A library that does not use all of the processor's instructions."""

    library: str
    runs: str
    """A description of the kernels that it runs."""
    offered: str
    """The processor's instruction set."""
    cause: str
    """The environment variable that causes it, `NAME=value`; empty where none does."""


def used(backend: str, details: Mapping[str, Any]) -> dict[str, str]:
    """Return the kernels that a backend's products run on, by library."""
    kernels: Mapping[str, str] = details.get("kernels") or {}
    return {library: kernel for library, kernel in kernels.items() if _uses(backend, library)}


def in_words(backend: str, details: Mapping[str, Any]) -> str:
    """Return the kernels like `NumPy's OpenBLAS SkylakeX`; empty where they are not known."""
    return ", ".join(f"{library} {kernel}" for library, kernel in used(backend, details).items())


def slower(backend: str, details: Mapping[str, Any], offered: str | None) -> list[Slower]:
    """Return the libraries of a host contender's process that use less than the processor's instruction set."""
    if offered is None:
        return []
    return [*_kernels(backend, details, offered), *_limited(backend, details, offered)]


def _kernels(backend: str, details: Mapping[str, Any], offered: str) -> Iterator[Slower]:
    """Return the slower libraries among those that report their kernels."""
    for library, kernel in used(backend, details).items():
        if library == "PyTorch":
            written, names = PYTORCH.get(kernel), ("ATEN_CPU_CAPABILITY",)
            lacking = offered in (instructions.AVX2, instructions.AVX512) and instructions.is_below(written, offered)
        else:
            written = instructions.of_kernel(kernel)
            names = BLIS_SETTINGS if library.endswith("BLIS") else OPENBLAS_SETTINGS
            lacking = kernel.lower() == instructions.GENERIC or instructions.is_below(written, offered)
        if lacking:
            is_instruction_set = written is None or library == "PyTorch"
            named = f"the {kernel} kernels" + ("" if is_instruction_set else f" ({written})")
            yield Slower(library, named, offered, _cause(details, names))


def _limited(backend: str, details: Mapping[str, Any], offered: str) -> Iterator[Slower]:
    """Return the slower libraries that do not report their kernels, by the limits that the environment sets."""
    variables: Mapping[str, str] = details.get("environment") or {}
    has_mkl = backend == "torch" or any(library.endswith("MKL") for library in used(backend, details))
    isa_limits = [("MKL", name, variables.get(name, "").partition(",")[0]) for name in MKL_SETTINGS if has_mkl]
    if backend == "torch":
        isa_limits += [("PyTorch's oneDNN", name, variables.get(name, "")) for name in ONEDNN_SETTINGS]
    if backend == "jax":
        isa_limits += [("XLA", "XLA_FLAGS", name) for name in XLA_LIMIT.findall(variables.get("XLA_FLAGS", ""))[-1:]]
    for library, name, isa in isa_limits:
        written = LIMITS.get(isa.upper())
        if instructions.is_below(written, offered):
            yield Slower(library, f"at most {written}", offered, f"{name}={variables[name]}")
    if backend == "numpy" and variables.get("NPY_DISABLE_CPU_FEATURES"):
        cause = f"NPY_DISABLE_CPU_FEATURES={variables['NPY_DISABLE_CPU_FEATURES']}"
        yield Slower("NumPy", "its own loops without some of the instructions", offered, cause)


def _uses(backend: str, library: str) -> bool:
    """Return whether a backend computes with a library. It does not with another package's, which is merely loaded too;
    a user's own class may use any."""
    owner = next((name for name, owner in OWNERS.items() if library == owner or library.startswith(f"{owner}'s ")), "")
    if owner:
        return owner == backend or (backend not in OWNERS and backend not in WITHOUT_BLAS)
    return backend not in WITHOUT_BLAS


def _cause(details: Mapping[str, Any], names: tuple[str, ...]) -> str:
    variables: Mapping[str, str] = details.get("environment") or {}
    return next((f"{name}={variables[name]}" for name in names if name in variables), "")
