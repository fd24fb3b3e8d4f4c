"""Two sides: who has which cells."""

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
    return Side(name, f"{name}'s label", "python", "/there", implementations)


def plan(names=NAMES, **others):
    return plan_of(names, **{"baseline": names[0], "ceilings": (Contender("a", "cpu", "float32"),), **others})


def test_each_cell_is_there_once_for_each_side_that_has_it_base_first():
    base, head = side(BASE, "a", "b"), side(HEAD, "a", "c")
    told = doubled(plan(phases=["step"]), (base, head))
    assert [(cell.contender.implementation, cell.contender.variant) for cell in told.cells] == [
        ("a", BASE),
        ("a", HEAD),
        ("b", BASE),
        ("c", HEAD),
        ("mine:Net", BASE),
        ("mine:Net", HEAD),
    ]
    assert told.sides == (base, head)


def test_a_cell_that_only_base_has_is_not_measured_in_head_though_head_could():
    asked = plan(("a",), phases=["step"], shapes=[Shape(4, 5, 3), Shape(8, 5, 3)])
    told = doubled(asked, (side(BASE, "a"), side(HEAD, "a")), asked.cells[1:])
    assert [cell.contender.variant for cell in told.cells] == [BASE, HEAD, BASE]


@pytest.mark.parametrize(("asked", "least"), [(1, looks.FIRST), (looks.FIRST, looks.FIRST), (9, 9)])
def test_there_are_enough_passes_to_decide_and_no_ceilings(asked, least):
    told = doubled(plan(passes=asked), (side(BASE, "a"), side(HEAD, "a")))
    assert told.passes == least
    assert told.ceilings == ()


@steady
@given(st.sets(st.sampled_from(NAMES[:3])), st.sets(st.sampled_from(NAMES[:3])))
def test_doubling_loses_no_cell_that_a_side_has_and_invents_none(mine, theirs):
    base, head = side(BASE, *mine), side(HEAD, *theirs)
    asked = plan()
    told = doubled(asked, (base, head))
    assert len(set(told.cells)) == len(told.cells)
    assert {off(cell) for cell in told.cells} == {cell for cell in asked.cells if has(base, cell) or has(head, cell)}
    for cell in told.cells:
        assert has(base if cell.contender.variant == BASE else head, cell)


def test_a_side_s_cell_has_the_key_of_the_cell_it_is_of_once_its_side_is_left_out():
    cell = Cell(Contender("a", "cpu", "float32", 1), Shape(4, 5, 3), "step")
    mine = on(cell, side(HEAD))
    assert mine.key != cell.key
    assert without_variant(mine.key) == cell.key
    assert off(mine) == cell


def test_what_only_base_has_stands_last_in_the_plan_of_both():
    base, head = plan(("a", "b"), phases=["step"]), plan(("a", "c"), phases=["step"], seed=8)
    told, gone = joined(base, head)
    assert [cell.contender.implementation for cell in told.cells] == ["a", "c", "b"]
    assert gone == told.cells[2:]
    assert replace(told, cells=head.cells) == head


def test_where_a_side_has_nothing_the_plan_is_the_other_s():
    only = plan(("a",))
    assert joined(only, None) == (only, only.cells)
    assert joined(None, only) == (only, ())


def test_what_head_s_own_tree_would_have_had_is_not_gone():
    base, head, own = (plan(names, phases=["step"]) for names in (("a", "b", "c"), ("a",), ("a", "b")))
    told, gone = joined(base, head, own)
    assert [cell.contender.implementation for cell in gone] == ["c"]
    assert len(told.cells) == 2
