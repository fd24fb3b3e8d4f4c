import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import journal
from bench.measure.journal import Journal
from bench.measure.records import Block, Ceiling, Failed, Left, PassChosen, RunEnded, RunStarted, WorkerStarted
from bench.measure.session import plan_of, plan_to_dict, resumable
from bench.plan.cells import Contender, Shape
from bench.plan.grid import PlanError
from tests.bench.made import plan_of_cells, records, steady, write_journal

HEAD = RunStarted("run", "2026-01-02T03:04:05+00:00", {}, {}, [])


def torn(folder, last: str):
    """A journal whose process was killed while it wrote its last line."""
    path = write_journal(folder) / journal.FILE
    with path.open("a", encoding="utf-8") as file:
        file.write(last)
    return path


def test_a_journal_is_read_as_it_was_written(tmp_path):
    assert journal.read(write_journal(tmp_path)) == records()


def test_a_journal_s_folder_is_made(tmp_path):
    write_journal(tmp_path / "runs" / "one", [HEAD])
    assert journal.read(tmp_path / "runs" / "one") == [HEAD]


def test_what_was_appended_can_be_read_before_the_journal_is_closed(tmp_path):
    with Journal(tmp_path) as book:
        book.append(HEAD)
        assert journal.read(tmp_path) == [HEAD]


def test_every_record_is_a_line_of_json(tmp_path):
    lines = (write_journal(tmp_path) / journal.FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["record"] for line in lines] == [type(record).__name__ for record in records()]


@steady
@given(st.lists(st.floats(allow_nan=False), max_size=5), st.floats(allow_nan=False))
def test_floats_survive_the_round_trip_exactly(seconds, busy):
    block = Block(1, 2, 3, 4, "step[x]", 5, seconds, busy, 0.1, 0.2)
    assert journal.decode(journal.encode(block), "here") == block


def test_a_number_that_is_none_survives_the_round_trip():
    failed = Failed(1, ["step[x]"], "wrong", "not a number", math.nan, math.inf)
    told = journal.decode(journal.encode(failed), "here")
    assert isinstance(told, Failed)
    assert math.isnan(told.error)
    assert told.tolerance == math.inf


@steady
@given(st.text(), st.none() | st.integers(), st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_text_of_any_kind_survives_the_round_trip_on_one_line(text, count, details):
    for record in (
        Failed(1, [text], "crashed", text),
        Left(1, 1, text, count, None),
        WorkerStarted(1, 1, text, text, text, text, text, "highest", 2, 0.1, 0.2, details),
    ):
        line = journal.encode(record)
        assert len(line.splitlines()) == 1
        assert journal.decode(line, "here") == record


def test_a_last_line_that_was_cut_short_is_passed_over(tmp_path):
    torn(tmp_path, '{"record":"Block","number":1,"pass')
    assert journal.read(tmp_path) == records()


def test_a_last_line_without_its_newline_is_passed_over_however_whole_it_looks(tmp_path):
    torn(tmp_path, journal.encode(RunEnded(True, 1.0)))
    assert journal.read(tmp_path) == records()


def test_reopening_drops_the_torn_line_so_that_the_next_record_is_whole(tmp_path):
    path = torn(tmp_path, '{"record":"Block","number":1,"pass')
    with Journal(tmp_path) as book:
        book.append(RunEnded(False, 2.0))
    assert journal.read(tmp_path) == [*records(), RunEnded(False, 2.0)]
    assert path.read_bytes().endswith(b"}\n")


def test_reopening_a_whole_journal_changes_nothing(tmp_path):
    path = write_journal(tmp_path) / journal.FILE
    before = path.read_bytes()
    Journal(tmp_path).__exit__()
    assert path.read_bytes() == before


def test_a_journal_that_is_nothing_but_a_torn_line_begins_anew(tmp_path):
    (tmp_path / journal.FILE).write_text('{"record":"RunSta', encoding="utf-8")
    with pytest.raises(ValueError, match="begins with a RunStarted record, this line is cut short"):
        journal.read(tmp_path)
    write_journal(tmp_path, [HEAD])
    assert journal.read(tmp_path) == [HEAD]


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "",
        "[]",
        "3",
        "null",
        "{}",
        '{"record":"Nothing"}',
        '{"record":["Block"]}',
        '{"record":"RunEnded"}',
        '{"record":"RunEnded","complete":true,"wall_seconds":1.0,"more":2}',
    ],
)
def test_a_line_that_is_no_record_is_named_by_file_and_line(tmp_path, line):
    path = write_journal(tmp_path, [HEAD]) / journal.FILE
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:2: not a record of a journal: "):
        journal.read(tmp_path)


@pytest.mark.parametrize("text", ["", journal.encode(RunEnded(True, 1.0)) + "\n"])
def test_a_file_that_does_not_begin_with_a_run_is_no_journal(tmp_path, text):
    path = tmp_path / journal.FILE
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: a journal begins with a RunStarted record$"):
        journal.read(tmp_path)


def test_a_missing_journal_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(journal.FILE)):
        journal.read(tmp_path)


def test_a_plan_survives_the_journal(tmp_path):
    contenders = [Contender("numpy", "cpu", "float64", 1), Contender("mine:Net", "cuda:1", "float32")]
    plan = plan_of_cells(contenders, [Shape(1, 2, 3, 4), Shape(5, 6, 7)], ["train", "step"], seed=12)
    head = RunStarted("run", "2026-01-02T03:04:05+00:00", plan_to_dict(plan), {}, [])
    told = journal.read(write_journal(tmp_path, [head]))[0]
    assert isinstance(told, RunStarted)
    assert plan_of(told) == plan


def test_a_run_that_was_cut_off_is_resumable(tmp_path):
    told = records(complete=False)
    assert resumable(write_journal(tmp_path / "killed", told)) == plan_of(told[0])
    assert resumable(write_journal(tmp_path / "stopped", [*told, RunEnded(False, 3.0)])) == plan_of(told[0])


def test_a_run_that_is_complete_is_not_resumable(tmp_path):
    with pytest.raises(PlanError, match=rf"^--resume: {re.escape(str(tmp_path))} is complete"):
        resumable(write_journal(tmp_path))


def test_what_is_no_run_is_not_resumable(tmp_path):
    with pytest.raises(PlanError, match=rf"^--resume: {re.escape(str(tmp_path))} is not a run's folder"):
        resumable(tmp_path)
    (tmp_path / journal.FILE).write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(PlanError, match=rf"^--resume: {re.escape(str(tmp_path / journal.FILE))}:1: not a record"):
        resumable(tmp_path)


def test_ceilings_survive_the_journal():
    known = Ceiling(3, 1, "numpy-cpu-float32", {"8x8x8": 1.5e9}, {"4096": 2e9}, {"4096": 3e9}, "", 0.5)
    for record in (known, Ceiling(0, 1, "cupy-cuda-float32", reason="unavailable: CuPy is not installed")):
        assert journal.decode(journal.encode(record), "here") == record


@pytest.mark.parametrize(
    "record",
    [
        PassChosen(6, ["step[numpy-cpu-float32-N64-D1000-H100]"], 4),
        RunEnded(True, 60.0, "the time budget was used up"),
        replace(HEAD, calibration={"resolution": 0.03, "settings": [{"threads": 1, "resolution": None}]}),
    ],
)
def test_what_a_run_of_as_many_passes_as_it_takes_adds_survives_the_journal(record):
    assert journal.decode(journal.encode(record), "here") == record


def test_a_journal_from_before_there_were_reasons_and_calibrations_has_none():
    ended = journal.decode('{"record":"RunEnded","complete":true,"wall_seconds":1.0}', "here")
    assert ended == RunEnded(True, 1.0, "")
    started = '{"record":"RunStarted","run":"r","started":"s","plan":{},"machine":{},"options":[]}'
    assert journal.decode(started, "here") == RunStarted("r", "s", {}, {}, [], None)


def test_the_plan_of_a_run_from_before_there_were_ceilings_has_none():
    plan = replace(plan_of_cells(), ceilings=(Contender("numpy", "cpu", "float32"),))
    head = json.loads(json.dumps(plan_to_dict(plan)))
    assert plan_of(replace(HEAD, plan=head)) == plan
    del head["ceilings"]
    assert plan_of(replace(HEAD, plan=head)) == plan_of_cells()
