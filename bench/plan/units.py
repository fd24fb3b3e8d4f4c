"""Format numbers for people: every format of a number in reports and on the terminal. `values` reads what people
write."""

from __future__ import annotations

import math
from typing import Any

NONE = "—"
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
EXACT_STEPS = 1e7
"""The number of steps from which an exponent is written."""


def duration(seconds: float) -> str:
    """A duration of three significant digits and a unit; a dash for none.

    >>> duration(0.001234)
    '1.23 ms'
    """
    if not _known(seconds):
        return NONE
    scales = [(scale, unit) for scale, unit in UNITS if unit == "s" or float(significant(seconds / scale)) < 1000]
    scale, unit = next((pair for pair in scales if float(significant(seconds / pair[0])) >= 1), scales[-1])
    return f"{significant(seconds / scale)} {unit}"


def duration_with_half_width(seconds: float, low: float, high: float) -> str:
    """A duration and half the width of its interval.

    >>> duration_with_half_width(0.001234, 0.001224, 0.001244)
    '1.23 ms ± 0.8 %'
    """
    if not _known(low):
        return f"{duration(seconds)} ± ?" if _known(seconds) else NONE
    return f"{duration(seconds)} {half_width(low, high)}"


def duration_with_interval(seconds: float, low: float, high: float) -> str:
    """A duration and the bounds of its interval.

    >>> duration_with_interval(0.00395, 0.00266, 0.00586)
    '3.95 ms [2.66 ms, 5.86 ms]'
    """
    return duration(seconds) + (f" [{duration(low)}, {duration(high)}]" if _known(low) else " [?]")


def minutes(seconds: float) -> str:
    """Whole minutes and seconds.

    >>> minutes(80), minutes(12)
    ('1 min 20 s', '12 s')
    """
    whole_minutes, rest = divmod(round(seconds), 60)
    return f"{whole_minutes} min {rest} s" if whole_minutes else f"{rest} s"


def ratio(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """A ratio with its interval.

    >>> ratio(1.84, 1.79, 1.9)
    '1.84× [1.79, 1.90]'
    """
    if not _known(value):
        return NONE
    interval = f" [{_digits(low, value)}, {_digits(high, value)}]" if _known(low) else " [?]"
    return f"{ratio_alone(value)}{interval}"


def ratio_alone(value: float) -> str:
    """A ratio without its interval.

    >>> ratio_alone(1.84)
    '1.84×'
    """
    return f"{_digits(value, value)}×" if _known(value) else NONE


def percent(fraction: float, decimals: int = 0) -> str:
    """A fraction in percent, with as many decimals whatever its size.

    >>> percent(0.34), percent(0.945, 1)
    ('34 %', '94.5 %')
    """
    return f"{fraction * 100:.{decimals}f} %"


def short_percent(fraction: float) -> str:
    """A fraction in percent, with no more digits than it needs and three at most.

    >>> short_percent(0.03), short_percent(0.025)
    ('3 %', '2.5 %')
    """
    return f"{fraction * 100:.3g} %"


def two_digit_percent(fraction: float) -> str:
    """A fraction in percent, with one decimal below 10.

    >>> two_digit_percent(0.008), two_digit_percent(0.12)
    ('0.8 %', '12 %')
    """
    return f"{_two_digits(fraction)} %" if fraction < 10 else "> 1000 %"


def percent_with_interval(fraction: float, low: float, high: float) -> str:
    """A fraction in percent with its interval, with one decimal below 10.

    >>> percent_with_interval(0.62, 0.6, 0.64)
    '62 % [60, 64]'
    """
    if not math.isfinite(fraction):
        return NONE
    interval = f" [{_two_digits(low)}, {_two_digits(high)}]" if math.isfinite(low) else " [?]"
    return f"{_two_digits(fraction)} %{interval}"


def half_width(low: float, high: float) -> str:
    """Half the width of an interval in logs, as a share of its middle; unknown where it begins at 0.

    >>> half_width(1.0, 1.21)
    '± 10 %'
    """
    return f"± {two_digit_percent(math.expm1((math.log(high) - math.log(low)) / 2))}" if low > 0 else "± ?"


def change(value: float) -> str:
    """A ratio as a relative change.

    >>> change(1.071), change(0.9)
    ('+7.1 %', '−10.0 %')
    """
    return f"{'+' if value >= 1 else ''}{_signed(value)} %" if _known(value) else NONE


def change_with_interval(value: float, low: float, high: float) -> str:
    """A ratio as a relative change with its interval.

    >>> change_with_interval(1.071, 1.052, 1.09)
    '+7.1 % [5.2, 9.0]'
    """
    if not _known(value):
        return NONE
    return change(value) + (f" [{_signed(low)}, {_signed(high)}]" if _known(low) else " [?]")


def significant(value: float) -> str:
    """A number of three significant digits, without an exponent.

    >>> significant(0.01234), significant(1.234), significant(123.4)
    ('0.0123', '1.23', '123')
    """
    if not _known(value):
        return NONE
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(float(f"{value:.3g}")))))
    return f"{value:.{decimals}f}"


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals.

    >>> fixed(1.5, 2)
    '1.50'
    """
    return f"{value:.{decimals}f}"


def shortest(value: float) -> str:
    """A number without needless zeros.

    >>> shortest(1.50), shortest(2.0)
    ('1.5', '2')
    """
    return f"{value:g}"


def gigabytes(count: float) -> str:
    """A number of bytes, in gigabytes.

    >>> gigabytes(1234567890)
    '1.23 GB'
    """
    return f"{count / 1e9:.3g} GB"


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things, by the words for one and for many of them.

    >>> counted(1, "cell"), counted(3, "pass", "passes")
    ('1 cell', '3 passes')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def rounded(value: float) -> str:
    """A whole number, of three significant digits.

    >>> rounded(1234.5)
    '1,230'
    """
    return f"{float(f'{value:.3g}'):,.0f}"


def steps(count: float) -> str:
    """A number of steps, rounded up.

    >>> steps(1233.2), steps(2.5e7), steps(math.inf)
    ('1,230', '2.5e7', '∞')
    """
    if math.isinf(count):
        return "∞"
    number = float(f"{math.ceil(count):.3g}")
    return f"{number:,.0f}" if number < EXACT_STEPS else f"{number:.2g}".replace("e+0", "e").replace("e+", "e")


def mebibytes(count: float | None) -> str:
    """Bytes in MiB, however few.

    >>> mebibytes(1536 * 2**20)
    '1,536 MiB'
    """
    return f"{float(count) / 2**20:,.0f} MiB" if count is not None and _known(count) else NONE


def gibibytes(count: float) -> str:
    """Bytes in GiB.

    >>> gibibytes(25_000_000_000)
    '23.3 GiB'
    """
    return f"{count / 2**30:.1f} GiB"


def kibibytes_or_mebibytes(count: float) -> str:
    """Bytes in KiB, or in MiB from about one MiB on.

    >>> kibibytes_or_mebibytes(256 * 2**10), kibibytes_or_mebibytes(2**26)
    ('256 KiB', '64 MiB')
    """
    return f"{count / 2**20:.0f} MiB" if count >= 0.95 * 2**20 else f"{count / 2**10:.0f} KiB"


def _two_digits(fraction: float) -> str:
    """A fraction in percent, with one decimal below 10 and a true minus sign; never −0.0."""
    percentage = abs(fraction) * 100
    text = f"{percentage:.1f}" if percentage < 9.95 else f"{percentage:.0f}"
    return f"−{text}" if fraction < 0 and float(text) else text


def _signed(value: float) -> str:
    """A ratio's distance from 1 in percent, with one decimal below 100 and a true minus sign; never −0.0."""
    percentage = (value - 1) * 100
    text = f"{percentage:.1f}" if abs(percentage) < 99.95 else f"{percentage:.0f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def _digits(value: float, scale: float) -> str:
    decimals = 2 if scale < 9.995 else 1 if scale < 99.95 else 0
    if 0 < scale < 0.095:
        decimals = 1 - math.floor(math.log10(scale))  # two digits of a very slow contender's ratio
    return f"{value:.{decimals}f}"


def _known(value: Any) -> bool:
    """Whether a value is neither None, NaN nor pandas' NA; the last two do not equal themselves."""
    try:
        return value is not None and bool(value == value)
    except TypeError:
        return False
