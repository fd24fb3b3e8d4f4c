"""The outcome of a comparison for the tests, the terminal and the files of its run."""

from __future__ import annotations

import json

import pytest

from bench.analyse.change.gate import DEFAULT_FAIL_ON
from bench.analyse.run.run import Run
from bench.glue import against
from bench.measure.records import Block
from bench.plan.sides import BASE, HEAD
from tests.bench.made import Outcome
from tests.bench.sides import compared, side, slower

NUMPY, TORCH = (f"step[{name}-cpu-float32-N64-D1000-H100]" for name in ("numpy", "torch"))
CRASHED = Outcome("crashed", "bang")


@pytest.fixture
def folder(tmp_path):
    """The folder of a run."""
    return tmp_path


def test_outcome_has_samples_of_head_and_failing_verdict():
    records = compared(slower("numpy", 0.3))
    outcomes = against.outcomes(Run.of(records), DEFAULT_FAIL_ON)
    assert {key: outcome.status for key, outcome in outcomes.items()} == {NUMPY: "slower", TORCH: "ok"}
    assert outcomes[NUMPY].reason.startswith("+30.0 % [")
    assert outcomes[TORCH].facts["verdict"] == "same"
    blocks = [block for block in records if isinstance(block, Block) and block.cell == TORCH.replace("]", "~head]")]
    assert list(outcomes[TORCH].samples) == [second for block in blocks for second in block.seconds]
    assert {outcome.status for outcome in against.outcomes(Run.of(compared()), ("slower",)).values()} == {"ok"}


@pytest.mark.parametrize(("fail_on", "status"), [(("missing",), "missing"), (("slower",), "unavailable")])
def test_cell_missing_in_head_fails_or_is_skipped(fail_on, status):
    records = compared(sides=(side(BASE), side(HEAD, "torch")))
    outcome = against.outcomes(Run.of(records), fail_on)[NUMPY]
    assert (outcome.status, outcome.reason, outcome.samples) == (status, "only in base", ())


def test_cell_that_crashed_in_head_always_fails():
    records = compared(outcomes={(HEAD, "numpy"): CRASHED})
    assert against.outcomes(Run.of(records), ("slower",))[NUMPY].status == "crashed"
    assert against.outcomes(Run.of(records), DEFAULT_FAIL_ON)[NUMPY].status == "missing"


@pytest.mark.parametrize(
    ("records", "fail_on", "fails", "nothing"),
    [
        (compared(), DEFAULT_FAIL_ON, False, False),
        (compared(slower("numpy", 0.3)), DEFAULT_FAIL_ON, True, False),
        (compared(slower("numpy", 0.3)), ("wrong", "missing"), False, False),
        (compared(slower("numpy", -0.3)), DEFAULT_FAIL_ON, False, False),
        (compared(sides=(side(BASE), side(HEAD, "torch"))), DEFAULT_FAIL_ON, True, False),
        (compared(sides=(side(BASE), side(HEAD, "torch"))), ("slower",), False, False),
        (compared(outcomes={(BASE, "numpy"): CRASHED}), DEFAULT_FAIL_ON, False, False),
        (compared(outcomes={(BASE, "numpy"): CRASHED, (BASE, "torch"): CRASHED}), DEFAULT_FAIL_ON, True, True),
        (compared(sides=(side(BASE, "numpy"), side(HEAD, "torch"))), ("slower",), True, True),
    ],
    ids=["equal", "slower", "slower allowed", "faster", "lost", "lost allowed", "fixed", "base crashed", "all renamed"],
)
def test_finish_fails_by_verdict_or_without_comparison(folder, records, fail_on, fails, nothing):
    failed, lines = against.finish(Run.of(records), folder, fail_on)
    assert failed is fails
    assert (against.NOTHING in lines) is nothing


def test_finish_writes_comparison_files(folder):
    records = compared(slower("numpy", 0.3), confirmed=5, min_effects=(("step*torch*", 0.1),))
    against.finish(Run.of(records), folder, DEFAULT_FAIL_ON)
    page = (folder / "comparison.md").read_text(encoding="utf-8")
    assert page.startswith("### ❌ 1 of 2 cells slower, worst +30.0 % [")
    assert "`9bd0a46 (origin/main)` → `this tree`, paired: base and head had fresh processes" in page
    data = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert data["failing"] == [NUMPY]
    assert (data["outcome"], data["exit_code"], data["confirming_passes"]) == ("regression", 1, 5)
    assert data["min_effect_of"] == {"step*torch*": 0.1}
    assert {cell["cell"]: cell["min_effect"] for cell in data["cells"]} == {NUMPY: 0.02, TORCH: 0.1}
