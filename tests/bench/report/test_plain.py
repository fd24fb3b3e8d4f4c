import math

import pandas as pd

from bench.report.plain import plain


def test_plain_values_are_those_of_json():
    number = pd.Series([3], dtype="Int64").iloc[0]
    values = (pd.NA, math.nan, math.inf, "", None, number, "x", 0.5, 0)
    assert [plain(value) for value in values] == [None, None, None, None, None, 3, "x", 0.5, 0]
    assert type(plain(number)) is int
