"""Which kernels the loaded matrix libraries run: their own name of the processor that they compute for."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Any

OWNERS = {"numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}
"""By the folder of a wheel, which has its libraries in `numpy.libs`, `numpy/.dylibs` or `torch/lib`; any other library
may be everyone's."""
LIBRARIES = {"openblas": "OpenBLAS", "blis": "BLIS", "mkl": "MKL", "flexiblas": "FlexiBLAS"}
PRESCOTT = {"Katmai", "Coppermine", "Northwood", "Banias"}
"""OpenBLAS's dynamic.c has these names for its Prescott kernels on x86-64, and reports the first of them."""


def in_force() -> dict[str, str]:
    """By library, as in `NumPy's OpenBLAS`, its kernel; empty where nothing can be known."""
    told: dict[str, list[str]] = {}
    for library in _libraries():
        name = LIBRARIES.get(str(library.get("internal_api")))
        if name:
            owner = next((OWNERS[part] for part in _folders(library) if part in OWNERS), "")
            kernel = str(library.get("architecture") or "unknown")
            told.setdefault(f"{owner}'s {name}" if owner else name, []).append(
                "Prescott" if kernel in PRESCOTT else kernel
            )
    kernels = {name: ", ".join(sorted(set(found))) for name, found in sorted(told.items())}
    return kernels | _of_torch()


def _libraries() -> list[dict[str, Any]]:
    """A worker may run under an interpreter that has no threadpoolctl, and is measured all the same."""
    try:
        from threadpoolctl import threadpool_info

        return list(threadpool_info())
    except Exception:
        return []


def _folders(library: dict[str, Any]) -> list[str]:
    """The two innermost, as the wheels are called."""
    path = PurePath(str(library.get("filepath", "")))
    return [folder.name.removesuffix(".libs") for folder in path.parents][:2]


def _of_torch() -> dict[str, str]:
    """PyTorch chooses its own kernels, whichever BLAS it has."""
    torch = sys.modules.get("torch")
    try:
        return {"PyTorch": str(torch.backends.cpu.get_cpu_capability())} if torch else {}
    except AttributeError:
        return {}
