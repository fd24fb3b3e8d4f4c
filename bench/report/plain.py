"""Values as JSON has them."""

from __future__ import annotations

from math import isinf
from typing import Any

import pandas as pd


def plain(value: Any) -> Any:
    """No NumPy scalar, and None for what is not known, as an empty text is in CSV, or is infinite."""
    if pd.isna(value) or value == "":
        return None
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and isinf(value) else value
