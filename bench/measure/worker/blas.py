"""NumPy's own matrix products within a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Only one thread of NumPy's BLAS: its others go on spinning for about 100 ms, and take the processors from a net
    that has threads of its own. No limit where threadpoolctl is not installed."""
    controller = _controller()
    if controller is None:
        yield
        return
    with controller.limit(limits=1):
        yield


@lru_cache
def _controller() -> Any:
    """Of the BLAS libraries that are loaded by now, since finding them takes milliseconds."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")
