"""The ceilings of a device with known rates, on a fake clock."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.measure.worker import ceilings
from bench.measure.worker.ceilings import BEYOND_CACHES, SMALLEST_FOOTPRINT, beyond_caches, square, tiled
from bench.measure.worker.session import Session
from bench.measure.worker.timing import Clocks
from implementations import numpy_
from tests.bench.fakes import FakeClock

FLOPS, BYTES = 2.0**39, 2.0**34
MEBIBYTE = 2**20


class Steady:
    """A net whose work takes its time at these rates; its first product takes a second more."""

    consumes_graph = False
    flops = FLOPS

    def __init__(self, clock, problem):
        self.clock, self.problem = clock, problem
        self.calls = 0

    def product(self):
        first, self.calls = self.calls == 0, self.calls + 1
        self.clock.spend(2 * self.problem.x.size * self.problem.w1.shape[1] / self.flops + first)

    def copy_in_place(self):
        self.clock.spend(2 * self.problem.x.nbytes / BYTES)

    def add_in_place(self):
        self.clock.spend(3 * self.problem.x.nbytes / (2 * BYTES))

    def synchronize(self):
        pass


@pytest.fixture
def small_machine(monkeypatch):
    monkeypatch.setattr(ceilings.memory, "available_bytes", lambda: 64 * MEBIBYTE)
    monkeypatch.setattr(ceilings.memory, "last_level_cache_bytes", lambda: 4 * MEBIBYTE)


def measured(device="cpu", dtype="float32", **others):
    clock = FakeClock()
    return ceilings.measure(lambda problem, *_: Steady(clock, problem), device, dtype, Clocks(clock, clock), **others)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_leave_out_first_calls(small_machine, dtype):
    rates = measured(dtype=dtype)
    assert list(rates["products"]) == ["512x512x512", "1024x1024x1024", "1024x4096x1024", "2000x2000x2000"]
    assert list(rates["products"].values()) == pytest.approx([FLOPS] * 4)
    assert rates["copies"].keys() == rates["sums"].keys()
    assert list(rates["copies"].values()) == pytest.approx([BYTES] * len(rates["copies"]))
    assert list(rates["sums"].values()) == pytest.approx([2 * BYTES] * len(rates["sums"]))


def test_footprints_are_those_asked_for_and_one_beyond_caches(small_machine):
    sizes = [int(footprint) for footprint in measured(footprints=[2**18, 2**20, 2**30])["copies"]]
    assert sizes == [2 * square(footprint, "float32").x.nbytes for footprint in (2**18, 2**20, 8 * MEBIBYTE)]


def test_probe_measures_one_product_and_one_copy(small_machine):
    rates = measured(footprints=[2**18, 2**20], probe=True)
    assert list(rates["products"]) == ["1024x1024x1024"]
    assert [int(footprint) for footprint in rates["copies"]] == [2 * square(2**20, "float32").x.nbytes]
    assert rates["sums"] == {}


def test_products_that_would_take_too_long_are_left_out(small_machine, monkeypatch):
    monkeypatch.setattr(Steady, "flops", 2.0**30)
    assert list(measured()["products"]) == ["512x512x512"], "the smallest is always there"


def test_a_short_run_gets_what_there_is_time_for(small_machine):
    rates = measured(footprints=[2**18, 2**20], seconds=0.0)
    assert list(rates["products"]) == ["512x512x512"]
    assert [len(rates[move]) for move in ("copies", "sums")] == [1, 1]
    first_product = measured(footprints=[2**18], seconds=1.0)
    assert list(first_product["products"]) == ["512x512x512"], "its first call takes a second"
    assert len(first_product["copies"]) == 2


def test_accelerators_get_larger_products_and_arrays(small_machine, monkeypatch):
    monkeypatch.setattr(ceilings, "MOST_BYTES", 2**22)
    monkeypatch.setattr(ceilings, "DEVICE_PRODUCTS", ((64, 64, 64), (128, 128, 128)))
    rates = measured("cuda:1", footprints=[2**20])
    assert list(rates["products"]) == ["64x64x64", "128x128x128"]
    assert list(rates["copies"]) == [str(2 * square(size, "float32").x.nbytes) for size in (2**20, 2**22)]


@pytest.mark.parametrize(
    ("cache", "available", "footprint"),
    [
        (2 * MEBIBYTE, 2**40, BEYOND_CACHES),
        (64 * MEBIBYTE, 2**40, 256 * MEBIBYTE),
        (480 * MEBIBYTE, 2**40, 512 * MEBIBYTE),
        (64 * MEBIBYTE, 2**30, 128 * MEBIBYTE),
        (64 * MEBIBYTE, 0, SMALLEST_FOOTPRINT),
    ],
)
def test_largest_footprint_is_beyond_caches_within_bounds(cache, available, footprint):
    assert beyond_caches(cache, available) == footprint


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiled_problem_has_ordinary_numbers(dtype):
    problem = tiled(30, 400, 20, dtype)
    assert problem.shape == (30, 400, 20, 1)
    for array in problem.arrays(dtype):
        assert array.dtype == dtype
        assert np.abs(array).min() > 1e-6
        assert np.abs(array).max() < 10


def test_session_measures_its_own_backend_and_device(monkeypatch):
    seen = []
    monkeypatch.setattr(ceilings, "measure", lambda *arguments: seen.append(arguments) or {"products": {}})
    session = Session("numpy", "cpu", "float64")
    session.start(session.clocks.wall())
    assert session.ceiling([2**20], probe=True) == {"products": {}}
    assert seen == [(numpy_.Net, "cpu", "float64", session.clocks, [2**20], True, math.inf)]


def test_session_measures_what_calls_take_without_work():
    session = Session("numpy", "cpu", "float32")
    session.start(session.clocks.wall())
    seconds = session.calls(["forward", "backward", "update", "step"])["seconds"]
    assert list(seconds) == ["forward", "backward", "update", "step"]
    assert all(0 < each < 1e-2 for each in seconds.values())
