"""Values in the types that JSON has."""

from __future__ import annotations

from math import isinf
from typing import Any

import pandas as pd


def plain(value: Any) -> Any:
    """Convert a NumPy scalar to Python's, and NaN, infinity or an empty text, CSV's unknown value, to None."""
    if pd.isna(value) or value == "":
        return None
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and isinf(value) else value
