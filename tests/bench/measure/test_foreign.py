"""Texts of a journal, which anyone may have written, are harmless once it is read."""

import json
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.run.run import Run
from bench.measure import journal
from bench.measure.foreign import harmless
from bench.measure.records import Block, Unread
from bench.plan.cells import Contender
from tests.bench.made import NUMPY, SMALL, Story, plan_of_cells, steady, write_journal

EVIL = "<script>|`=[x](y)\x1b[31m\u202e\u200b\ud800\n"


def read_back(tmp_path, journalled):
    return journal.read(write_journal(tmp_path, journalled))


def test_cell_with_an_odd_name_has_its_blocks(tmp_path):
    for name in ("../../up", EVIL, "a[b]c", "]", "a b"):
        plan = plan_of_cells((NUMPY, Contender(name, "cpu", "float32")))
        records = read_back(tmp_path / str(len(name)), Story(plan).records())
        cells = Run.of(records).cells
        assert all(cell.blocks and cell.workers for cell in cells.values()), name
        assert re.fullmatch(r"[\w.:+%~ -]+", Run.of(records).plan.cells[1].contender.implementation)


def test_texts_are_visible_and_on_one_line(tmp_path):
    head, *rest = Story(plan_of_cells(), machine={"cpu": EVIL, "more": [{EVIL: EVIL}]}, name=EVIL).records()
    records = read_back(tmp_path, [head, *rest])
    texts = json.dumps([Run.of(records).head.run, Run.of(records).head.machine], ensure_ascii=False)
    assert texts.isprintable()
    assert "\\\\u202e" in texts


def test_usual_records_are_unchanged(tmp_path):
    journalled = Story(plan_of_cells(shapes=(SMALL,))).records()
    assert read_back(tmp_path, journalled) == journalled


@steady
@given(st.text(), st.text())
def test_cells_and_keys_get_the_same_names(implementation, phase):
    cell = {"implementation": implementation, "phase": phase}
    started = {"plan": {"cells": [cell]}}
    line = json.dumps(started)
    [made] = harmless(json.loads(line), line)["plan"]["cells"]
    block = {"cell": f"{phase}[{implementation}-cpu]"}
    line = json.dumps(block)
    if "[" not in phase and "\x1b" not in implementation + phase:
        assert harmless(json.loads(line), line)["cell"] == f"{made['phase']}[{made['implementation']}-cpu]"


def test_line_nested_too_deeply_is_unread(tmp_path):
    path = write_journal(tmp_path, Story(plan_of_cells()).records()) / journal.FILE
    count = len(journal.read(tmp_path))
    with path.open("a") as file:
        file.write("[" * 100_000 + "\n")
    *_, last = journal.read(tmp_path)
    assert isinstance(last, Unread)
    assert last.line == count + 1


@pytest.mark.parametrize("kind", ["link", "fifo", "device", "sparse"])
def test_journal_that_is_no_file_of_its_folder_is_refused(tmp_path, kind):
    elsewhere = write_journal(tmp_path / "elsewhere", Story(plan_of_cells()).records())
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / journal.FILE
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    else:
        path.symlink_to(elsewhere / journal.FILE if kind == "link" else "/dev/zero")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: "):
        journal.read(folder)


def test_records_of_a_run_are_written_unchanged():
    block = Block(1, 1, 1, 1, "a;b", 1, [1.0], 1.0, 0.0, 0.0)
    assert b'"cell":"a;b"' in journal.encode(block, 2)
