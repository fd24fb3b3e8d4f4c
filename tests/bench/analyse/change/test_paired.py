"""Tests of the changes between two sides of one run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analyse.change import gate, paired
from bench.analyse.change.changes import Change
from bench.analyse.run.run import Run
from bench.measure.records import Block, PassChosen, Record
from bench.plan.sides import BASE, HEAD
from tests.bench.made import LARGE, SMALL, Outcome
from tests.bench.sides import at_first, compared, side, slower

CRASHED = Outcome("crashed", "bang")


def changes_of(records: list[Record]) -> dict[str, Change]:
    """Return the change of each implementation, which has one cell."""
    by_implementation = {change.cell.contender.implementation: change for change in paired.changes(Run.of(records))}
    assert len(by_implementation) == len(paired.changes(Run.of(records)))
    return by_implementation


def test_equal_sides_are_the_same():
    changes = changes_of(compared())
    assert {change.verdict for change in changes.values()} == {"same"}
    assert [change.cell.contender.variant for change in changes.values()] == ["", ""]
    assert changes["numpy"].ratio.value == pytest.approx(1, abs=0.001)
    assert changes["numpy"].ratio.passes == changes["numpy"].base.floor.passes == 5


def test_slower_head_is_found_with_size_and_cell():
    changes = changes_of(compared(slower("numpy", 0.3)))
    assert {name: change.verdict for name, change in changes.items()} == {"numpy": "slower", "torch": "same"}
    change = changes["numpy"]
    assert change.ratio.value == pytest.approx(1.3, rel=0.002)
    assert change.typical.value == pytest.approx(1.3, rel=0.002)
    assert change.ratio.low > 1.29
    assert change.typical_verdict == "slower"
    assert gate.outcome(list(changes.values())).exit_code == 1


def test_faster_head_is_clean():
    changes = changes_of(compared(slower("torch", -0.2)))
    assert changes["torch"].verdict == "faster"
    assert gate.outcome(list(changes.values())).exit_code == 0


def test_machine_slowdown_within_a_pass_cancels():
    change = changes_of(compared())["numpy"]
    assert change.base.floor.half_width > 0.005  # the passes drift by 1 %
    assert change.ratio.half_width < 0.003


def test_a_round_in_which_one_side_was_quick_does_not_decide():
    def quick_in_first_round(record: Record) -> Record:
        is_quick = isinstance(record, Block) and record.round == 1 and f"~{BASE}" in record.cell
        return replace(record, seconds=[0.8 * second for second in record.seconds]) if is_quick else record

    changes = changes_of([quick_in_first_round(record) for record in compared(rounds=5)])
    assert {change.verdict for change in changes.values()} == {"same"}


def test_blocks_of_one_sample_show_a_change():
    records = [
        replace(each, seconds=each.seconds[:1]) if isinstance(each, Block) else each
        for each in compared(slower("numpy", 0.03))
    ]
    change = changes_of(records)["numpy"]
    assert (change.verdict, change.ratio.value) == ("slower", pytest.approx(1.03, rel=0.002))


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
def test_cell_without_a_time_has_its_verdict(outcomes, verdict, reason, code):
    changes = changes_of(compared(outcomes=outcomes))
    assert (changes["torch"].verdict, changes["torch"].reason) == (verdict, reason)
    assert changes["numpy"].verdict == "same"
    assert gate.outcome(list(changes.values())).exit_code == code


def test_renamed_implementation_is_missing_under_both_names():
    changes = changes_of(compared(sides=(side(BASE, "numpy"), side(HEAD, "torch"))))
    assert {name: (change.verdict, change.reason) for name, change in changes.items()} == {
        "numpy": ("missing", "only in base"),
        "torch": ("missing", "only in head"),
    }
    assert gate.outcome(list(changes.values())).exit_code == 1
    assert gate.outcome(list(changes.values()), ("slower",)).exit_code == 3  # nothing was compared


def test_shape_of_only_base_is_missing():
    records = compared(shapes=(SMALL, LARGE), gone=lambda cell: cell.shape == LARGE)
    changes = paired.changes(Run.of(records))
    assert {(change.cell.shape, change.verdict) for change in changes} == {(SMALL, "same"), (LARGE, "missing")}
    assert {change.reason for change in changes if change.verdict == "missing"} == {"only in base"}


def test_crashed_base_cannot_be_judged():
    changes = changes_of(compared(outcomes={(BASE, "numpy"): CRASHED, (BASE, "torch"): CRASHED}))
    assert {change.verdict for change in changes.values()} == {"fixed"}
    assert gate.outcome(list(changes.values())).exit_code == 3


def test_interrupted_run_is_unclear():
    records = compared(slower("numpy", 0.3), passes=3)
    changes = changes_of(records)
    assert {change.verdict for change in changes.values()} == {"unclear"}
    assert changes["numpy"].reason.startswith("3 passes")
    [first, *_] = records
    assert {change.verdict for change in paired.changes(Run.of([first]))} == {"untimed"}


def test_minimum_effect_by_pattern():
    changes = changes_of(compared(slower("numpy", 0.04), min_effects=(("step*numpy*", 0.05),)))
    assert (changes["numpy"].verdict, changes["numpy"].min_effect) == ("same", 0.05)
    assert changes["torch"].min_effect == 0.02
    assert (
        changes_of(compared(slower("torch", 0.04), min_effects=(("step*numpy*", 0.05),)))["torch"].verdict == "slower"
    )


def test_suspects_are_both_sides_of_slower_cells():
    assert paired.suspects(Run.of(compared())) == set()
    assert paired.suspects(Run.of(compared(slower("torch", -0.3)))) == set()
    keys = paired.suspects(Run.of(compared(slower("torch", 0.3))))
    assert len(keys) == 2
    assert all("torch" in key for key in keys)
    assert {key.partition("~")[2] for key in keys} == {"base]", "head]"}


def test_suspects_of_a_run_that_goes_on_are_all_that_will_be_slower():
    """The last look spends all that is left of the error rate, more than the looks after which a run may go on."""
    deviations, unclear_before = (1.0, 1.01, 0.99, 1.02, 0.98), 0
    for percent in range(1, 12):

        def noisy(cell, pass_number, factor=1 + percent / 100):
            return factor * deviations[(pass_number - 1) % 5]

        records = compared(noisy, time_budget=60.0)
        going_on, ended = Run.of(records[:-1]), Run.of(records)
        is_slower = {change.verdict for change in paired.changes(ended)} == {"slower"}
        assert paired.suspects(going_on) == ({cell.key for cell in ended.plan.cells} if is_slower else set())
        unclear_before += is_slower and {change.verdict for change in paired.changes(going_on)} == {"unclear"}
    assert unclear_before > 0


def test_confirmed_slower_cell_is_slower():
    change = changes_of(compared(slower("numpy", 0.3), confirmed=5))["numpy"]
    assert change.verdict == "slower"
    assert change.ratio.passes == 5
    assert change.reason.startswith("again slower, +30.0 % [")
    assert change.reason.endswith("], in 5 fresh passes")


@pytest.mark.parametrize("later_slowdown", [0.0, -0.2])
def test_unconfirmed_slower_cell_is_unclear(later_slowdown):
    def factor(cell, pass_number):
        return 1.3 if pass_number <= 5 else 1 + later_slowdown

    for change in changes_of(compared(factor, confirmed=5)).values():
        assert change.verdict == "unclear"
        assert change.reason.startswith("slower at first, but ")
    assert gate.outcome(paired.changes(Run.of(compared(factor, confirmed=5)))).exit_code == 3


def test_confirming_passes_only_count_for_suspects():
    def factor(cell, pass_number):
        return 1.5 if pass_number > 5 else 1.0

    changes = changes_of(compared(factor, confirmed=5))
    assert {change.verdict for change in changes.values()} == {"same"}
    assert {change.ratio.passes for change in changes.values()} == {5}


def test_too_few_confirming_passes_are_unclear():
    change = changes_of(compared(slower("numpy", 0.3), confirmed=3))["numpy"]
    assert change.verdict == "unclear"
    assert change.reason.startswith("slower at first, but unclear, +30.0 % [")
    assert change.reason.endswith(", in 3 fresh passes")


def test_undecided_are_both_sides_of_unclear_imprecise_cells():
    def noisy(cell, pass_number):
        return (0.97, 1.03, 1.0, 1.06, 0.99)[(pass_number - 1) % 5] if cell.contender.implementation == "torch" else 1.0

    keys = paired.undecided(Run.of(compared(noisy, time_budget=60.0)))
    assert len(keys) == 2
    assert all("torch" in key for key in keys)
    assert paired.undecided(Run.of(compared(noisy, time_budget=60.0, precision=0.5))) == set()
    assert paired.undecided(Run.of(compared(time_budget=60.0))) == set()


def test_confirming_passes_are_the_marked_ones():
    records = compared(confirmed=2)
    assert paired.confirming(Run.of(records)) == {6, 7}
    assert paired.confirming(Run.of([*records, PassChosen(9, [], 2)])) == {6, 7}
    assert changes_of(compared(at_first("numpy", 0.3), confirmed=5))["numpy"].verdict == "unclear"
