"""Measure the highest rates of a backend on its device: large matrix products, and streaming through memory.

A bandwidth depends on where the arrays lie, so it is taken at footprints from a small cache to far
beyond the last-level one (a cache-aware roofline: Ilic, Pratas & Sousa 2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from implementations import Problem

from . import dtypes, memory
from .timing import SAMPLE_SECONDS, Clocks, Timer

SAMPLES = 8
LEAST_SAMPLES = 3
CALL_SAMPLE_SECONDS = 5e-4
"""The intended duration of a sample of calls without work."""
PRODUCT_SECONDS = 0.3
"""A product is left out, with all larger ones, if its calls would take longer than this in all."""
# Results of less than 32 MiB come from the heap (`limits.SETTINGS`); larger ones would each cost page faults.
HOST_PRODUCTS = ((512, 512, 512), (1024, 1024, 1024), (1024, 4096, 1024), (2000, 2000, 2000))
NARROW_PRODUCTS = ((128, 128, 128), *HOST_PRODUCTS)  # NumPy multiplies float16 a thousand times slower than float32
DEVICE_PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096), (8192, 8192, 8192))
"""N, D_in and H of each product x·w1, from the least work to the most."""
SMALLEST_FOOTPRINT = 2**18
BEYOND_CACHES = 2 * 64 * 2**20
"""The largest footprint, of both arrays, is at least this: from there on, bandwidths no longer fall."""
MOST_BYTES = 512 * 2**20
"""The largest footprint is at most this, however large the cache."""
SHARE_OF_MEMORY = 1 / 8
"""Both arrays take at most this share of the available memory."""
PROBED = 1
"""The index of the product by which a probe tells whether the device kept its pace; 0 of NARROW_PRODUCTS."""
MOVED = {"copy_in_place": 1.0, "add_in_place": 1.5}
"""The footprints that each moves: one array is read and the other written, or read and written."""

NetClass = Callable[[Problem, str, str], Any]


def measure(
    net_class: NetClass,
    device: str,
    dtype: str,
    clocks: Clocks,
    footprints: Sequence[int] = (),
    probe: bool = False,
    seconds: float = math.inf,
) -> dict[str, dict[str, float]]:
    """Return `products`: operations per second by `NxD_inxH`, and `copies` and `sums`: bytes per second by footprint
    in bytes. Each is the best of a few samples.

    `footprints` are those of what will be timed, in bytes; one beyond any cache is added. A `probe` is for drift: one
    product, and one copy of the largest of `footprints`. Once so many `seconds` have passed, nothing is begun but the
    smallest footprint and the smallest product: a short run has no time for more.
    """
    end = clocks.wall() + seconds
    on_host = device == "cpu"
    is_narrow_on_host = on_host and dtype in dtypes.NARROW
    sizes_of_products = NARROW_PRODUCTS if is_narrow_on_host else HOST_PRODUCTS if on_host else DEVICE_PRODUCTS
    probed = sizes_of_products[0 if is_narrow_on_host else PROBED]
    beyond = beyond_caches(memory.last_level_cache_bytes(), memory.available_bytes()) if on_host else MOST_BYTES
    streamed = sorted({min(footprint, beyond) for footprint in (*footprints, *(() if probe else (beyond,)))})

    def rate(problem: Problem, verb: str, amount: float) -> float:
        return _best(Timer(lambda: net_class(problem, device, dtype), verb, 1, clocks), amount)

    rates: dict[str, dict[str, float]] = {verb: {} for verb in MOVED}
    for most_bytes in streamed[-1:] if probe else streamed:
        if rates["copy_in_place"] and clocks.wall() >= end:
            break
        problem = square(most_bytes, dtype)
        footprint = dtypes.item_bytes(dtype) * (problem.x.size + problem.w1.size)
        for verb in [*MOVED][:1] if probe else MOVED:
            rates[verb][str(footprint)] = rate(problem, verb, MOVED[verb] * footprint)
    products: dict[str, float] = {}
    for sizes in [probed] if probe else sizes_of_products:
        flops = 2.0 * math.prod(sizes)
        takes_long = products and (LEAST_SAMPLES + 2) * flops / max(products.values()) > PRODUCT_SECONDS
        if takes_long or (products and clocks.wall() >= end):
            break
        products["x".join(map(str, sizes))] = rate(tiled(*sizes, dtype), "product", flops)
    return {"products": products, "copies": rates["copy_in_place"], "sums": rates["add_in_place"]}


def beyond_caches(cache: int, available: int) -> int:
    """Return the bytes of both arrays that no cache of `cache` bytes holds, within their share of the memory that is
    available."""
    largest = max(SMALLEST_FOOTPRINT, int(available * SHARE_OF_MEMORY))
    return min(largest, MOST_BYTES, max(4 * cache, BEYOND_CACHES))


def calls(net_class: NetClass, device: str, dtype: str, clocks: Clocks, phases: Iterable[str]) -> dict[str, float]:
    """Return the seconds of each phase's iteration on arrays of one element: what a call takes without any work."""
    problem = Problem.random(1, 1, 1, 1)
    timers = {phase: Timer(lambda: net_class(problem, device, dtype), phase, 1, clocks) for phase in phases}
    return {phase: _seconds(timer, CALL_SAMPLE_SECONDS) for phase, timer in timers.items()}


def tiled(N: int, D_in: int, H: int, dtype: str) -> Problem:
    """Return a problem of one output whose normals repeat: it is made quickly and computes like a random one."""
    normals = dtypes.rounded(np.random.default_rng(0).standard_normal(4099), dtype).astype(dtypes.host_dtype(dtype))
    x, y, w1, w2 = (np.resize(normals, shape) for shape in ((N, D_in), (N, 1), (D_in, H), (H, 1)))
    return Problem(x, y, w1, w2, learning_rate=1.0, _casts={dtype: (x, y, w1, w2)})


def square(footprint: int, dtype: str) -> Problem:
    """Return a problem whose x and w1 are square, of one shape, and have at most `footprint` bytes together."""
    size = math.isqrt(footprint // 2 // dtypes.item_bytes(dtype))
    return tiled(size, size, size, dtype)


def _best(timer: Timer, amount: float) -> float:
    """Return `amount` per second, by the quickest sample."""
    return amount / _seconds(timer)


def _seconds(timer: Timer, sample_seconds: float = SAMPLE_SECONDS) -> float:
    """Return the seconds of an iteration, by the quickest sample."""
    timer.first_call()  # it compiles, if the backend does
    timer.rewarm()
    single = min(timer.block(1, LEAST_SAMPLES)[0])
    inner = math.ceil(sample_seconds / max(single, 1e-9))
    return max(1e-9, single if inner == 1 else min(timer.block(inner, SAMPLES)[0]))
