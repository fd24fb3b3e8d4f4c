"""What a comparison comes to for the tests, the terminal and the files of its run."""

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


def test_a_test_s_samples_are_head_s_and_a_verdict_that_fails_is_its_status():
    records = compared(slower("numpy", 0.3))
    found = against.outcomes(Run.of(records), DEFAULT_FAIL_ON)
    assert {key: outcome.status for key, outcome in found.items()} == {NUMPY: "slower", TORCH: "ok"}
    assert found[NUMPY].reason.startswith("+30.0 % [")
    assert found[TORCH].facts["verdict"] == "same"
    mine = [block for block in records if isinstance(block, Block) and block.cell == TORCH.replace("]", "~head]")]
    assert list(found[TORCH].samples) == [second for block in mine for second in block.seconds]
    assert {outcome.status for outcome in against.outcomes(Run.of(compared()), ("slower",)).values()} == {"ok"}


@pytest.mark.parametrize(("fail_on", "status"), [(("missing",), "missing"), (("slower",), "unavailable")])
def test_a_cell_that_head_lost_fails_its_test_or_is_skipped(fail_on, status):
    records = compared(sides=(side(BASE), side(HEAD, "torch")))
    outcome = against.outcomes(Run.of(records), fail_on)[NUMPY]
    assert (outcome.status, outcome.reason, outcome.samples) == (status, "only in base", ())


def test_a_cell_that_crashed_in_head_fails_its_test_whatever_is_to_fail():
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
def test_whether_a_session_fails(folder, records, fail_on, fails, nothing):
    failed, lines = against.finish(Run.of(records), folder, fail_on)
    assert failed is fails
    assert (against.NOTHING in lines) is nothing


def test_the_comparison_is_written_beside_the_run_s_other_files(folder):
    records = compared(slower("numpy", 0.3), confirmed=5, min_effects=(("step*torch*", 0.1),))
    against.finish(Run.of(records), folder, DEFAULT_FAIL_ON)
    page = (folder / "comparison.md").read_text(encoding="utf-8")
    assert page.startswith("### ❌ 1 of 2 cells slower, worst +30.0 % [")
    assert "`9bd0a46 (origin/main)` → `this tree`, paired: base and head had fresh processes" in page
    told = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert told["failing"] == [NUMPY]
    assert (told["outcome"], told["exit_code"], told["confirming_passes"]) == ("regression", 1, 5)
    assert told["min_effect_of"] == {"step*torch*": 0.1}
    assert {cell["cell"]: cell["min_effect"] for cell in told["cells"]} == {NUMPY: 0.02, TORCH: 0.1}
