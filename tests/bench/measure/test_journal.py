import json
import math
import re
import shutil
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import journal, lines
from bench.measure.journal import Journal
from bench.measure.records import Block, Ceiling, Failed, Left, PassChosen, RunEnded, RunStarted, Unread, WorkerStarted
from bench.measure.session import WRITTEN, resumable
from bench.plan.cells import Contender, Shape
from bench.plan.grid import PlanError
from bench.plan.plain import from_plain, to_plain
from tests.bench.made import plan_of_cells, records, steady, write_journal

HEAD = RunStarted("run", "2026-01-02T03:04:05+00:00", to_plain(plan_of_cells()), {}, [])


def round_trip(record):
    """Return a record as it is read from its line of a journal."""
    return lines.decode(journal.encode(record, 3).rstrip(b"\n"))[1]


def unread(folder):
    return [(record.line, record.reason) for record in journal.read(folder) if isinstance(record, Unread)]


def torn(folder, last: str):
    """Write a journal whose process was killed while it wrote its last line."""
    path = write_journal(folder) / journal.FILE
    with path.open("a", encoding="utf-8") as file:
        file.write(last)
    return path


def test_journal_round_trips(tmp_path):
    assert journal.read(write_journal(tmp_path)) == records()


def test_folder_of_a_journal_is_made(tmp_path):
    write_journal(tmp_path / "runs" / "one", [HEAD])
    assert journal.read(tmp_path / "runs" / "one") == [HEAD]


def test_records_can_be_read_before_the_journal_is_closed(tmp_path):
    with Journal(tmp_path) as book:
        book.append(HEAD)
        assert journal.read(tmp_path) == [HEAD]


def test_every_record_is_a_line_of_json(tmp_path):
    lines = (write_journal(tmp_path) / journal.FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["record"] for line in lines] == [type(record).__name__ for record in records()]


@steady
@given(
    st.lists(st.floats(0, exclude_min=True, allow_infinity=False), min_size=1, max_size=5),
    st.floats(0, allow_infinity=False),
)
def test_floats_round_trip_exactly(seconds, busy):
    block = Block(1, 2, 3, 4, "step[x]", 5, seconds, busy, 0.1, 0.2)
    assert round_trip(block) == block


def test_nan_and_infinity_round_trip():
    failed = Failed(1, ["step[x]"], "wrong", "not a number", math.nan, math.inf)
    restored = round_trip(failed)
    assert isinstance(restored, Failed)
    assert math.isnan(restored.error)
    assert restored.tolerance == math.inf


@steady
@given(st.text(), st.none() | st.integers(0, 2**62), st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_any_text_round_trips_on_one_line(text, count, details):
    for record in (
        Failed(1, [text], "crashed", text),
        Left(1, 1, text, count, None),
        WorkerStarted(1, 1, text, text, text, text, text, "highest", 2, 0.1, 0.2, details),
    ):
        assert len(journal.encode(record, 7).decode().splitlines()) == 1
        assert round_trip(round_trip(record)) == round_trip(record)


@pytest.mark.parametrize(
    "last", ['{"record":"Block","number":1,"pass', journal.encode(RunEnded(True, 1.0), 7).decode().rstrip()]
)
def test_last_line_without_its_end_is_unread(tmp_path, last):
    torn(tmp_path, last)
    assert journal.read(tmp_path) == [*records(), Unread(len(records()) + 1, "it is cut short")]


@pytest.mark.parametrize("what", ["moved", "removed", "replaced"])
def test_moved_or_removed_journal_is_not_written_to(tmp_path, what):
    folder, moved = tmp_path / "run", tmp_path / "moved"
    with Journal(folder) as book:
        book.append(HEAD)
        folder.rename(moved)
        if what == "replaced":
            write_journal(folder, [HEAD])
        elif what == "removed":
            shutil.rmtree(moved)
        with pytest.raises(OSError, match="moved or removed") as caught:
            book.append(RunEnded(True, 1.0))
    assert caught.value.filename == str(folder / journal.FILE)
    if what != "removed":
        assert journal.read(moved) == [HEAD]


class NearlyFull:
    """A file on a disk with room for ten more bytes."""

    def __init__(self, file):
        self.file, self.name, self.fileno = file, file.name, file.fileno
        self.calls = 0

    def write(self, data):
        self.calls += 1
        if self.calls > 1:
            raise OSError(28, "No space left on device")
        return self.file.write(data[:10])


def test_full_disk_leaves_no_part_of_a_record(tmp_path, monkeypatch):
    with Journal(tmp_path) as book:
        book.append(HEAD)
        with monkeypatch.context() as patch:
            patch.setattr(book, "_file", NearlyFull(book._file))
            with pytest.raises(OSError, match="No space left") as caught:
                book.append(RunEnded(False, 1.0))
        assert caught.value.filename == str(tmp_path / journal.FILE)
        book.append(RunEnded(True, 2.0))
    assert journal.read(tmp_path) == [HEAD, RunEnded(True, 2.0)]


def test_reopening_removes_a_torn_line(tmp_path):
    path = torn(tmp_path, '{"record":"Block","number":1,"pass')
    with Journal(tmp_path) as book:
        book.append(RunEnded(False, 2.0))
    assert journal.read(tmp_path) == [*records(), RunEnded(False, 2.0)]
    assert path.read_bytes().endswith(b"}\n")


def test_reopening_an_undamaged_journal_changes_nothing(tmp_path):
    path = write_journal(tmp_path) / journal.FILE
    before = path.read_bytes()
    Journal(tmp_path).__exit__()
    assert path.read_bytes() == before


def test_journal_of_only_a_torn_line_begins_anew(tmp_path):
    (tmp_path / journal.FILE).write_text('{"record":"RunSta', encoding="utf-8")
    with pytest.raises(ValueError, match="begins with a RunStarted record, but: this line is cut short"):
        journal.read(tmp_path)
    write_journal(tmp_path, [HEAD])
    assert journal.read(tmp_path) == [HEAD]


def block(**changed):
    return {**asdict(next(record for record in records() if isinstance(record, Block))), "record": "Block", **changed}


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
        '{"record":"RunEnded","complete":"no","wall_seconds":1.0}',
        '{"record":"RunEnded","complete":true,"wall_seconds":1.0,"more":2}',
        '{"record":"Unread","line":1,"reason":"none"}',
        "[" * 100_000,
        "{" + '"a":{' * 100_000,
        json.dumps({**asdict(HEAD), "record": "RunStarted"}),
        *(
            json.dumps(block(seconds=seconds))
            for seconds in (None, "1.0", 1.0, [], ["1.0"], [None], [-1.0], [0.0, 0.0], [math.nan], [math.inf], [True])
        ),
        json.dumps(block(round=0)),
        json.dumps(block(pass_number="1")),
        json.dumps(block(cell="step[unheard-of]")),
        json.dumps(block(wall_seconds=-1)),
        '{"record":"RunEnded","complete":true,"wall_seconds":' + "9" * 5000 + "}",
    ],
)
def test_invalid_line_is_unread_with_its_number(tmp_path, line):
    path = write_journal(tmp_path) / journal.FILE
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n", encoding="utf-8")
    assert [record for record in journal.read(tmp_path) if not isinstance(record, Unread)] == records()
    assert [number for number, _ in unread(tmp_path)] == [3]


@pytest.mark.parametrize("wrong", [None, [], "plan", 3])
@pytest.mark.parametrize("field", ["plan", "machine"])
def test_run_without_plan_or_machine_names_file_and_line(tmp_path, field, wrong):
    path = tmp_path / journal.FILE
    path.write_text(json.dumps({**asdict(HEAD), "record": "RunStarted", field: wrong}) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: .*{field}: Input should be"):
        journal.read(tmp_path)


@pytest.mark.parametrize("plan", [{}, {"cells": 3}, {"cells": [3]}, {"cells": [{"N": "x"}]}, {"more": 1}])
def test_invalid_plan_names_file_and_line(tmp_path, plan):
    path = write_journal(tmp_path, [replace(HEAD, plan={**(HEAD.plan if plan else {}), **plan})]) / journal.FILE
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: plan"):
        journal.read(tmp_path)


@steady
@given(st.data())
def test_changed_journal_gives_a_subset_of_records_or_an_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    path = write_journal(folder) / journal.FILE
    text = path.read_bytes()
    kind = data.draw(st.sampled_from(["truncate", "flip", "swap", "repeat", "drop"]))
    if kind == "truncate":
        text = text[: data.draw(st.integers(0, len(text)))]
    elif kind == "flip":
        position = data.draw(st.integers(0, len(text) - 1))
        text = text[:position] + bytes([text[position] ^ data.draw(st.integers(1, 255))]) + text[position + 1 :]
    else:
        lines = text.splitlines(keepends=True)
        first, second = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        if kind == "swap":
            lines[first], lines[second] = lines[second], lines[first]
        elif kind == "repeat":
            lines.insert(second, lines[first])
        else:
            del lines[first]
        text = b"".join(lines)
    path.write_bytes(text)
    try:
        restored = journal.read(folder)
    except ValueError as error:
        assert re.match(rf"{re.escape(str(path))}:1: ", str(error))  # noqa: PT017
        return
    kept = [record for record in restored if not isinstance(record, Unread)]
    expected = iter(records())
    assert all(record in expected for record in kept), "records are kept, in their order, or left out"
    if kept != records():
        assert len(kept) < len(restored) or kind in ("truncate", "drop")


@pytest.mark.parametrize("text", [b"", journal.encode(RunEnded(True, 1.0), 1)])
def test_journal_must_begin_with_run_started(tmp_path, text):
    path = tmp_path / journal.FILE
    path.write_bytes(text)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:1: a journal begins with a RunStarted record$"):
        journal.read(tmp_path)


def test_missing_journal_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(journal.FILE)):
        journal.read(tmp_path)


def test_plan_round_trips(tmp_path):
    contenders = [Contender("numpy", "cpu", "float64", 1), Contender("mine:Net", "cuda:1", "float32")]
    plan = plan_of_cells(contenders, [Shape(1, 2, 3, 4), Shape(5, 6, 7)], ["train", "step"], seed=12)
    head = RunStarted("run", "2026-01-02T03:04:05+00:00", to_plain(plan), {}, [])
    restored = journal.read(write_journal(tmp_path, [head]))[0]
    assert isinstance(restored, RunStarted)
    assert from_plain(restored.plan) == plan


def test_interrupted_run_is_resumable(tmp_path):
    restored = records(complete=False)
    assert resumable(write_journal(tmp_path / "killed", restored)) == from_plain(restored[0].plan)
    assert resumable(write_journal(tmp_path / "stopped", [*restored, RunEnded(False, 3.0)])) == from_plain(
        restored[0].plan
    )


def test_complete_run_is_resumable_only_for_missing_files(tmp_path):
    assert resumable(write_journal(tmp_path)) == from_plain(records()[0].plan)
    for name in WRITTEN:
        (tmp_path / name).touch()
    with pytest.raises(PlanError, match=rf"^--resume: {re.escape(str(tmp_path))} is complete"):
        resumable(tmp_path)


def test_folder_without_a_run_is_not_resumable(tmp_path):
    with pytest.raises(PlanError, match=rf"^--resume: {re.escape(str(tmp_path))} is not a run's folder"):
        resumable(tmp_path)
    (tmp_path / journal.FILE).write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(PlanError, match=rf"^--resume: {re.escape(str(tmp_path / journal.FILE))}:1: a journal begins"):
        resumable(tmp_path)


def test_ceilings_round_trip():
    known = Ceiling(3, 1, "numpy-cpu-float32", {"8x8x8": 1.5e9}, {"4096": 2e9}, {"4096": 3e9}, "", 0.5)
    for record in (known, Ceiling(0, 1, "cupy-cuda-float32", reason="unavailable: CuPy is not installed")):
        assert round_trip(record) == record


@pytest.mark.parametrize(
    "record",
    [
        PassChosen(6, ["step[numpy-cpu-float32-N64-D1000-H100]"], 4),
        RunEnded(True, 60.0, "the time budget was used up"),
        replace(HEAD, calibration={"resolution": 0.03, "settings": [{"threads": 1, "resolution": None}]}),
    ],
)
def test_records_of_an_adaptive_run_round_trip(record):
    assert round_trip(record) == record


def test_journal_with_the_earlier_field_passage_is_read(tmp_path):
    path = write_journal(tmp_path) / journal.FILE
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        del line["crc"], line["line"]  # which would tell that it was changed
        if "pass_number" in line:
            line["passage"] = line.pop("pass_number")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert journal.read(tmp_path) == records()


def test_journal_without_reasons_and_calibrations_is_read():
    assert lines.decode(b'{"record":"RunEnded","complete":true,"wall_seconds":1.0}') == (
        None,
        RunEnded(True, 1.0, ""),
    )
    started = b'{"record":"RunStarted","run":"r","started":"2026-01-02","plan":{},"machine":{},"options":[]}'
    assert lines.decode(started) == (None, RunStarted("r", "2026-01-02", {}, {}, [], None))


def test_plan_without_ceilings_is_read():
    plan = replace(plan_of_cells(), ceilings=(Contender("numpy", "cpu", "float32"),))
    head = json.loads(json.dumps(to_plain(plan)))
    assert from_plain(head) == plan
    del head["ceilings"]
    assert from_plain(head) == plan_of_cells()


def test_reader_reads_what_was_appended_since(tmp_path):
    reader = journal.Reader(tmp_path)
    with Journal(tmp_path) as book:
        for index, record in enumerate(records(), 1):
            book.append(record)
            if index % 7 == 1:
                assert reader.load() == journal.load(tmp_path)
    assert reader.load() == journal.load(tmp_path)


@steady
@given(st.data())
def test_reader_of_any_lines_in_parts_reads_what_it_reads_at_once(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    path = write_journal(folder) / journal.FILE
    first, *others = path.read_bytes().splitlines(keepends=True)
    others = data.draw(st.permutations(others[:9]))
    others += [data.draw(st.sampled_from([b"damaged\n", others[0], others[1].replace(b"numpy", b"other")]))]
    path.write_bytes(first)
    reader = journal.Reader(folder)
    for line in others:
        part = data.draw(st.integers(0, len(line)))
        for text in (line[:part], line[part:]):
            with path.open("ab") as file:
                file.write(text)
            assert reader.load() == journal.load(folder)


def test_reader_of_a_journal_that_was_replaced_begins_anew(tmp_path):
    reader = journal.Reader(write_journal(tmp_path))
    reader.load()
    (tmp_path / journal.FILE).unlink()
    write_journal(tmp_path, [HEAD])
    assert reader.load() == journal.load(tmp_path)


def test_frequent_line_is_read_as_any_other_is(tmp_path):
    for record in records():
        line = journal.encode(record, 7)[:-1]
        assert lines.decode(line) == lines._of_any_line(line) == (7, record)
