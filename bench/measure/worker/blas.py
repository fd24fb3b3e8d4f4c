"""Limit the threads of NumPy's own matrix products within a check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit NumPy's BLAS to one thread: others would spin for about 100 ms afterwards, and take the processors from a
    net that has threads of its own. There is no limit where threadpoolctl is not installed."""
    controller = _controller()
    if controller is None:
        yield
        return
    with controller.limit(limits=1):
        yield


@lru_cache
def _controller() -> Any:
    """Return a controller of the BLAS libraries loaded so far; it is kept, since finding them takes milliseconds."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")
