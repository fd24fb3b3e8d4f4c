"""The threads of NumPy's BLAS within a check."""

from __future__ import annotations

import builtins

import pytest

from bench.measure.worker import blas
from bench.measure.worker.reference import Reference


def threads() -> list[int]:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_limits_products_only_within():
    before = threads()
    with blas.one_thread():
        assert set(threads()) <= {1}
    assert threads() == before


def test_reference_computes_on_one_thread(monkeypatch):
    used = []

    class Spy:
        T = property(lambda self: self)

        def __matmul__(self, other):
            used.extend(threads())
            raise StopIteration

    for method in (Reference.forward, Reference.backward):
        spy = Reference(Spy(), 0.0, Spy(), Spy(), 0.1, 0.0, lambda shape: None)
        spy.y_pred, spy.h_relu = 0.0, Spy()
        with pytest.raises((StopIteration, RuntimeError)):
            method(spy)
    assert set(used) == {1}


def test_no_thread_limit_without_threadpoolctl(monkeypatch):
    real = builtins.__import__

    def missing(name, *others, **more):
        if name == "threadpoolctl":
            raise ImportError(name)
        return real(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    blas._controller.cache_clear()
    try:
        with blas.one_thread():
            assert blas._controller() is None
    finally:
        blas._controller.cache_clear()
