"""Changes as text, as Markdown and as data."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from bench.analyse.change import gate
from bench.analyse.change.changes import ABSENT, Change, SideOutcome, judge
from bench.analyse.change.comparability import Difference
from bench.analyse.estimates.statistics import UNKNOWN, Estimate
from bench.plan.cells import Cell
from bench.report.change import unpaired
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, TORCH

OK = SideOutcome("ok", "", Estimate(1e-3, 9e-4, 1.1e-3, 5), Estimate(1.1e-3, 1e-3, 1.2e-3, 5))
NONE = SideOutcome("unavailable", "CuPy is not\ninstalled: pip | conda")
SLOWER, WORSE = Estimate(1.05, 1.04, 1.06, 5), Estimate(1.071, 1.052, 1.09, 5)
SAME, FASTER = Estimate(1.0, 0.99, 1.01, 5), Estimate(0.9, 0.89, 0.91, 5)
CPU = Difference("cpu", "Old", "New", True, 3)
HOST = Difference("host", "here", "there", False)


def change(ratio=SAME, contender=NUMPY, shape=SMALL, **others) -> Change:
    return Change(**{"cell": Cell(contender, shape, "step"), "base": OK, "head": OK, "ratio": ratio, **others})


CHANGES = judge(
    [
        change(SAME, typical=SAME),
        change(SLOWER, TORCH, typical=SLOWER),
        change(WORSE, TORCH, LARGE, typical=SAME),
        change(FASTER, NUMPY, LARGE, typical=FASTER),
        change(contender=replace(TORCH, implementation="torch_module"), head=ABSENT, ratio=UNKNOWN),
        change(contender=CUPY, base=NONE, head=NONE, ratio=UNKNOWN),
    ]
)


def told(changes=CHANGES, **others) -> unpaired.Comparison:
    usual = {"outcome": gate.outcome(changes), "changes": changes, "differences": [HOST]}
    return unpaired.Comparison(**{"base": "old", "head": "new", **usual, **others})


def stopped() -> unpaired.Comparison:
    outcome = gate.incomparable(["cpu"])
    return told([], outcome=outcome, differences=[CPU, HOST], stopping=[CPU], remedy="allow: --allow cpu")


def test_the_text_has_the_gravest_first_and_the_summary_last():
    lines = unpaired.text(told()).splitlines()
    rows = [line for line in lines if re.search(r" µs | ms ", line)]
    assert [line.split()[0] for line in rows] == ["torch", "torch", "torch_module", "numpy", "numpy"]
    assert re.search(
        r"torch +step +N=512 .* 1\.00 ms +1\.00 ms +\+7\.1 % \[5\.2, 9\.0\] +slower \(typical: same\)", rows[0]
    )
    assert re.search(r"missing .* only in base$", rows[2])
    assert lines[0] == "old → new"
    assert lines[-1] == "2 of 6 cells slower, worst +7.1 % [5.2, 9.0], 1 same, 1 faster, 1 missing, 1 not timed"


def test_the_text_says_what_differs_and_what_is_timed_nowhere():
    text = unpaired.text(told())
    assert "These differ:\nhost: here → there" in text
    assert "Timed on neither side:\ncupy: unavailable: CuPy is not" in text
    assert "over its limit" not in text


def test_a_change_over_the_machine_s_limit_stands_beside_the_change():
    text = unpaired.text(told(judge([change(WORSE, relative=SAME)])))
    assert re.search(r"\+7\.1 % \[5\.2, 9\.0\] +slower +— +\+0\.0 %", text)
    assert "changed by +7.1 % (median)" in text
    assert text.endswith("1 of those slower no more than the machine itself")


def test_sides_that_cannot_be_compared_have_a_list_and_no_table():
    for text in (unpaired.text(stopped()), unpaired.markdown(stopped())):
        assert "cpu: Old → New (3 cells)" in text
        assert "--allow cpu" in text
        assert "not comparable: cpu differ" in text
        assert "contender" not in text
        assert "host" not in text


def test_a_pull_request_sees_what_is_not_the_same_and_all_of_it_behind_a_fold():
    seen, folded = unpaired.markdown(told()).split("<details>")
    assert seen.startswith("### ❌ 2 of 6 cells slower")
    assert seen.count("| step |") == 4
    assert folded.count("| step |") == 5
    assert "| same |" not in seen
    assert "| same |" in folded
    assert "lie wholly beyond 2 %" in folded
    assert folded.rstrip().endswith("</details>")


def test_a_pull_request_sees_a_cell_of_which_nothing_can_be_said():
    wide = Estimate(1.2, 0.9, 1.6, 5)
    few = replace(WORSE, passes=3)
    seen, folded = unpaired.markdown(told(judge([change(), change(wide, TORCH), change(few, TORCH, LARGE)]))).split(
        "<details>"
    )
    assert seen.count("| step |") == seen.count("| unclear |") == 2
    assert "3 passes, and fewer than 5 decide nothing" in seen
    assert folded.count("| step |") == 3


def test_a_markdown_cell_holds_no_pipe_or_line_of_its_own():
    text = unpaired.markdown(told(judge([change(base=OK, head=NONE), change(SAME, TORCH)])))
    [row] = [line for line in text.split("<details>")[0].splitlines() if "missing |" in line]
    assert row.endswith(r"| in head unavailable: CuPy is not installed: pip \| conda |")
    assert "  " not in row


def test_a_comment_shows_forty_rows_and_says_how_many_more():
    many = judge([change(WORSE, shape=replace(SMALL, N=N)) for N in range(1, 51)])
    seen, folded = unpaired.markdown(told(many)).split("<details>")
    assert seen.count("| slower |") == 40
    assert "and 10 more, below" in seen
    assert folded.count("| slower |") == 50


def test_marks_tell_the_outcome():
    for ratio, mark in ((SAME, "✅"), (WORSE, "❌"), (replace(WORSE, passes=3), "❔")):
        assert unpaired.markdown(told(judge([change(ratio)]))).startswith(f"### {mark} ")


def test_with_no_cell_at_all_there_is_only_the_summary():
    assert unpaired.text(told([], differences=[])) == "old → new\n\n0 of 0 cells slower"
    assert "all 0 cells" in unpaired.markdown(told([], differences=[]))


def test_the_data_is_strict_json_with_every_cell():
    data = json.loads(json.dumps(unpaired.data(told(facts={"fail_on": ["slower"]})), allow_nan=False))
    assert (data["outcome"], data["exit_code"], data["fail_on"]) == ("regression", 1, ["slower"])
    assert data["differences"] == [
        {"name": "host", "base": "here", "head": "there", "matters": False, "cells": 0, "stops": False}
    ]
    assert len(data["cells"]) == 6
    slower = data["cells"][2]
    assert (slower["cell"], slower["verdict"]) == ("step[torch-cpu-float32-N512-D1000-H100]", "slower")
    assert (slower["ratio"], slower["ratio_low"], slower["ratio_high"]) == (1.071, 1.052, 1.09)
    assert (slower["base_seconds"], slower["base_seconds_floor"]) == (1.1e-3, 1e-3)
    assert data["cells"][4]["ratio"] is None
    assert (data["cells"][4]["head_status"], data["cells"][4]["reason"]) == ("absent", "only in base")
    assert len(data["failing"]) == 3
