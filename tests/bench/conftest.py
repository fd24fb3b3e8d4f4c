"""Fixtures for the tests of the harness."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.analyse.machine import calibration, families


@pytest.fixture(autouse=True, scope="session")
def few_trials() -> Iterator[None]:
    """A calibration's runs of many cells, of which there are thousands, are fewer here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "TRIALS", 10)
        patch.setattr(families, "UNCHANGED", 40)
        patch.setattr(calibration, "SETS", 100)
        yield
