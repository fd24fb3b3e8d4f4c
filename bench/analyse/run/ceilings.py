"""How close a cell is to the limits of its device, which limit binds it, and whether the device kept its pace.

The limits are a roofline (Williams, Waterman & Patterson 2009) whose bandwidth is that of the caches where a cell's
arrays fit there (Ilic, Pratas & Sousa 2014).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import median

import numpy as np

from bench.analyse.estimates.statistics import UNKNOWN, Estimate, estimate
from bench.measure.probing import DRIFT_PASSES
from bench.measure.records import Calls, Ceiling, WorkerStarted
from bench.plan.cells import Cell, Contender, Place, flops
from bench.plan.work import ITEM_BYTES, footprint_bytes, unavoidable_bytes

from .recorded import RunRecords

BOUND_FROM = 0.5
"""The share of a cell's time from which a limit binds it."""
PRODUCTS, BANDWIDTH = "products", "bandwidth"
RESOLUTION = 0.05
"""The fraction by which ceilings may move from pass to pass where the machine's own resolution is not known."""


@dataclass(frozen=True)
class Best:
    """A rate, per second, and the implementation that reached it."""

    rate: float
    by: str


@dataclass(frozen=True)
class Limits:
    """The best rates of any backend on a device in one pass, with one dtype and thread limit."""

    product: Best
    """The floating-point operations a second of the best large matrix product."""
    streams: dict[int, Best]
    """The bytes a second of the best copy or sum, by the bytes of its two arrays; not empty."""

    def bandwidth(self, footprint: int) -> float:
        """Return the bytes a second for arrays of `footprint` bytes.

        That is the best rate at the largest footprint measured that is not above it (the smallest where all are), or at
        any larger one: a smaller array streams at least as fast, except for the cost of a call."""
        sizes, rates = self._bandwidths
        return rates[max(0, bisect_right(sizes, footprint) - 1)]

    @cached_property
    def _bandwidths(self) -> tuple[list[int], list[float]]:
        """The sizes measured, ascending, and the best rate of each or of any larger one."""
        sizes = sorted(self.streams)
        best = accumulate((self.streams[size].rate for size in reversed(sizes)), max)
        return sizes, [*best][::-1]

    def times(self, products: float, bandwidths: float) -> Limits:
        """Return the limits of a device that computes, and moves bytes, so many times as fast."""
        streams = {size: Best(best.rate * bandwidths, best.by) for size, best in self.streams.items()}
        return Limits(Best(self.product.rate * products, self.product.by), streams)

    def compute_seconds(self, cell: Cell, steps: int) -> float:
        """Return the shortest time that the arithmetic of one iteration can take."""
        return flops(cell.shape, cell.phase, steps) / self.product.rate

    def bandwidth_seconds(self, cell: Cell, steps: int) -> float:
        """Return the shortest time that moving the unavoidable bytes of one iteration can take."""
        itemsize = ITEM_BYTES[cell.contender.dtype]
        moved = unavoidable_bytes(cell.shape, cell.phase, itemsize, steps)
        return moved / self.bandwidth(footprint_bytes(cell.shape, cell.phase, itemsize))


@dataclass(frozen=True)
class Closeness:
    """A cell's shortest possible time over its own, and what binds it: one of BOUNDS, or None where no ceilings were
    measured."""

    fraction: Estimate
    bound: str | None


NOT_BOUND = Closeness(UNKNOWN, None)


@dataclass(frozen=True)
class Remainder:
    """The part of a step that is not in its phases, as a share with its 95 % interval (NaN from a single pass) and in
    seconds. It is negative where the step is fused, and takes less than its phases."""

    share: float
    low: float
    high: float
    seconds: float
    passes: int


@dataclass(frozen=True)
class Moved:
    """A pass whose ceilings differ from those of the other passes."""

    pass_number: int
    place: Place
    what: str
    """`products` or `bandwidth`."""
    change: float
    """The change from the median of the passes, as a fraction: -0.12 is 12 % lower."""


def limits(run: RunRecords) -> dict[Place, dict[int, Limits]]:
    """Return a run's limits by device, dtype and thread limit, and by pass.

    A pass that did not measure all of them has those of the passes that did, changed by as much as its probes tell.
    """
    measured, paces = _measured_limits(run), _paces(run)
    passes = {worker.pass_number for worker in run.of_kind(WorkerStarted)}
    for place, by_pass in measured.items():
        products, bandwidths = (paces.get((place, what), {}) for what in (PRODUCTS, BANDWIDTH))
        usual = _usual(
            [(by_pass[number], products.get(number, 0.0), bandwidths.get(number, 0.0)) for number in by_pass]
        )
        for number in passes - by_pass.keys():
            by_pass[number] = usual.times(1 + products.get(number, 0.0), 1 + bandwidths.get(number, 0.0))
    return {place: dict(sorted(by_pass.items())) for place, by_pass in measured.items()}


def call_seconds(run: RunRecords) -> dict[Contender, dict[str, float]]:
    """Return the seconds of a call of each phase without any work, by contender: the median of the passes that measured
    it."""
    contenders = {cell.contender.label: cell.contender for cell in run.plan.cells}
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in run.of_kind(Calls):
        for phase, each in record.seconds.items():
            seconds[record.contender][phase].append(each)
    return {
        contender: {phase: float(np.median(values)) for phase, values in seconds[label].items()}
        for label, contender in contenders.items()
        if label in seconds
    }


def closeness(
    cell: Cell,
    seconds: Mapping[int, float],
    within: Mapping[int, float],
    limits: Mapping[int, Limits],
    steps: int,
    call: float = 0.0,
) -> Closeness:
    """Return a cell's closeness to its limits: max(operations / rate, unavoidable bytes / bandwidth) / seconds.

    It is from the passes that have both the cell's typical `seconds`, with the standard errors `within`, and `limits`.
    A train has `steps`. A limit binds where it accounts for at least half of the time; where neither does, a call
    without work does if its seconds, `call`, are half of the time; else overhead does.
    """
    passes = [pass_number for pass_number in seconds if pass_number in limits]
    if not passes:
        return NOT_BOUND
    itemsize = ITEM_BYTES[cell.contender.dtype]
    operations, moved = flops(cell.shape, cell.phase, steps), unavoidable_bytes(cell.shape, cell.phase, itemsize, steps)
    footprint = footprint_bytes(cell.shape, cell.phase, itemsize)
    computing = [operations / limits[number].product.rate / seconds[number] for number in passes]
    moving = [moved / limits[number].bandwidth(footprint) / seconds[number] for number in passes]
    fraction = estimate([*map(max, computing, moving)], [within.get(number, 0.0) for number in passes])
    binding = "compute" if median(computing) >= median(moving) else "bandwidth"
    if fraction.value >= BOUND_FROM:
        return Closeness(fraction, binding)
    is_call = call >= BOUND_FROM * median([seconds[number] for number in passes])
    return Closeness(fraction, "call" if is_call else "overhead")


def remainder(step: Mapping[int, float], phases: Sequence[Mapping[int, float]]) -> Remainder | None:
    """Return the part of a step that is not in its phases, from typical seconds by pass, paired within passes; None
    where no pass has the step and all phases."""
    passes = [pass_number for pass_number in step if all(pass_number in phase for phase in phases)]
    if not passes or not phases:
        return None
    explained = estimate([sum(phase[pass_number] for phase in phases) / step[pass_number] for pass_number in passes])
    share = 1 - explained.value
    seconds = share * estimate([step[pass_number] for pass_number in passes]).value
    return Remainder(share, 1 - explained.high, 1 - explained.low, seconds, explained.passes)


def drift(run: RunRecords, resolution: float = RESOLUTION) -> list[Moved]:
    """Return the passes in which a device's products or bandwidth moved from the median of all passes by more than
    `resolution`, a fraction, in order of passes.

    How much a pass moved is the median over every backend and size, so that a single disturbed measurement does not
    count. Raises ValueError for a resolution that is not positive.
    """
    if not resolution > 0:
        raise ValueError(f"resolution: {resolution!r} is not a fraction above 0")
    moved = [
        Moved(pass_number, place, what, change)
        for (place, what), changes in _paces(run).items()
        for pass_number, change in changes.items()
        if abs(change) > resolution
    ]
    return sorted(moved, key=lambda each: each.pass_number)


def unsteadiness(run: RunRecords, resolution: float = RESOLUTION) -> dict[Place, dict[int, float]]:
    """Return the largest move, in logs, of each pass that moved by more than `resolution`, by place and pass."""
    by_place: dict[Place, dict[int, float]] = defaultdict(dict)
    for moved in drift(run, resolution):
        size = abs(float(np.log1p(moved.change)))
        by_place[moved.place][moved.pass_number] = max(size, by_place[moved.place].get(moved.pass_number, 0.0))
    return dict(by_place)


def _measured_limits(run: RunRecords) -> dict[Place, dict[int, Limits]]:
    """Return the limits of the passes that measured all of them."""
    products: dict[tuple[Place, int], list[Best]] = defaultdict(list)
    streams: dict[tuple[Place, int], dict[int, list[Best]]] = defaultdict(lambda: defaultdict(list))
    for contender, record in _measured(run):
        if not record.probe:
            where = contender.place, record.pass_number
            products[where] += [Best(rate, contender.implementation) for rate in record.products.values()]
            for footprint, rate in (*record.copies.items(), *record.sums.items()):
                streams[where][int(footprint)].append(Best(rate, contender.implementation))
    by_place: dict[Place, dict[int, Limits]] = defaultdict(dict)
    for place, pass_number in products:
        by_footprint = {size: _best(rates) for size, rates in sorted(streams[place, pass_number].items())}
        if products[place, pass_number] and by_footprint:
            by_place[place][pass_number] = Limits(_best(products[place, pass_number]), by_footprint)
    return dict(by_place)


def _usual(measured: Sequence[tuple[Limits, float, float]]) -> Limits:
    """Return the medians of limits, each measured while products and bandwidths had changed by these fractions."""
    steady = [limits.times(1 / (1 + product), 1 / (1 + bandwidth)) for limits, product, bandwidth in measured]
    streams: dict[int, list[Best]] = defaultdict(list)
    for limits in steady:
        for footprint, best in limits.streams.items():
            streams[footprint].append(best)
    return Limits(
        _middle([limits.product for limits in steady]),
        {size: _middle(rates) for size, rates in sorted(streams.items())},
    )


def _middle(rates: Sequence[Best]) -> Best:
    return Best(float(np.median([best.rate for best in rates])), rates[0].by)


def _paces(run: RunRecords) -> dict[tuple[Place, str], dict[int, float]]:
    """Return by how much products and bandwidths moved from the median of all passes, as a fraction, by pass."""
    series: dict[tuple[Place, str], dict[tuple[str, ...], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for contender, record in _measured(run):
        for what, kind in ((PRODUCTS, "products"), (BANDWIDTH, "copies"), (BANDWIDTH, "sums")):
            for size, rate in getattr(record, kind).items():
                series[contender.place, what][contender.label, kind, size][record.pass_number] = rate
    return {key: _changes([*rates.values()]) for key, rates in series.items()}


def _measured(run: RunRecords) -> Iterator[tuple[Contender, Ceiling]]:
    """Yield the ceilings of a run that could be measured, with their contenders."""
    known = {contender.label: contender for contender in run.plan.ceilings}
    for record in run.of_kind(Ceiling):
        if not record.reason and record.contender in known:
            yield known[record.contender], record


def _best(rates: Sequence[Best]) -> Best:
    return max(rates, key=lambda best: best.rate)


def _changes(rates: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return by pass the median of the rates' distances from their medians, over the rates that enough passes have."""
    logs: dict[int, list[float]] = defaultdict(list)
    for by_pass in rates:
        if len(by_pass) >= DRIFT_PASSES:
            middle = float(np.median([*by_pass.values()]))
            for pass_number, rate in by_pass.items():
                logs[pass_number].append(np.log(rate / middle))
    return {pass_number: float(np.expm1(np.median(moved))) for pass_number, moved in logs.items()}
