"""Tests of the minimum effect of each cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import effects
from bench.plan.cells import Cell, Contender, Shape, Side
from bench.plan.sides import BASE, on
from tests.bench.fakes import plan_of
from tests.bench.made import steady

KEY = "step[numpy-cpu-float32-N64-D1000-H100]"


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        (KEY.replace("[", "*").replace("]", "*"), True),
        ("step*numpy*", True),
        ("step*", True),
        ("*H100]", True),
        ("?tep*", True),
        ("train*", False),
        ("STEP*", False),
        ("step", False),
        (KEY, False),  # its bracket begins a set of letters
        ("step[[]numpy-cpu-*", True),
    ],
)
def test_patterns_match_keys_as_in_shells(pattern, matches):
    assert effects.of(KEY, 0.02, [(pattern, 0.5)]) == (0.5 if matches else 0.02)


def test_the_last_match_decides():
    patterns = (("*", 0.1), ("step*", 0.2), ("*numpy*", 0.3), ("train*", 0.4))
    assert effects.of(KEY, 0.02, patterns) == 0.3
    assert effects.of(KEY, 0.02, patterns[:2]) == 0.2
    assert effects.of("update[torch-cpu-float32-N1-D1-H1]", 0.02, patterns) == 0.1


@steady
@given(st.text(), st.lists(st.tuples(st.text(), st.floats(0, 0.99))))
def test_the_effect_is_a_patterns_or_the_overall_one(key, patterns):
    assert effects.of(key, 0.02, patterns) in {0.02, *(effect for _, effect in patterns)}


def test_both_sides_of_a_cell_have_the_same_effect():
    plain = Cell(Contender("a", "cpu", "float32", 1), Shape(4, 5, 3), "step")
    plan = plan_of(min_effect=0.03, min_effects=(("step*H3-T1]", 0.07),))
    side = Side(BASE, "b", "python", ".", ("a",))
    assert plan.min_effect_of(plain) == plan.min_effect_of(on(plain, side)) == 0.07
    assert plan.min_effect_of(plan.cells[0]) == 0.03
