"""Measure the highest rates of a backend on its device: large matrix products, and streaming through memory.

A bandwidth depends on where the arrays lie, so it is taken at footprints from a small cache to far
beyond the last-level one (a cache-aware roofline: Ilic, Pratas & Sousa 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from implementations import Problem

from . import memory
from .timing import SAMPLE_SECONDS, Clocks, Timer

SAMPLES = 8
LEAST_SAMPLES = 3
PRODUCT_SECONDS = 0.3
"""A product is left out, with all larger ones, if its calls would take longer than this in all."""
# Results of less than 32 MiB come from the heap (`limits.SETTINGS`); larger ones would each cost page faults.
HOST_PRODUCTS = ((512, 512, 512), (1024, 1024, 1024), (1024, 4096, 1024), (2000, 2000, 2000))
DEVICE_PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (8192, 8192, 8192))
"""N, D_in and H of each product x·w1, from the least work to the most."""
SMALLEST_FOOTPRINT = 2**18
BEYOND_CACHES = 2 * 64 * 2**20
"""The largest footprint on a host, of both arrays, is at least this."""
DEVICE_FOOTPRINTS = tuple(2**power for power in (20, 22, 24, 26, 29))
SHARE_OF_MEMORY = 1 / 8
"""Both arrays take at most this share of the available memory."""
MOVED = {"copy_in_place": 1.0, "add_in_place": 1.5}
"""The footprints that each moves: one array is read and the other written, or read and written."""

NetClass = Callable[[Problem, str, str], Any]


def measure(net_class: NetClass, device: str, dtype: str, clocks: Clocks) -> dict[str, dict[str, float]]:
    """Return `products`: operations per second by `NxD_inxH`, and `copies` and `sums`: bytes per second by footprint
    in bytes. Each is the best of a few samples."""
    on_host = device == "cpu"
    available = memory.available_bytes()
    footprints = host_footprints(memory.last_level_cache_bytes(), available) if on_host else DEVICE_FOOTPRINTS

    def rate(problem: Problem, verb: str, amount: float) -> float:
        return _best(Timer(lambda: net_class(problem, device, dtype), verb, 1, clocks), amount)

    products: dict[str, float] = {}
    for sizes in HOST_PRODUCTS if on_host else DEVICE_PRODUCTS:
        flops = 2.0 * math.prod(sizes)
        if products and (LEAST_SAMPLES + 2) * flops / max(products.values()) > PRODUCT_SECONDS:
            break
        products["x".join(map(str, sizes))] = rate(tiled(*sizes, dtype), "product", flops)
    streamed: dict[str, dict[str, float]] = {verb: {} for verb in MOVED}
    for most_bytes in footprints:
        problem = square(most_bytes, dtype)
        footprint = problem.x.nbytes + problem.w1.nbytes
        for verb, moved in MOVED.items():
            streamed[verb][str(footprint)] = rate(problem, verb, moved * footprint)
    return {"products": products, "copies": streamed["copy_in_place"], "sums": streamed["add_in_place"]}


def host_footprints(cache: int, available: int) -> list[int]:
    """Return footprints in bytes of both arrays: eightfold steps up to half of the last-level cache, all of it, and
    four times it, beyond any cache; none exceeds its share of the available memory."""
    largest = max(SMALLEST_FOOTPRINT, int(available * SHARE_OF_MEMORY))
    rising = [SMALLEST_FOOTPRINT * 8**power for power in range(16)]
    within = [footprint for footprint in rising if footprint <= cache // 2]
    return sorted({min(largest, footprint) for footprint in (*within, cache, max(4 * cache, BEYOND_CACHES))})


def tiled(N: int, D_in: int, H: int, dtype: str) -> Problem:
    """Return a problem of one output whose normals repeat: it is made quickly and computes like a random one."""
    normals = np.random.default_rng(0).standard_normal(4099).astype(dtype)
    x, w1 = np.resize(normals, (N, D_in)), np.resize(normals, (D_in, H))
    return Problem(x, np.resize(normals, (N, 1)), w1, np.resize(normals, (H, 1)), learning_rate=1.0)


def square(footprint: int, dtype: str) -> Problem:
    """Return a problem whose x and w1 are square, of one shape, and have at most `footprint` bytes together."""
    size = math.isqrt(footprint // 2 // np.dtype(dtype).itemsize)
    return tiled(size, size, size, dtype)


def _best(timer: Timer, amount: float) -> float:
    """Return `amount` per second, by the quickest sample."""
    timer.first_call()  # it compiles, if the backend does
    timer.rewarm()
    single = min(timer.block(1, LEAST_SAMPLES)[0])
    inner = math.ceil(SAMPLE_SECONDS / max(single, 1e-9))
    return amount / (single if inner == 1 else min(timer.block(inner, SAMPLES)[0]))
