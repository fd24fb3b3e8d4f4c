"""Tests of checks of single values: what is accepted, and a short line for what is not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import values
from tests.bench.made import steady

CHECKS = {
    "whole": values.whole(1, 1000),
    "many": values.many(values.whole(1, 1000)),
    "or_word": values.or_word("auto", values.whole(1, 1000)),
    "one_of": values.one_of(("forward", "backward")),
    "name": values.name,
    "yes_or_no": values.yes_or_no,
    "seconds": values.seconds,
    "fraction": values.fraction,
    "fractions_by_pattern": values.fractions_by_pattern,
}
scalars = (
    st.text() | st.integers() | st.integers(10**30, 10**40) | st.floats() | st.booleans() | st.none() | st.datetimes()
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@pytest.mark.parametrize("name", CHECKS)
@steady
@given(value=anything)
def test_any_value_is_accepted_or_refused_in_one_short_line(name, value):
    complaint = ""
    try:
        CHECKS[name](value)
    except ValueError as error:
        complaint = str(error)
    assert complaint.isprintable()
    assert len(complaint) < 600


@pytest.mark.parametrize(
    "text", ["١٢", "１２", "1_000", " 5", "+5", "1e3", "0x10", "", "-1", "9" * 23, "9" * 5000, "nan"]
)
def test_a_whole_number_has_decimal_digits_within_bounds(text):
    with pytest.raises(ValueError, match="is not a whole number of at"):
        values.whole(1, 10**9)(text)


def test_the_bounds_themselves_are_accepted():
    assert [values.whole(1, 1000)(value) for value in (1, "1", 1000, "1000")] == [1, 1, 1000, 1000]
    with pytest.raises(ValueError, match="1001 is not a whole number of at most 1000"):
        values.whole(1, 1000)("1001")


@pytest.mark.parametrize("value", ["nan", "inf", "-1s", "", "٣s", "1e9", math.nan, math.inf, -1.0, True, "0s"])
def test_an_invalid_time_is_refused(value):
    with pytest.raises(ValueError, match="is not a time like"):
        values.seconds(value)


def test_a_time_beyond_a_year_is_refused():
    assert values.seconds("8784h") == values.MOST_SECONDS
    with pytest.raises(ValueError, match="a time is at most 8784h"):
        values.seconds("8785h")


@pytest.mark.parametrize(("value", "expected"), [(90, 90), (1.5, 1.5), ("5m", 300), ("1h", 3600), (" 2 s ", 2)])
def test_a_time_is_a_number_of_seconds_or_has_a_unit(value, expected):
    assert values.seconds(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.02, 0.02), ("2%", 0.02), (1e-7, 1e-7), ("0", 0), (0, 0)])
def test_a_fraction_is_a_number_or_a_percentage(value, expected):
    assert values.fraction(value) == pytest.approx(expected)


def test_a_duplicate_in_a_long_list_is_named():
    with pytest.raises(ValueError, match="77 stands there twice"):
        values.many(values.whole(1, 10**9))([*range(1, 200_000), 77])


def test_a_deeply_nested_value_is_shown_briefly():
    deep = {"a": 1}
    for _ in range(900):
        deep = {"a": deep}
    assert len(values.shown(deep)) < 200


def test_a_name_has_at_most_255_characters():
    assert values.name("a" * 255) == "a" * 255
    with pytest.raises(ValueError, match="has 256 characters; a name has at most 255"):
        values.name("a" * 256)
