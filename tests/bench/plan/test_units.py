import math
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import units
from tests.bench.made import steady

positive = st.floats(1e-12, 1e12)


def digits(text: str) -> str:
    """Return the significant digits of a number."""
    return text.replace(".", "").lstrip("0")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1.234e-9, "1.23 ns"),
        (1e-12, "0.00100 ns"),
        (0.0, "0 ns"),
        (9.99e-7, "999 ns"),
        (1e-6, "1.00 µs"),
        (1.2345e-5, "12.3 µs"),
        (0.0009994, "999 µs"),
        (0.0009996, "1.00 ms"),
        (1.23e-3, "1.23 ms"),
        (0.123, "123 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.0, "1.00 s"),
        (61.0, "61.0 s"),
        (12345.6, "12346 s"),
        (math.nan, "—"),
        (pd.NA, "—"),
        (None, "—"),
    ],
)
def test_duration(seconds, expected):
    assert units.duration(seconds) == expected


@steady
@given(st.floats(1e-9, 999.0))
def test_a_duration_has_three_digits_and_a_unit_and_no_exponent(seconds):
    number, unit = units.duration(seconds).split(" ")
    scale = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert re.fullmatch(r"\d+(\.\d+)?", number)
    assert float(number) * scale == pytest.approx(seconds, rel=0.00501)
    assert float(number) <= 1000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (0.0123, "0.0123"),
        (1.2345, "1.23"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.96, "100"),
        (123.4, "123"),
        (999.6, "1000"),
        (123456.0, "123456"),
        (1e-7, "0.000000100"),
        (-1.2345, "-1.23"),
        (math.nan, "—"),
        (pd.NA, "—"),
    ],
)
def test_significant(value, expected):
    assert units.significant(value) == expected


@steady
@given(positive)
def test_significant_has_three_digits_and_no_exponent(value):
    text = units.significant(value)
    assert re.fullmatch(r"\d+(\.\d+)?", text)
    assert float(text) == pytest.approx(value, rel=0.00501)
    if value < 999:
        assert len(digits(text)) == 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0.0 %"),
        (0.0084, "0.8 %"),
        (0.0994, "9.9 %"),
        (0.0996, "10 %"),
        (0.124, "12 %"),
        (9.994, "999 %"),
        (10, "> 1000 %"),
        (1e300, "> 1000 %"),
        (math.inf, "> 1000 %"),
    ],
)
def test_two_digit_percent(value, expected):
    assert units.two_digit_percent(value) == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((1.84, 1.79, 1.9), "1.84× [1.79, 1.90]"),
        ((0.5, 0.45, 0.55), "0.50× [0.45, 0.55]"),
        ((9.99, 9.0, 11.0), "9.99× [9.00, 11.00]"),
        ((9.996, 9.0, 11.0), "10.0× [9.0, 11.0]"),
        ((99.94, 95.0, 105.0), "99.9× [95.0, 105.0]"),
        ((123.4, 120.0, 126.0), "123× [120, 126]"),
        ((2.0, math.nan, math.nan), "2.00× [?]"),
        ((2.0,), "2.00× [?]"),
        ((math.nan, math.nan, math.nan), "—"),
        ((pd.NA,), "—"),
    ],
)
def test_ratio(interval, expected):
    assert units.ratio(*interval) == expected


@steady
@given(st.floats(1e-3, 1e6), st.floats(1, 2))
def test_a_ratio_has_no_exponent_and_one_precision(value, spread):
    text = units.ratio(value, value / spread, value * spread)
    assert re.fullmatch(r"\d+(\.\d+)?× \[\d+(\.\d+)?, \d+(\.\d+)?\]", text)
    assert len({len(number.partition(".")[2]) for number in re.findall(r"[\d.]+", text)}) == 1


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((1.23e-3, 1.23e-3 / 1.008, 1.23e-3 * 1.008), "1.23 ms ± 0.8 %"),
        ((1e-3, 1e-3, 1e-3), "1.00 ms ± 0.0 %"),
        ((1e-3, 0.5e-3, 2e-3), "1.00 ms ± 100 %"),
        ((1e-3, 1e-9, 1e3), "1.00 ms ± > 1000 %"),
        ((1e-3, math.nan, math.nan), "1.00 ms ± ?"),
        ((math.nan, math.nan, math.nan), "—"),
        ((pd.NA, pd.NA, pd.NA), "—"),
    ],
)
def test_duration_with_half_width(interval, expected):
    assert units.duration_with_half_width(*interval) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 MiB"), (2**20, "1 MiB"), (1536 * 2**20, "1,536 MiB"), (None, "—"), (pd.NA, "—"), (math.nan, "—")],
)
def test_mebibytes(count, expected):
    assert units.mebibytes(count) == expected


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ((1.071, 1.052, 1.09), "+7.1 % [5.2, 9.0]"),
        ((0.9, 0.8, 1.01), "−10.0 % [−20.0, 1.0]"),
        ((1.0, 0.9999, 1.0001), "+0.0 % [0.0, 0.0]"),
        ((0.9999, 0.9998, 1.0), "0.0 % [0.0, 0.0]"),
        ((3.5, 2.4, 4.6), "+250 % [140, 360]"),
        ((1.1, math.nan, math.nan), "+10.0 % [?]"),
        ((math.nan, math.nan, math.nan), "—"),
    ],
)
def test_change_with_interval(ratio, expected):
    assert units.change_with_interval(*ratio) == expected
    assert units.change(ratio[0]) == expected.partition(" [")[0]


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.03, "3 %"), (0.025, "2.5 %"), (0.0, "0 %"), (0.1, "10 %"), (1 / 3, "33.3 %")]
)
def test_short_percent(fraction, expected):
    assert units.short_percent(fraction) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ((0.62, 0.6, 0.64), "62 % [60, 64]"),
        ((-0.05, -0.12, 0.0001), "−5.0 % [−12, 0.0]"),
        ((-0.0001, math.nan, math.nan), "0.0 % [?]"),
        ((math.nan, math.nan, math.nan), "—"),
    ],
)
def test_percent_with_interval(share, expected):
    assert units.percent_with_interval(*share) == expected
