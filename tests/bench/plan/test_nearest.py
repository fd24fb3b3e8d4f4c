"""What was probably meant."""

import pytest

from bench.plan.nearest import hint


@pytest.mark.parametrize(("name", "meant"), [("numpi", "numpy"), ("TORCH", "torch"), ("pytorch", "torch")])
def test_a_name_like_a_known_one_is_taken_for_it(name, meant):
    assert hint(name, ["numpy", "torch", "jax"]) == f"; did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["", "abacus", "x" * 100_000])
def test_a_name_like_none_has_no_hint(name):
    assert hint(name, ["numpy", "torch", "jax"]) == ""
