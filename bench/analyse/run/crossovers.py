"""Where the winner changes: the sizes at which one contender overtakes another. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from math import exp, isnan, log, nan
from typing import Any

import pandas as pd

from bench.analyse.estimates.statistics import Blocks, Estimate, paired

from .suspicion import trusted

AXES = ("N", "D_in", "H")
"""Along which winners are looked for."""
SIZES = (*AXES, "D_out")
KEY = ["implementation", "device", "dtype", "threads"]
COLUMNS = ("contender", "other", "dtype", "axis", "phase", "fixed", "answer", "size", "size_low", "size_high")
RANGE = ("measured_low", "measured_high")


@dataclass(frozen=True)
class Runner:
    """A contender as rows are compared: who, where, and with how many threads in force."""

    implementation: str
    device: str
    dtype: str
    precision: str
    threads: int

    def comparable(self, other: Runner) -> bool:
        """Whether the two share a ratio: alike in dtype and precision and, both on the host, in threads."""
        on_host = self.device == other.device == "cpu"
        alike = (self.dtype, self.precision) == (other.dtype, other.precision)
        return alike and (not on_host or self.threads == other.threads)


Cells = dict[tuple[Runner, str], dict[tuple[int, ...], Blocks]]


def crossovers(
    timings: pd.DataFrame,
    samples: pd.DataFrame,
    names: pd.Series | None = None,
    phases: Collection[str] | None = None,
    adaptive: bool = False,
) -> pd.DataFrame:
    """What is known of every pair of comparable contenders along every axis, of a run that may have been `adaptive`.

    `names` says what each row of `timings` calls its contender (its implementation, where None);
    `phases` restricts the phases. One row for each pair, axis, phase and setting of the other sizes
    (`fixed`, like `D_in=1000 H=100`) with two sizes or more along the axis, and one more for each
    further crossing. `answer` is of the measured range, `measured_low` to `measured_high`, alone:

    - `always`, `never`: `contender` is faster, or slower, than `other` at every size;
    - `at`: `contender` overtakes `other` at `size`, and is the faster above it;
    - `cannot tell`: neither of these is known.

    Which of two is faster is known at a size where the 95 % interval of their ratio, paired within
    rounds, excludes 1. `size_low` and `size_high` are where the band between these intervals stops to
    exclude 1 on either side, the inversion of an interval that is Fieller's (1954) for a straight line;
    between sizes, log ratio and band are linear in log size.
    """
    cells, called = _cells(timings, samples, names, phases)
    rows = [row for one, other in _pairs(cells) for row in _pair_rows(cells, one, other, adaptive)]
    for row in rows:
        row["contender"], row["other"] = called[row["contender"]], called[row["other"]]
    return pd.DataFrame(rows, columns=[*COLUMNS, *RANGE])


def blocks_of(samples: pd.DataFrame) -> dict[tuple[object, ...], Blocks]:
    """By implementation, device, dtype, thread limit, N, D_in, H, D_out and phase."""
    medians = samples.groupby([*KEY, *SIZES, "phase", "pass", "round"], observed=True)["seconds"].median()
    told: dict[tuple[object, ...], dict[int, dict[int, float]]] = {}
    for (*cell, pass_number, round_number), seconds in zip(medians.index.to_list(), medians, strict=True):
        told.setdefault(tuple(cell), {}).setdefault(int(pass_number), {})[int(round_number)] = float(seconds)
    return dict(told)


def crossings(sizes: Sequence[int], ratios: Sequence[Estimate]) -> list[tuple[bool, float, float, float]]:
    """Sizes at which the first of a pair overtakes (True) or falls behind (False), with their intervals.

    `ratios`, at ascending `sizes`, are how many times faster the first is.
    """
    known = [index for index, ratio in enumerate(ratios) if _sign(ratio)]
    changes = [(left, right) for left, right in pairwise(known) if _sign(ratios[left]) != _sign(ratios[right])]
    spans = [[index for index in range(left, right + 1) if not isnan(ratios[index].low)] for left, right in changes]
    return [_crossing([sizes[index] for index in span], [ratios[index] for index in span]) for span in spans]


def _cells(
    timings: pd.DataFrame, samples: pd.DataFrame, names: pd.Series | None, phases: Collection[str] | None
) -> tuple[Cells, dict[Runner, str]]:
    blocks = blocks_of(samples if phases is None else samples[samples["phase"].isin([*phases])])
    cells: Cells = {}
    called: dict[Runner, str] = {}
    for index, row in timings[trusted(timings)].iterrows():
        # Where a limit did not hold, `threads` is not the limit and finds no samples: it is comparable to nobody.
        found = blocks.get((*(row[name] for name in KEY), *(int(row[name]) for name in SIZES), row["phase"]))
        if found is None:
            continue
        runner = Runner(row["implementation"], row["device"], row["dtype"], str(row["precision"]), int(row["threads"]))
        called.setdefault(runner, row["implementation"] if names is None else str(names[index]))  # type: ignore[call-overload]
        cells.setdefault((runner, row["phase"]), {})[tuple(int(row[name]) for name in SIZES)] = found
    return cells, called


def _pairs(cells: Cells) -> Iterator[tuple[tuple[Runner, str], tuple[Runner, str]]]:
    for one, other in combinations(cells, 2):
        if one[1] == other[1] and one[0].comparable(other[0]):
            yield one, other


def _pair_rows(
    cells: Cells, one: tuple[Runner, str], other: tuple[Runner, str], adaptive: bool
) -> Iterator[dict[str, Any]]:
    mine, theirs = cells[one], cells[other]
    shared = [shape for shape in mine if shape in theirs]

    @cache
    def ratio(shape: tuple[int, ...]) -> Estimate:
        return paired(theirs[shape], mine[shape], adaptive)

    for axis, name in enumerate(AXES):
        for fixed, line in _lines(shared, axis).items():
            sizes = [shape[axis] for shape in line]
            for found in _answers(sizes, [ratio(shape) for shape in line]):
                forward = found.pop("forward")
                pair = (one[0], other[0]) if forward else (other[0], one[0])
                yield {
                    "contender": pair[0],
                    "other": pair[1],
                    "dtype": one[0].dtype,
                    "axis": name,
                    "phase": one[1],
                    "fixed": fixed,
                    **found,
                    "measured_low": sizes[0],
                    "measured_high": sizes[-1],
                }


def _lines(shapes: Sequence[tuple[int, ...]], axis: int) -> dict[str, list[tuple[int, ...]]]:
    """The shapes that differ along one axis alone, ascending, by what they share; two or more of them."""
    lines: dict[str, list[tuple[int, ...]]] = {}
    for shape in sorted(shapes):
        rest = [f"{name}={size}" for place, (name, size) in enumerate(zip(SIZES, shape, strict=True)) if place != axis]
        lines.setdefault(" ".join(rest).removesuffix(" D_out=10"), []).append(shape)
    return {fixed: line for fixed, line in lines.items() if len(line) > 1}


def _answers(sizes: Sequence[int], ratios: Sequence[Estimate]) -> list[dict[str, Any]]:
    """`forward` is whether the first of the pair is the row's contender."""
    places: dict[str, Any] = {"size": nan, "size_low": nan, "size_high": nan}
    signs = {_sign(ratio) for ratio in ratios}
    if signs == {1}:
        return [{"forward": True, "answer": "always", **places}]
    if signs == {-1}:
        return [{"forward": True, "answer": "never", **places}]
    found = crossings(sizes, ratios)
    if not found:
        return [{"forward": True, "answer": "cannot tell", **places}]
    return [
        {"forward": forward, "answer": "at", "size": size, "size_low": low, "size_high": high}
        for forward, size, low, high in found
    ]


def _sign(ratio: Estimate) -> int:
    """1 where the first is known to be faster, -1 where it is known to be slower, 0 where neither."""
    if isnan(ratio.low) or ratio.low <= 1 <= ratio.high:
        return 0
    return 1 if ratio.low > 1 else -1


def _crossing(sizes: Sequence[int], ratios: Sequence[Estimate]) -> tuple[bool, float, float, float]:
    """Between two sizes whose signs are known and differ, with none known between them."""
    places = [log(size) for size in sizes]
    upwards = _sign(ratios[-1]) > 0
    values, lows, highs = ([log(getattr(ratio, end)) for ratio in ratios] for end in ("value", "low", "high"))
    first, last = (highs, lows) if upwards else (lows, highs)
    # The edge that excludes 1 at the left end stops to do so at its first zero, the other edge begins to at its last.
    low, high = _zeros(places, first)[0], _zeros(places, last)[-1]
    middle = _zeros(places, values)
    return upwards, exp(middle[len(middle) // 2]), exp(low), exp(high)


def _zeros(places: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Where the broken line through the points changes its sign, ascending; where it lies on 0 between, in
    the middle of that."""
    found = []
    apart = [index for index, height in enumerate(heights) if height != 0]
    for left, right in pairwise(apart):
        before, after = heights[left], heights[right]
        if (before > 0) != (after > 0):
            if right == left + 1:
                found.append(places[left] + (places[right] - places[left]) * before / (before - after))
            else:
                found.append((places[left + 1] + places[right - 1]) / 2)
    return found
