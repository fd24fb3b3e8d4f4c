"""Tests of whether changes pass."""

from __future__ import annotations

import pytest

from bench.analyse.change import gate
from bench.analyse.change.changes import Change, SideOutcome
from bench.analyse.estimates.statistics import Estimate
from bench.plan.cells import Cell
from tests.bench.made import NUMPY, SMALL

SAME = Estimate(1.0, 0.99, 1.01, 5)


def change(verdict: str, ratio: Estimate = SAME, **others) -> Change:
    return Change(Cell(NUMPY, SMALL, "step"), SideOutcome("ok"), SideOutcome("ok"), ratio, verdict=verdict, **others)


def test_summary_counts_cells_and_names_the_worst():
    slower = [change("slower", Estimate(1.071, 1.052, 1.09, 5)), change("slower", Estimate(1.03, 1.025, 1.035, 5))]
    changes = [*slower, *[change("same")] * 44, *[change("unclear")] * 2]
    assert gate.summary(changes) == "2 of 48 cells slower, worst +7.1 % [5.2, 9.0], 44 same, 2 unclear"


def test_summary_counts_cells_without_ratios():
    changes = [change(verdict) for verdict in ("same", "faster", "wrong", "missing", "fixed", "untimed", "untimed")]
    assert gate.summary(changes) == "0 of 7 cells slower, 1 same, 1 faster, 1 wrong, 1 missing, 1 fixed, 2 not timed"
    assert gate.summary([change("same")]) == "0 of 1 cell slower, 1 same"


def test_summary_counts_cells_slower_with_their_machine():
    with_machine = change("slower", relative=SAME, relative_verdict="same")
    assert gate.summary([with_machine, change("slower")]).endswith(
        ", 1 of those slower no more than the machine itself"
    )


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "kind", "code"),
    [
        (["same", "faster", "unclear"], gate.DEFAULT_FAIL_ON, "clean", 0),
        (["same", "untimed", "fixed"], gate.DEFAULT_FAIL_ON, "clean", 0),
        (["same", "slower"], gate.DEFAULT_FAIL_ON, "regression", 1),
        (["same", "wrong"], gate.DEFAULT_FAIL_ON, "regression", 1),
        (["same", "missing"], gate.DEFAULT_FAIL_ON, "regression", 1),
        (["missing"], gate.DEFAULT_FAIL_ON, "regression", 1),
        (["same", "slower"], ("wrong",), "clean", 0),
        (["same", "unclear"], ("slower", "unclear"), "not judged", 3),
        (["slower", "unclear"], ("slower", "unclear"), "regression", 1),
        (["unclear", "unclear"], gate.DEFAULT_FAIL_ON, "not judged", 3),
        (["untimed"], gate.DEFAULT_FAIL_ON, "not judged", 3),
        ([], gate.DEFAULT_FAIL_ON, "not judged", 3),
    ],
)
def test_outcome_follows_fail_on(verdicts, fail_on, kind, code):
    changes = [change(verdict) for verdict in verdicts]
    outcome = gate.outcome(changes, fail_on)
    assert (outcome.kind, outcome.exit_code) == (kind, code)
    assert [failing.verdict for failing in outcome.failing] == [verdict for verdict in verdicts if verdict in fail_on]


def test_incomparable_sides_are_not_judged():
    outcome = gate.incomparable(["cpu", "numpy", "cpu"])
    assert (outcome.summary, outcome.exit_code) == ("not comparable: cpu, numpy differ", 3)


def test_fail_on_list_is_read():
    assert gate.fail_on("--fail-on", " slower, unclear,slower") == ("slower", "unclear")


@pytest.mark.parametrize("text", ["slower,worse", "", " , ", "same"])
def test_invalid_fail_on_word_is_named(text):
    with pytest.raises(
        ValueError, match=r"^--fail-on: '.*' is nothing to fail on; list some of slower, unclear, wrong"
    ):
        gate.fail_on("--fail-on", text)
