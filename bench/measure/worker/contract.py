"""Check that a class fulfils the contract of `implementations/interface.py` before it is measured."""

from __future__ import annotations

import inspect
from typing import Any

from implementations import TwoLayerNet

HOW = 'see "Add a backend" in the README'
ONLY_BY_DEFAULTS = {"loss", "to_host", "product", "copy_in_place", "add_in_place"}
"""Methods that only TwoLayerNet's own methods and the ceilings of the backends in `implementations/` call."""


def complaint(name: str, net_class: Any) -> str:
    """Return what a class lacks, and what to write; empty where it lacks nothing. A class need not derive from
    TwoLayerNet if it has all the methods that are called."""
    if not inspect.isclass(net_class):
        return (
            f"{name} is no class but of type {type(net_class).__name__}; write a class derived from TwoLayerNet, {HOW}"
        )
    needed = [method for method in vars(TwoLayerNet) if not method.startswith("_") and method not in ONLY_BY_DEFAULTS]
    abstract = sorted(getattr(net_class, "__abstractmethods__", ()))
    if missing := [*(method for method in needed if not hasattr(net_class, method)), *abstract]:
        derive = "" if issubclass(net_class, TwoLayerNet) else ", or derive it from implementations.TwoLayerNet"
        return f"{name} lacks {', '.join(missing)}; write {'it' if len(missing) == 1 else 'them'}{derive}, {HOW}"
    backend = getattr(net_class, "backend", None)
    if not isinstance(backend, str) or not backend:
        what = "has no `backend`" if backend is None else f"has {backend!r} for `backend`"
        return f'{name} {what}; name the package whose version is recorded, like backend = "numpy"'
    return ""
