"""What became of each cell between two sides of one run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analyse.change import gate, paired
from bench.analyse.change.changes import Change
from bench.analyse.run.run import Run
from bench.measure.records import PassChosen, Record
from bench.plan.sides import BASE, HEAD
from tests.bench.made import LARGE, SMALL, Outcome
from tests.bench.sides import at_first, compared, side, slower

CRASHED = Outcome("crashed", "bang")


def told(records: list[Record]) -> dict[str, Change]:
    """By implementation, of the only cell that each has."""
    found = {change.cell.contender.implementation: change for change in paired.changes(Run.of(records))}
    assert len(found) == len(paired.changes(Run.of(records)))
    return found


def test_equal_sides_are_the_same_in_every_cell():
    found = told(compared())
    assert {change.verdict for change in found.values()} == {"same"}
    assert [change.cell.contender.variant for change in found.values()] == ["", ""]
    assert found["numpy"].ratio.value == pytest.approx(1, abs=0.001)
    assert found["numpy"].ratio.passes == found["numpy"].base.floor.passes == 5


def test_a_slower_head_is_told_by_how_much_and_in_which_cell():
    found = told(compared(slower("numpy", 0.3)))
    assert {name: change.verdict for name, change in found.items()} == {"numpy": "slower", "torch": "same"}
    change = found["numpy"]
    assert change.ratio.value == pytest.approx(1.3, rel=0.002)
    assert change.typical.value == pytest.approx(1.3, rel=0.002)
    assert change.ratio.low > 1.29
    assert change.typical_verdict == "slower"
    assert gate.outcome(list(found.values())).exit_code == 1


def test_a_faster_head_is_clean():
    found = told(compared(slower("torch", -0.2)))
    assert found["torch"].verdict == "faster"
    assert gate.outcome(list(found.values())).exit_code == 0


def test_what_slows_the_machine_in_a_pass_cancels():
    change = told(compared())["numpy"]
    assert change.base.floor.half_width > 0.005  # the passes drift by 1 %
    assert change.ratio.half_width < 0.003


@pytest.mark.parametrize(
    ("outcomes", "verdict", "reason", "code"),
    [
        ({(HEAD, "torch"): CRASHED}, "missing", "in head crashed: bang", 1),
        ({(HEAD, "torch"): Outcome("wrong", "w1 is off")}, "wrong", "w1 is off", 1),
        (
            {(HEAD, "torch"): Outcome("unavailable", "not installed")},
            "missing",
            "in head unavailable: not installed",
            1,
        ),
        ({(BASE, "torch"): CRASHED}, "fixed", "in base crashed: bang", 0),
        ({(BASE, "torch"): Outcome("wrong", "was off")}, "fixed", "in base wrong: was off", 0),
        (
            {(BASE, "torch"): Outcome("unavailable", "not installed")},
            "missing",
            "in base unavailable: not installed",
            1,
        ),
        ({(BASE, "torch"): CRASHED, (HEAD, "torch"): CRASHED}, "untimed", "crashed: bang", 0),
        ({(HEAD, "torch"): replace(CRASHED, pass_number=4)}, "missing", "in head crashed: bang", 1),
    ],
)
def test_a_side_without_a_time_has_its_verdict_and_the_other_cells_theirs(outcomes, verdict, reason, code):
    found = told(compared(outcomes=outcomes))
    assert (found["torch"].verdict, found["torch"].reason) == (verdict, reason)
    assert found["numpy"].verdict == "same"
    assert gate.outcome(list(found.values())).exit_code == code


def test_a_renamed_implementation_is_missing_under_both_names():
    found = told(compared(sides=(side(BASE, "numpy"), side(HEAD, "torch"))))
    assert {name: (change.verdict, change.reason) for name, change in found.items()} == {
        "numpy": ("missing", "only in base"),
        "torch": ("missing", "only in head"),
    }
    assert gate.outcome(list(found.values())).exit_code == 1
    assert gate.outcome(list(found.values()), ("slower",)).exit_code == 3  # nothing was compared


def test_a_shape_that_only_base_has_is_missing():
    records = compared(shapes=(SMALL, LARGE), gone=lambda cell: cell.shape == LARGE)
    found = paired.changes(Run.of(records))
    assert {(change.cell.shape, change.verdict) for change in found} == {(SMALL, "same"), (LARGE, "missing")}
    assert {change.reason for change in found if change.verdict == "missing"} == {"only in base"}


def test_where_all_of_base_crashed_nothing_can_be_judged():
    found = told(compared(outcomes={(BASE, "numpy"): CRASHED, (BASE, "torch"): CRASHED}))
    assert {change.verdict for change in found.values()} == {"fixed"}
    assert gate.outcome(list(found.values())).exit_code == 3


def test_a_run_that_was_cut_off_decides_nothing():
    records = compared(slower("numpy", 0.3), passes=3)
    found = told(records)
    assert {change.verdict for change in found.values()} == {"unclear"}
    assert found["numpy"].reason.startswith("3 passes")
    [first, *_] = records
    assert {change.verdict for change in paired.changes(Run.of([first]))} == {"untimed"}


def test_a_minimum_effect_by_pattern_is_of_the_cells_it_matches():
    found = told(compared(slower("numpy", 0.04), min_effects=(("step*numpy*", 0.05),)))
    assert (found["numpy"].verdict, found["numpy"].min_effect) == ("same", 0.05)
    assert found["torch"].min_effect == 0.02
    assert told(compared(slower("torch", 0.04), min_effects=(("step*numpy*", 0.05),)))["torch"].verdict == "slower"


def test_suspects_are_both_sides_of_the_cells_that_seem_slower():
    assert paired.suspects(Run.of(compared())) == set()
    assert paired.suspects(Run.of(compared(slower("torch", -0.3)))) == set()
    keys = paired.suspects(Run.of(compared(slower("torch", 0.3))))
    assert len(keys) == 2
    assert all("torch" in key for key in keys)
    assert {key.partition("~")[2] for key in keys} == {"base]", "head]"}


def test_slower_once_and_again_is_slower_and_tells_both():
    change = told(compared(slower("numpy", 0.3), confirmed=5))["numpy"]
    assert change.verdict == "slower"
    assert change.ratio.passes == 5
    assert change.reason.startswith("again slower, +30.0 % [")
    assert change.reason.endswith("], in 5 fresh passes")


@pytest.mark.parametrize("again", [0.0, -0.2])
def test_slower_once_and_not_again_is_unclear(again):
    def factor(cell, pass_number):
        return 1.3 if pass_number <= 5 else 1 + again

    for change in told(compared(factor, confirmed=5)).values():
        assert change.verdict == "unclear"
        assert change.reason.startswith("slower at first, but ")
    assert gate.outcome(paired.changes(Run.of(compared(factor, confirmed=5)))).exit_code == 3


def test_fresh_passes_have_no_say_in_what_was_not_under_suspicion():
    def factor(cell, pass_number):
        return 1.5 if pass_number > 5 else 1.0

    found = told(compared(factor, confirmed=5))
    assert {change.verdict for change in found.values()} == {"same"}
    assert {change.ratio.passes for change in found.values()} == {5}


def test_too_few_fresh_passes_confirm_nothing():
    change = told(compared(slower("numpy", 0.3), confirmed=3))["numpy"]
    assert change.verdict == "unclear"
    assert change.reason.startswith("slower at first, but unclear, +30.0 % [")
    assert change.reason.endswith(", in 3 fresh passes")


def test_what_needs_more_passes_is_both_sides_of_cells_that_are_unclear_and_not_precise():
    def wild(cell, pass_number):
        return (0.97, 1.03, 1.0, 1.06, 0.99)[(pass_number - 1) % 5] if cell.contender.implementation == "torch" else 1.0

    keys = paired.undecided(Run.of(compared(wild, time_budget=60.0)))
    assert len(keys) == 2
    assert all("torch" in key for key in keys)
    assert paired.undecided(Run.of(compared(wild, time_budget=60.0, precision=0.5))) == set()
    assert paired.undecided(Run.of(compared(time_budget=60.0))) == set()


def test_confirming_passes_are_those_marked_so():
    records = compared(confirmed=2)
    assert paired.confirming(Run.of(records)) == {6, 7}
    assert paired.confirming(Run.of([*records, PassChosen(9, [], 2)])) == {6, 7}
    assert told(compared(at_first("numpy", 0.3), confirmed=5))["numpy"].verdict == "unclear"
