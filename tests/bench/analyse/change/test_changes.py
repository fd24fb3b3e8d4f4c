"""Tests of the verdicts on changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analyse.change.changes import ABSENT, Change, SideOutcome, judge, machine_ratio
from bench.analyse.estimates.statistics import Estimate
from bench.plan.cells import Cell
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH

CELL = Cell(NUMPY, SMALL, "step")
OK = SideOutcome("ok", "", Estimate(1e-3, 9e-4, 1.1e-3, 5))
SLOWER, SAME, FASTER = Estimate(1.1, 1.09, 1.11, 5), Estimate(1.0, 0.99, 1.01, 5), Estimate(0.9, 0.89, 0.91, 5)


def change(ratio: Estimate = SAME, **others) -> Change:
    return Change(**{"cell": CELL, "base": OK, "head": OK, "ratio": ratio, "typical": ratio, **others})


@pytest.mark.parametrize(("ratio", "verdict"), [(SLOWER, "slower"), (SAME, "same"), (FASTER, "faster")])
def test_ratio_above_one_is_slower(ratio, verdict):
    [judged] = judge([change(ratio)])
    assert (judged.verdict, judged.typical_verdict, judged.reason) == (verdict, verdict, "")


@pytest.mark.parametrize(
    ("base", "head", "verdict", "reason"),
    [
        (OK, SideOutcome("wrong", "w1 is off"), "wrong", "w1 is off"),
        (SideOutcome("wrong"), SideOutcome("wrong", "still"), "wrong", "still"),
        (ABSENT, SideOutcome("wrong", "new"), "wrong", "new"),
        (OK, ABSENT, "missing", "only in base"),
        (ABSENT, OK, "missing", "only in head"),
        (SideOutcome("crashed", "bang"), ABSENT, "missing", "only in base, crashed: bang"),
        (OK, SideOutcome("timeout", "120 s"), "missing", "in head timeout: 120 s"),
        (OK, SideOutcome("not_run"), "missing", "in head not_run"),
        (SideOutcome("wrong", "was off"), OK, "fixed", "in base wrong: was off"),
        (SideOutcome("crashed"), SideOutcome("unavailable", "no CuPy"), "untimed", "unavailable: no CuPy"),
    ],
)
def test_cell_without_a_ratio_has_verdict_and_reason(base, head, verdict, reason):
    [judged] = judge([change(SLOWER, base=base, head=head)])
    assert (judged.verdict, judged.reason, judged.typical_verdict) == (verdict, reason, "")


@pytest.mark.parametrize(("passes", "words"), [(4, "4 passes"), (1, "1 pass,"), (0, "0 passes")])
def test_fewer_than_five_passes_are_unclear(passes, words):
    [judged] = judge([change(replace(SLOWER, passes=passes))])
    assert judged.verdict == "unclear"
    assert judged.reason.startswith(words)
    assert judged.reason.endswith("fewer than 5 decide nothing")


def test_cells_without_ratios_do_not_change_other_verdicts():
    barely = Estimate(1.05, 1.021, 1.08, 5)
    crowd = [change(replace(SLOWER, passes=3))] * 50 + [change(SLOWER, head=ABSENT)] * 50
    assert judge([change(barely), *crowd])[0].verdict == judge([change(barely)])[0].verdict == "slower"


def test_many_cells_need_more_evidence_than_one():
    barely = Estimate(1.05, 1.0201, 1.0808, 5)
    assert judge([change(barely)])[0].verdict == "slower"
    assert judge([change(barely), *[change(SAME)] * 50])[0].verdict == "unclear"


def test_minimum_effect_by_cell():
    other_cell = Cell(TORCH, LARGE, "step")
    changes = judge([change(SLOWER), change(SLOWER, cell=other_cell)], lambda cell: 0.2 if cell == other_cell else 0.02)
    assert [(judged.verdict, judged.min_effect) for judged in changes] == [("slower", 0.02), ("same", 0.2)]


def test_floor_and_typical_disagree_only_if_both_are_decided():
    different, equal = judge([change(SLOWER, typical=SAME), change(SLOWER)])
    assert (different.verdict, different.typical_verdict) == ("slower", "same")
    assert (different.disagrees, equal.disagrees) == (True, False)
    [undecided] = judge([change(SLOWER, typical=Estimate(1.0, 0.5, 2.0, 5))])
    assert not undecided.disagrees


def test_cell_can_be_slower_with_its_machine():
    [judged] = judge([change(SLOWER, relative=SAME)])
    assert judged.with_the_machine
    [judged] = judge([change(SLOWER, relative=SLOWER)])
    assert not judged.with_the_machine
    [judged] = judge([change(SLOWER, relative=replace(SAME, low=float("nan"), high=float("nan")))])
    assert (judged.with_the_machine, judged.relative_verdict) == (False, "")


def test_machine_ratio_is_the_median_of_cells():
    slowed = change(Estimate(1.2, 1.1, 1.3, 5), relative=Estimate(1.0, 0.9, 1.1, 5))
    odd = change(Estimate(3.0, 2.9, 3.1, 5), relative=Estimate(1.0, 0.9, 1.1, 5))
    assert machine_ratio([slowed, slowed, odd, change()]) == pytest.approx(1.2)
    assert machine_ratio([change()]) != machine_ratio([change()])


def test_judged_change_can_be_judged_again():
    once = judge([change(SLOWER)])
    assert judge([replace(once[0], ratio=SAME)])[0].verdict == "same"


def test_no_changes_have_no_verdicts():
    assert judge([]) == []
