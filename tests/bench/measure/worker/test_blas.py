"""The threads of NumPy's BLAS within a check."""

from __future__ import annotations

import builtins

import pytest

from bench.measure.worker import aftercheck, blas, course
from implementations import Problem, numpy_


def threads() -> list[int]:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_limits_products_only_within():
    before = threads()
    with blas.one_thread():
        assert set(threads()) <= {1}
    assert threads() == before


def test_worker_computes_in_float64_on_one_thread(monkeypatch):
    used = []

    def spy(*arguments, **options):
        used.extend(threads())
        raise StopIteration

    problem = Problem.random(3, 4, 2, 1)
    net = numpy_.Net(problem)
    monkeypatch.setattr(course, "compute", spy)
    monkeypatch.setattr(aftercheck, "step", spy)
    for computed in (lambda: course.own(net), lambda: aftercheck._expected(net, net.weights())):
        with pytest.raises((StopIteration, RuntimeError)):
            computed()
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
