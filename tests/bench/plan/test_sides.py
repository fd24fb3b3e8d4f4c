"""Tests of plans of two sides and their cells."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import looks
from bench.plan.cells import Cell, Contender, Shape, Side, without_variant
from bench.plan.sides import BASE, HEAD, doubled, has, joined, off, on
from tests.bench.fakes import plan_of
from tests.bench.made import steady

NAMES = ("a", "b", "c", "mine:Net")


def side(name: str, *implementations: str) -> Side:
    return Side(name, f"{name}'s label", "python", "/tree", implementations)


def plan(names=NAMES, **settings):
    return plan_of(names, **{"baseline": names[0], "ceilings": (Contender("a", "cpu", "float32"),), **settings})


def test_each_cell_is_doubled_for_the_sides_that_have_it_base_first():
    base, head = side(BASE, "a", "b"), side(HEAD, "a", "c")
    both = doubled(plan(phases=["step"]), (base, head))
    assert [(cell.contender.implementation, cell.contender.variant) for cell in both.cells] == [
        ("a", BASE),
        ("a", HEAD),
        ("b", BASE),
        ("c", HEAD),
        ("mine:Net", BASE),
        ("mine:Net", HEAD),
    ]
    assert both.sides == (base, head)


def test_a_gone_cell_is_measured_in_base_only():
    single = plan(("a",), phases=["step"], shapes=[Shape(4, 5, 3), Shape(8, 5, 3)])
    both = doubled(single, (side(BASE, "a"), side(HEAD, "a")), single.cells[1:])
    assert [cell.contender.variant for cell in both.cells] == [BASE, HEAD, BASE]


@pytest.mark.parametrize(("passes", "expected"), [(1, looks.FIRST), (looks.FIRST, looks.FIRST), (9, 9)])
def test_doubling_raises_passes_and_drops_ceilings(passes, expected):
    both = doubled(plan(passes=passes), (side(BASE, "a"), side(HEAD, "a")))
    assert both.passes == expected
    assert both.ceilings == ()


@steady
@given(st.sets(st.sampled_from(NAMES[:3])), st.sets(st.sampled_from(NAMES[:3])))
def test_doubling_keeps_exactly_the_cells_that_a_side_has(base_names, head_names):
    base, head = side(BASE, *base_names), side(HEAD, *head_names)
    single = plan()
    both = doubled(single, (base, head))
    assert len(set(both.cells)) == len(both.cells)
    assert {off(cell) for cell in both.cells} == {cell for cell in single.cells if has(base, cell) or has(head, cell)}
    for cell in both.cells:
        assert has(base if cell.contender.variant == BASE else head, cell)


def test_a_sides_key_without_its_variant_is_the_cells_key():
    cell = Cell(Contender("a", "cpu", "float32", 1), Shape(4, 5, 3), "step")
    head_cell = on(cell, side(HEAD))
    assert head_cell.key != cell.key
    assert without_variant(head_cell.key) == cell.key
    assert off(head_cell) == cell


def test_cells_that_only_base_has_come_last():
    base, head = plan(("a", "b"), phases=["step"]), plan(("a", "c"), phases=["step"], seed=8)
    both, gone = joined(base, head)
    assert [cell.contender.implementation for cell in both.cells] == ["a", "c", "b"]
    assert gone == both.cells[2:]
    assert replace(both, cells=head.cells) == head


def test_joining_with_no_plan_returns_the_other():
    only = plan(("a",))
    assert joined(only, None) == (only, only.cells)
    assert joined(None, only) == (only, ())


def test_cells_of_heads_own_tree_are_not_gone():
    base, head, own = (plan(names, phases=["step"]) for names in (("a", "b", "c"), ("a",), ("a", "b")))
    both, gone = joined(base, head, own)
    assert [cell.contender.implementation for cell in gone] == ["c"]
    assert len(both.cells) == 2
