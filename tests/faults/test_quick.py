"""The suite's own rules, and a few of its faults in real runs; `python -m tests.faults` has them all."""

from __future__ import annotations

import json

import pytest

from tests.faults import checks, interruptions, kills, packs, refusals, summary, times
from tests.faults.checks import Case, Problem
from tests.faults.contender import MOMENTS
from tests.faults.kinds import KINDS
from tests.faults.runs import PASSES, PHASES, ROUNDS, Ended, Place
from tests.faults.summary import Seen

HEADER = "implementation,phase,status,reason\n"


@pytest.fixture
def place(tmp_path):
    """A place where a run seems to have been: `numpy` is whole, a block is missing of what others need."""
    place = Place(tmp_path)
    run = place.results / "runs" / "1"
    run.mkdir(parents=True)
    (run / "timings.csv").write_text(HEADER + "".join(f"numpy,{phase},ok,\n" for phase in PHASES))
    write_blocks(place, [(phase, number, turn) for phase in PHASES for number in (1, 2) for turn in (1, 2)])
    return place


def write_blocks(place, blocks):
    cells = [{"record": "Block", "cell": f"{p}[numpy-cpu]", "pass_number": n, "round": r} for p, n, r in blocks]
    (place.newest() / "journal.jsonl").write_text("".join(json.dumps(cell) + "\n" for cell in cells))


def test_a_whole_run_has_no_problems(place):
    found = checks.of_process(Ended(0, "all is well"), place, "here") + checks.of_logs(place, "here")
    assert found + checks.of_rows(place, ["numpy"], "here") + checks.of_unharmed(place, "here") == []


def test_a_row_that_is_missing_or_there_twice_is_lost(place):
    table = place.newest() / "timings.csv"
    table.write_text(HEADER + "numpy,step,ok,\nnumpy,step,ok,\n")
    assert [one.count for one in checks.of_rows(place, ["numpy"], "here")] == [checks.ROWS] * 2


@pytest.mark.parametrize("row", ["numpy,step,crashed,", "numpy,step,odd,why"], ids=["no reason", "no status"])
def test_a_row_without_a_status_or_a_reason_is_lost(place, row):
    (place.newest() / "timings.csv").write_text(f"{HEADER}numpy,forward,ok,\n{row}\n")
    assert [one.count for one in checks.of_rows(place, ["numpy"], "here")] == [checks.ROWS]


def test_each_block_that_is_missing_is_counted(place):
    write_blocks(place, [("step", 1, 1), ("step", 1, 2), ("forward", 1, 1)])
    found = checks.of_unharmed(place, "here")
    assert [one.count for one in found] == [checks.BLOCKS] * (2 * PASSES * ROUNDS - 3)


def test_a_block_that_is_there_twice_is_a_problem(place):
    write_blocks(place, [(phase, number, turn) for phase in PHASES for number in (1, 2) for turn in (1, 2, 2)])
    assert {one.count for one in checks.of_unharmed(place, "here")} == {checks.OTHERS}


def test_what_a_process_leaves_and_says_is_counted(place):
    (place.temporary / "half").touch()
    (place.results / ".report.md.12").touch()
    ended = Ended(None, "Traceback (most recent call last):", ["12: sleep 600"])
    counts = [one.count for one in checks.of_process(ended, place, "here")]
    assert counts == [checks.PROCESSES, checks.FILES, checks.FILES, checks.HANGS, checks.TRACEBACKS]


def test_a_log_that_is_too_long_is_a_problem(place):
    (place.newest() / "logs").mkdir()
    (place.newest() / "logs" / "numpy.log").write_bytes(bytes(checks.MOST_LOG_BYTES + 1))
    assert len(checks.of_logs(place, "here")) == 1


def test_a_fault_that_did_not_happen_is_a_problem(place):
    case = Case("exits", "mid-block")
    assert "did not happen" in checks.of_case(place, case, KINDS["exits"])[0].what


def test_kinds_are_counted_that_were_tried_at_every_moment():
    cases = [Case("one", moment) for moment in MOMENTS] + [Case("other", moment) for moment in MOMENTS[1:]]
    assert summary.whole_kinds(cases) == 1


def test_the_suite_fails_for_a_problem_too_few_kinds_or_too_few_kills():
    whole = [Case(f"kind {number}", moment) for number in range(summary.LEAST_KINDS) for moment in MOMENTS]
    assert summary.complaints(Seen(whole, 200), 200, whole=True) == []
    assert summary.complaints(Seen(whole[1:], 200), 200, whole=True) != []
    assert summary.complaints(Seen(whole, 199), 200, whole=True) != []
    assert summary.complaints(Seen(whole, 200, [Problem(checks.ROWS, "here", "lost")]), 200, whole=True) != []
    assert "rows lost: 1" in summary.lines(Seen(problems=[Problem(checks.ROWS, "here", "lost")]))


def test_enough_kinds_are_known():
    assert len(KINDS) >= summary.LEAST_KINDS
    assert all(set(kind.statuses) <= checks.STATUSES for kind in KINDS.values())


def test_a_pack_has_cases_of_one_moment():
    grouped = packs.packed(packs.cases(), 30)
    assert sum(map(len, grouped)) == len(KINDS) * len(MOMENTS)
    assert all(len({case.moment for case in pack}) == 1 and len(pack) <= 30 for pack in grouped)


def test_a_pack_has_cases_that_hang_or_cases_that_do_not():
    assert {len({packs.hanging(case) for case in pack}) for pack in packs.packed(packs.cases(), 30)} == {1}


def test_an_interval_is_held_against_the_span_of_others():
    assert times.overlaps((1.0, 1.1), [(0.9, 1.0), (1.2, 1.3)])
    assert not times.overlaps((1.4, 1.5), [(0.9, 1.0), (1.2, 1.3)])


def test_an_interval_that_is_too_wide_tells_nothing():
    assert times.is_vague((1.0, 1.6))
    assert not times.is_vague((1.0, 1.4))


def test_hostile_contenders_disturb_no_one(tmp_path):
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


def test_an_interrupted_run_is_resumed_whole(tmp_path):
    assert interruptions.problems_of(tmp_path, Case("gets_sigterm", "mid-block")) == []


def test_a_killed_run_is_resumed_whole(tmp_path):
    chain = kills.chain_of(tmp_path, seed=1, kills=1)
    assert (chain.kills, chain.problems) == (1, [])


def test_a_file_in_place_of_a_folder_is_refused_in_one_line(tmp_path):
    assert refusals.file_for_a_folder(tmp_path) == []
