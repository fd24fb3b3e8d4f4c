"""Numbers as people read them."""

from __future__ import annotations

import math

import pandas as pd

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """Three significant digits and a unit: `1.23 ms`; an em dash for none."""
    if not _known(seconds):
        return "—"
    scales = [(scale, unit) for scale, unit in UNITS if unit == "s" or float(significant(seconds / scale)) < 1000]
    scale, unit = next((each for each in scales if float(significant(seconds / each[0])) >= 1), scales[-1])
    return f"{significant(seconds / scale)} {unit}"


def with_interval(seconds: float, low: float, high: float) -> str:
    """A duration and half the width of its interval, in percent: `1.23 ms ± 0.8 %`."""
    if not _known(low):
        return f"{duration(seconds)} ± ?" if _known(seconds) else "—"
    half_width = math.expm1((math.log(high) - math.log(low)) / 2) * 100
    return f"{duration(seconds)} ± {percent(half_width)}"


def ratio(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """`1.84× [1.79, 1.90]`."""
    if not _known(value):
        return "—"
    interval = f" [{_digits(low, value)}, {_digits(high, value)}]" if _known(low) else " [?]"
    return f"{_digits(value, value)}×{interval}"


def percent(value: float) -> str:
    """With one decimal below 10: `0.8 %`, `12 %`."""
    return f"{value:.1f} %" if value < 9.95 else f"{value:.0f} %" if value < 1000 else "> 1000 %"


def significant(value: float) -> str:
    """Three significant digits, without an exponent: `0.0123`, `1.23`, `123`."""
    if not _known(value):
        return "—"
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(float(f"{value:.3g}")))))
    return f"{value:.{decimals}f}"


def mebibytes(count: object) -> str:
    """Bytes as MiB."""
    return f"{float(count) / 2**20:,.0f} MiB" if _known(count) else "—"  # type: ignore[arg-type]


def _digits(value: float, scale: float) -> str:
    decimals = 2 if scale < 9.995 else 1 if scale < 99.95 else 0
    if 0 < scale < 0.095:
        decimals = 1 - math.floor(math.log10(scale))  # two digits of a very slow contender's ratio
    return f"{value:.{decimals}f}"


def _known(value: object) -> bool:
    return bool(pd.notna(value))  # type: ignore[call-overload]
