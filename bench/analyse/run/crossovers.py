"""The sizes at which one contender overtakes another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import exp, isnan, log, nan
from typing import Any

import pandas as pd

from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.statistics import Blocks, Estimate
from bench.plan.cells import DEFAULT_D_OUT, Contender, Shape
from bench.plan.looks import Spending

from .comparable import Terms, are_comparable
from .measured import MeasuredCell

AXES = ("N", "D_in", "H")
"""The axes along which crossovers are looked for."""
SIZES = (*AXES, "D_out")
COLUMNS = ("contender", "other", "dtype", "axis", "phase", "fixed", "answer", "size", "size_low", "size_high")
RANGE = ("measured_low", "measured_high")


@dataclass(frozen=True)
class Series:
    """The times of a contender over many shapes."""

    name: str
    terms: Terms
    """The terms that its cells share, without a shape."""
    blocks: dict[Shape, Blocks]


def crossovers(
    cells: Sequence[MeasuredCell],
    names: Sequence[str],
    phases: Collection[str] | None = None,
    spending: Spending = Spending.WHOLE,
) -> pd.DataFrame:
    """Return where every pair of comparable contenders crosses along every axis, with the intervals of this spending.

    `names` has the name of each cell's contender; `phases` restricts the phases. There is one row for each pair, axis,
    phase and setting of the other sizes (`fixed`, like `D_in=1000 H=100`) with two sizes or more along the axis, and
    one more for each further crossing. `answer` is of the measured range, `measured_low` to `measured_high`, alone:

    - `always`, `never`: `contender` is faster, or slower, than `other` at every size;
    - `at`: `contender` overtakes `other` at `size`, and is the faster above it;
    - `cannot tell`: none of these is known.

    Which of two is faster is known at a size where the 95 % interval of their ratio, paired within
    rounds, excludes 1. `size_low` and `size_high` are where the band between these intervals stops
    excluding 1 on either side, the inversion of an interval that is Fieller's (1954) for a straight line;
    between sizes, log ratio and band are linear in log size.
    """
    series = _series(cells, names, phases)
    pairs = [pair for pair in combinations(series, 2) if are_comparable(pair[0].terms, pair[1].terms)]
    rows = [row for pair in pairs for row in _pair_rows(*pair, spending)]
    return pd.DataFrame(rows, columns=[*COLUMNS, *RANGE])


def crossings(sizes: Sequence[int], ratios: Sequence[Estimate]) -> list[tuple[bool, float, float, float]]:
    """Return where the first of a pair overtakes (True) or falls behind (False): sizes with their intervals.

    `ratios`, at ascending `sizes`, are how many times faster the first is.
    """
    known = [index for index, ratio in enumerate(ratios) if _sign(ratio)]
    changes = [(left, right) for left, right in pairwise(known) if _sign(ratios[left]) != _sign(ratios[right])]
    spans = [[index for index in range(left, right + 1) if not isnan(ratios[index].low)] for left, right in changes]
    return [_crossing([sizes[index] for index in span], [ratios[index] for index in span]) for span in spans]


def _series(cells: Sequence[MeasuredCell], names: Sequence[str], phases: Collection[str] | None) -> list[Series]:
    series: dict[tuple[Contender, Terms], Series] = {}
    for cell, name in zip(cells, names, strict=True):
        if cell.terms and (phases is None or cell.cell.phase in phases):
            terms = replace(cell.terms, shape=None)
            of_contender = series.setdefault((cell.cell.contender, terms), Series(name, terms, {}))
            of_contender.blocks[cell.cell.shape] = cell.records.block_typicals
    return [*series.values()]


def _pair_rows(first: Series, second: Series, spending: Spending) -> Iterator[dict[str, Any]]:
    shared = [shape for shape in first.blocks if shape in second.blocks]
    of_pairs = paired([(second.blocks[shape], first.blocks[shape]) for shape in shared], spending)
    ratios = dict(zip(shared, of_pairs, strict=True))
    for axis in AXES:
        for fixed, line in _lines(shared, axis).items():
            sizes = [getattr(shape, axis) for shape in line]
            for answer in _answers(sizes, [ratios[shape] for shape in line]):
                forward = answer.pop("forward")
                yield {
                    "contender": first.name if forward else second.name,
                    "other": second.name if forward else first.name,
                    "dtype": first.terms.dtype,
                    "axis": axis,
                    "phase": first.terms.phase,
                    "fixed": fixed,
                    **answer,
                    "measured_low": sizes[0],
                    "measured_high": sizes[-1],
                }


def _lines(shapes: Sequence[Shape], axis: str) -> dict[str, list[Shape]]:
    """Return the lines of two or more shapes that differ along one axis alone, ascending, by the sizes they share."""
    lines: dict[str, list[Shape]] = {}
    for shape in sorted(shapes):
        rest = [f"{name}={getattr(shape, name)}" for name in SIZES if name != axis]
        lines.setdefault(" ".join(rest).removesuffix(f" D_out={DEFAULT_D_OUT}"), []).append(shape)
    return {fixed: line for fixed, line in lines.items() if len(line) > 1}


def _answers(sizes: Sequence[int], ratios: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Return the answers of a pair along a line; `forward` is whether the first of the pair is the row's contender."""
    nowhere: dict[str, Any] = {"size": nan, "size_low": nan, "size_high": nan}
    signs = {_sign(ratio) for ratio in ratios}
    if signs == {1}:
        return [{"forward": True, "answer": "always", **nowhere}]
    if signs == {-1}:
        return [{"forward": True, "answer": "never", **nowhere}]
    crossed = crossings(sizes, ratios)
    if not crossed:
        return [{"forward": True, "answer": "cannot tell", **nowhere}]
    return [
        {"forward": forward, "answer": "at", "size": size, "size_low": low, "size_high": high}
        for forward, size, low, high in crossed
    ]


def _sign(ratio: Estimate) -> int:
    """Return 1 where the first is known to be faster, -1 where it is known to be slower, else 0."""
    if isnan(ratio.low) or ratio.low <= 1 <= ratio.high:
        return 0
    return 1 if ratio.low > 1 else -1


def _crossing(sizes: Sequence[int], ratios: Sequence[Estimate]) -> tuple[bool, float, float, float]:
    """Return the crossing between two sizes whose signs are known and differ; between them no sign is known."""
    logs = [log(size) for size in sizes]
    upwards = _sign(ratios[-1]) > 0
    values, lows, highs = ([log(getattr(ratio, end)) for ratio in ratios] for end in ("value", "low", "high"))
    first, last = (highs, lows) if upwards else (lows, highs)
    # The edge that excludes 1 at the left end does so up to its first zero, the other edge from its last zero on.
    low, high = _zeros(logs, first)[0], _zeros(logs, last)[-1]
    middle = _zeros(logs, values)
    return upwards, exp(middle[len(middle) // 2]), exp(low), exp(high)


def _zeros(positions: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Return where the piecewise linear function through the points changes its sign, ascending.

    Where it is 0 over an interval in between, that is the interval's middle."""
    zeros = []
    nonzero = [index for index, height in enumerate(heights) if height != 0]
    for left, right in pairwise(nonzero):
        before, after = heights[left], heights[right]
        if (before > 0) != (after > 0):
            if right == left + 1:
                zeros.append(positions[left] + (positions[right] - positions[left]) * before / (before - after))
            else:
                zeros.append((positions[left + 1] + positions[right - 1]) / 2)
    return zeros
