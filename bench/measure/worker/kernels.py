"""Find which kernels the loaded matrix libraries run, by the libraries' names of processors."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import Any

OWNERS = {"numpy": "NumPy", "scipy": "SciPy", "torch": "PyTorch"}
"""Packages by the folder of their wheel, whose libraries are in `numpy.libs`, `numpy/.dylibs` or `torch/lib`; a library
elsewhere may be shared."""
LIBRARIES = {"openblas": "OpenBLAS", "blis": "BLIS", "mkl": "MKL", "flexiblas": "FlexiBLAS"}
PRESCOTT = {"Katmai", "Coppermine", "Northwood", "Banias"}
"""OpenBLAS's dynamic.c uses these names for its Prescott kernels on x86-64, and reports the first of them."""


def in_force() -> dict[str, str]:
    """Return each library's kernel, by names like `NumPy's OpenBLAS`; empty where nothing is known."""
    kernels_by_library: dict[str, list[str]] = {}
    for library in _libraries():
        name = LIBRARIES.get(str(library.get("internal_api")))
        if name:
            owner = next((OWNERS[part] for part in _folders(library) if part in OWNERS), "")
            kernel = str(library.get("architecture") or "unknown")
            kernels_by_library.setdefault(f"{owner}'s {name}" if owner else name, []).append(
                "Prescott" if kernel in PRESCOTT else kernel
            )
    kernels = {name: ", ".join(sorted(set(names))) for name, names in sorted(kernels_by_library.items())}
    return kernels | _of_torch()


def _libraries() -> list[dict[str, Any]]:
    """Return the loaded libraries; none where a worker's interpreter has no threadpoolctl, which it need not have."""
    try:
        from threadpoolctl import threadpool_info

        return list(threadpool_info())
    except Exception:
        return []


def _folders(library: dict[str, Any]) -> list[str]:
    """Return the two innermost folders of a library, named as the wheels are."""
    path = PurePath(str(library.get("filepath", "")))
    return [folder.name.removesuffix(".libs") for folder in path.parents][:2]


def _of_torch() -> dict[str, str]:
    """Return PyTorch's kernel, which it chooses itself, whichever BLAS it has."""
    torch = sys.modules.get("torch")
    try:
        return {"PyTorch": str(torch.backends.cpu.get_cpu_capability())} if torch else {}
    except AttributeError:
        return {}
