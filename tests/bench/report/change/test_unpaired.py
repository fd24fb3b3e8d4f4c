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


def comparison_of(changes=CHANGES, **others) -> unpaired.Comparison:
    defaults = {"outcome": gate.outcome(changes), "changes": changes, "differences": [HOST]}
    return unpaired.Comparison(**{"base": "old", "head": "new", **defaults, **others})


def stopped() -> unpaired.Comparison:
    outcome = gate.incomparable(["cpu"])
    return comparison_of([], outcome=outcome, differences=[CPU, HOST], stopping=[CPU], remedy="allow: --allow cpu")


def test_text_has_gravest_changes_first_and_summary_last():
    lines = unpaired.text(comparison_of()).splitlines()
    rows = [line for line in lines if re.search(r" µs | ms ", line)]
    assert [line.split()[0] for line in rows] == ["torch", "torch", "torch_module", "numpy", "numpy"]
    assert re.search(
        r"torch +step +N=512 .* 1\.00 ms +1\.00 ms +\+7\.1 % \[5\.2, 9\.0\] +slower \(typical: same\)", rows[0]
    )
    assert re.search(r"missing .* only in base$", rows[2])
    assert lines[0] == "old → new"
    assert lines[-1] == "2 of 6 cells slower, worst +7.1 % [5.2, 9.0], 1 same, 1 faster, 1 missing, 1 not timed"


def test_text_has_differences_and_untimed_cells():
    text = unpaired.text(comparison_of())
    assert "These differ:\nhost: here → there" in text
    assert "Timed on neither side:\ncupy: unavailable: CuPy is not" in text
    assert "over its limit" not in text


def test_text_has_the_change_over_the_limit():
    text = unpaired.text(comparison_of(judge([change(WORSE, relative=SAME)])))
    assert re.search(r"\+7\.1 % \[5\.2, 9\.0\] +slower +— +\+0\.0 %", text)
    assert "changed by +7.1 % (median)" in text
    assert text.endswith("1 of those slower no more than the machine itself")


def test_incomparable_sides_have_a_list_and_no_table():
    for text in (unpaired.text(stopped()), unpaired.markdown(stopped())):
        assert "cpu: Old → New (3 cells)" in text
        assert "--allow cpu" in text
        assert "not comparable: cpu differ" in text
        assert "contender" not in text
        assert "host" not in text


def test_markdown_folds_all_cells_below_the_changed_ones():
    visible, folded = unpaired.markdown(comparison_of()).split("<details>")
    assert visible.startswith("### ❌ 2 of 6 cells slower")
    assert visible.count("| step |") == 4
    assert folded.count("| step |") == 5
    assert "| same |" not in visible
    assert "| same |" in folded
    assert "lie wholly beyond 2 %" in folded
    assert folded.rstrip().endswith("</details>")


def test_markdown_shows_unclear_cells_above_the_fold():
    wide = Estimate(1.2, 0.9, 1.6, 5)
    few = replace(WORSE, passes=3)
    visible, folded = unpaired.markdown(
        comparison_of(judge([change(), change(wide, TORCH), change(few, TORCH, LARGE)]))
    ).split("<details>")
    assert visible.count("| step |") == visible.count("| unclear |") == 2
    assert "3 passes, and fewer than 5 decide nothing" in visible
    assert folded.count("| step |") == 3


def test_markdown_cells_have_no_pipes_and_lines():
    text = unpaired.markdown(comparison_of(judge([change(base=OK, head=NONE), change(SAME, TORCH)])))
    [row] = [line for line in text.split("<details>")[0].splitlines() if "missing |" in line]
    assert row.endswith(r"| in head unavailable: CuPy is not installed: pip \| conda |")
    assert "  " not in row


def test_markdown_shows_at_most_forty_rows():
    many = judge([change(WORSE, shape=replace(SMALL, N=N)) for N in range(1, 51)])
    visible, folded = unpaired.markdown(comparison_of(many)).split("<details>")
    assert visible.count("| slower |") == 40
    assert "and 10 more, below" in visible
    assert folded.count("| slower |") == 50


def test_marks_show_the_outcome():
    for ratio, mark in ((SAME, "✅"), (WORSE, "❌"), (replace(WORSE, passes=3), "❔")):
        assert unpaired.markdown(comparison_of(judge([change(ratio)]))).startswith(f"### {mark} ")


def test_without_cells_there_is_only_the_summary():
    assert unpaired.text(comparison_of([], differences=[])) == "old → new\n\n0 of 0 cells slower"
    assert "all 0 cells" in unpaired.markdown(comparison_of([], differences=[]))


def test_data_is_strict_json_with_every_cell():
    data = json.loads(json.dumps(unpaired.data(comparison_of(facts={"fail_on": ["slower"]})), allow_nan=False))
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
