"""Tests of the suite's checks, and a few of its faults in real runs; `python -m tests.faults` has them all."""

from __future__ import annotations

import json

import pytest

from tests.faults import checks, interruptions, kills, packs, refusals, summary, times
from tests.faults.checks import Case, Problem
from tests.faults.contender import MOMENTS
from tests.faults.kinds import KINDS
from tests.faults.runs import PASSES, PHASES, ROUNDS, Ended, Workspace
from tests.faults.summary import Tally

HEADER = "implementation,phase,status,reason\n"


@pytest.fixture
def workspace(tmp_path):
    """Return a workspace with a complete run of `numpy`."""
    workspace = Workspace(tmp_path)
    run = workspace.results / "runs" / "1"
    run.mkdir(parents=True)
    (run / "timings.csv").write_text(HEADER + "".join(f"numpy,{phase},ok,\n" for phase in PHASES))
    write_blocks(workspace, [(phase, pass_number, r) for phase in PHASES for pass_number in (1, 2) for r in (1, 2)])
    return workspace


def write_blocks(workspace, blocks):
    records = [{"record": "Block", "cell": f"{p}[numpy-cpu]", "pass_number": n, "round": r} for p, n, r in blocks]
    (workspace.newest() / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_complete_run_has_no_problems(workspace):
    problems = checks.of_process(Ended(0, "all is well"), workspace, "run") + checks.of_logs(workspace, "run")
    assert problems + checks.of_rows(workspace, ["numpy"], "run") + checks.of_unharmed(workspace, "run") == []


def test_missing_and_duplicate_rows_are_problems(workspace):
    table = workspace.newest() / "timings.csv"
    table.write_text(HEADER + "numpy,step,ok,\nnumpy,step,ok,\n")
    assert [problem.count for problem in checks.of_rows(workspace, ["numpy"], "run")] == [checks.ROWS] * 2


@pytest.mark.parametrize("row", ["numpy,step,crashed,", "numpy,step,odd,why"], ids=["no reason", "no status"])
def test_a_row_without_status_or_reason_is_a_problem(workspace, row):
    (workspace.newest() / "timings.csv").write_text(f"{HEADER}numpy,forward,ok,\n{row}\n")
    assert [problem.count for problem in checks.of_rows(workspace, ["numpy"], "run")] == [checks.ROWS]


def test_each_missing_block_is_counted(workspace):
    write_blocks(workspace, [("step", 1, 1), ("step", 1, 2), ("forward", 1, 1)])
    problems = checks.of_unharmed(workspace, "run")
    assert [problem.count for problem in problems] == [checks.BLOCKS] * (2 * PASSES * ROUNDS - 3)


def test_a_duplicate_block_is_a_problem(workspace):
    write_blocks(workspace, [(phase, pass_number, r) for phase in PHASES for pass_number in (1, 2) for r in (1, 2, 2)])
    assert {problem.count for problem in checks.of_unharmed(workspace, "run")} == {checks.OTHERS}


def test_leftovers_hangs_and_tracebacks_are_counted(workspace):
    (workspace.temporary / "half").touch()
    (workspace.results / ".report.md.12").touch()
    ended = Ended(None, "Traceback (most recent call last):", ["12: sleep 600"])
    counts = [problem.count for problem in checks.of_process(ended, workspace, "run")]
    assert counts == [checks.PROCESSES, checks.FILES, checks.FILES, checks.HANGS, checks.TRACEBACKS]


def test_too_long_a_log_is_a_problem(workspace):
    (workspace.newest() / "logs").mkdir()
    (workspace.newest() / "logs" / "numpy.log").write_bytes(bytes(checks.MOST_LOG_BYTES + 1))
    assert len(checks.of_logs(workspace, "run")) == 1


def test_a_fault_that_did_not_happen_is_a_problem(workspace):
    case = Case("exits", "mid-block")
    assert "did not happen" in checks.of_case(workspace, case, KINDS["exits"])[0].details


def test_only_kinds_tried_at_every_moment_are_counted():
    cases = [Case("first", moment) for moment in MOMENTS] + [Case("second", moment) for moment in MOMENTS[1:]]
    assert summary.complete_kinds(cases) == 1


def test_the_suite_fails_on_problems_few_kinds_or_few_kills():
    cases = [Case(f"kind {number}", moment) for number in range(summary.LEAST_KINDS) for moment in MOMENTS]
    assert summary.complaints(Tally(cases, 200), 200, all_kinds=True) == []
    assert summary.complaints(Tally(cases[1:], 200), 200, all_kinds=True) != []
    assert summary.complaints(Tally(cases, 199), 200, all_kinds=True) != []
    assert summary.complaints(Tally(cases, 200, [Problem(checks.ROWS, "run", "lost")]), 200, all_kinds=True) != []
    assert "rows lost: 1" in summary.lines(Tally(problems=[Problem(checks.ROWS, "run", "lost")]))


def test_there_are_enough_kinds():
    assert len(KINDS) >= summary.LEAST_KINDS
    assert all(set(kind.statuses) <= checks.STATUSES for kind in KINDS.values())


def test_a_pack_has_cases_of_one_moment():
    grouped = packs.packed(packs.cases(), 30)
    assert sum(map(len, grouped)) == len(KINDS) * len(MOMENTS)
    assert all(len({case.moment for case in pack}) == 1 and len(pack) <= 30 for pack in grouped)


def test_a_pack_does_not_mix_cases_that_hang_and_others():
    assert {len({packs.may_hang(case) for case in pack}) for pack in packs.packed(packs.cases(), 30)} == {1}


def test_overlaps_compares_with_the_span_of_others():
    assert times.overlaps((1.0, 1.1), [(0.9, 1.0), (1.2, 1.3)])
    assert not times.overlaps((1.4, 1.5), [(0.9, 1.0), (1.2, 1.3)])


def test_a_wide_interval_is_vague():
    assert times.is_vague((1.0, 1.6))
    assert not times.is_vague((1.0, 1.4))


def test_hostile_contenders_disturb_no_other(tmp_path):
    cases = [
        Case("segfaults", "import"),
        Case("raises_escape_sequences", "construction"),
        Case("writes_a_list", "first call"),
        Case("gives_nan", "verification"),
        Case("closes_everything_and_goes_on", "mid-block"),
        Case("leaves_a_daemon", "mid-block"),
        Case("floods_its_log", "report"),
        Case("leaves_a_child", "shutdown"),
    ]
    assert packs.problems_of(tmp_path, cases) == []


def test_an_interrupted_run_is_resumed_completely(tmp_path):
    assert interruptions.problems_of(tmp_path, Case("gets_sigterm", "mid-block")) == []


def test_a_killed_run_is_resumed_completely(tmp_path):
    chain = kills.chain_of(tmp_path, seed=1, kills=1)
    assert (chain.kills, chain.problems) == (1, [])


def test_a_file_instead_of_a_folder_is_refused_in_one_line(tmp_path):
    assert refusals.file_for_a_folder(tmp_path) == []
