"""What is known of dtypes, against NumPy's float16 and ml_dtypes' bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.worker import dtypes
from implementations.interface import cast, host_dtype, to_bfloat16

NORMAL = st.floats(-(2.0**120), 2.0**120, width=32).filter(lambda number: number == 0 or abs(number) > 2.0**-120)
WEIGHTS = st.lists(st.floats(-4, 4), min_size=1, max_size=20)


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_rounding_to_bfloat16_is_that_of_ml_dtypes(numbers):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.array(numbers, "float32")
    np.testing.assert_array_equal(to_bfloat16(array), array.astype(ml_dtypes.bfloat16).astype("float32"))


@given(NORMAL)
def test_rounding_of_the_checks_is_that_of_the_implementations(number):
    array = np.array([number], "float32")
    assert dtypes.rounded(array, "bfloat16") == cast(array, "bfloat16")
    assert not dtypes.lacks(cast(array, "bfloat16"), "bfloat16")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_cast_keeps_what_a_dtype_has(dtype):
    once = cast(np.random.default_rng(0).standard_normal((4, 5)), dtype)
    assert once.dtype == host_dtype(dtype) == dtypes.host_dtype(dtype)
    np.testing.assert_array_equal(cast(once, dtype), once)
    assert dtypes.rounded(1 + dtypes.eps(dtype), dtype) == 1 + dtypes.eps(dtype)
    assert dtypes.rounded(1 + dtypes.eps(dtype) / 4, dtype) == 1


def test_bfloat16_lacks_numbers_of_more_bits():
    assert dtypes.lacks(np.array([1.0, 1 + 2**-8], "float32"), "bfloat16")
    assert not dtypes.lacks(np.array([1.0, 1 + 2**-8], "float32"), "float32")


@pytest.mark.parametrize("dtype", dtypes.NARROW)
@given(WEIGHTS)
def test_rounding_loses_half_a_unit_at_most(dtype, numbers):
    array = np.array(numbers)
    off = np.abs(dtypes.rounded(array, dtype) - array)
    assert (off <= dtypes.half_units(array, dtype)).all()


@pytest.mark.parametrize("dtype", dtypes.NARROW)
@given(WEIGHTS, st.floats(-1, 1), st.floats(0, 0.1))
def test_weights_become_what_lies_between_two_roundings(dtype, numbers, change, slack):
    weights = dtypes.rounded(np.array(numbers), dtype)
    low, high = dtypes.updated(weights, np.array(change), slack, dtype)
    for off in (-slack, 0.0, slack):
        after = dtypes.rounded(weights - change + off, dtype)
        assert ((low <= after) & (after <= high)).all()


def test_error_of_a_rate_is_larger_where_numbers_are_subnormal():
    for rate in (1e-2, 3e-4, 1e-6, 2e-7, 1e-9):
        bound = dtypes.rate_error(rate, "float16")
        for factor in (1, 2):
            assert abs(float(np.float16(factor * rate)) / (factor * rate) - 1) <= bound
    assert dtypes.rate_error(1e-6, "float16") == pytest.approx(0.03, rel=0.01)
    assert dtypes.rate_error(1e-6, "bfloat16") == 2**-8
