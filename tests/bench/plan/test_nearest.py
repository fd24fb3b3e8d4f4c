"""Tests of hints at known names."""

import pytest

from bench.plan.nearest import hint


@pytest.mark.parametrize(("name", "meant"), [("numpi", "numpy"), ("TORCH", "torch"), ("pytorch", "torch")])
def test_a_similar_name_is_hinted_at(name, meant):
    assert hint(name, ["numpy", "torch", "jax"]) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["", "abacus", "x" * 100_000])
def test_an_unlike_name_has_no_hint(name):
    assert hint(name, ["numpy", "torch", "jax"]) == ""
