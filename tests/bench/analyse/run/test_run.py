"""Tests of runs, each of whose results is computed once."""

from collections import Counter

import pytest

from bench.analyse.run import costs, loading, measured, ranking, recorded, tables
from bench.measure import journal
from bench.measure.records import RunEnded, RunStarted
from bench.plan import plain
from bench.report import files
from bench.report.run import terminal
from tests.bench.made import Story, plan_of_cells, story, write_journal


@pytest.fixture
def counted(monkeypatch):
    """The number of calls of each step of the analysis."""
    counts = Counter()

    def count(module, name):
        function = getattr(module, name)

        def counting(*arguments, **others):
            counts[name] += 1
            return function(*arguments, **others)

        for user in {module, *(user for user in (journal, recorded) if hasattr(user, name))}:
            monkeypatch.setattr(user, name, counting)

    for module, name in [
        (plain, "from_plain"),
        (recorded, "_by_cell"),
        (measured, "cells"),
        (ranking, "compare"),
        (tables, "timings"),
        (tables, "blocks_table"),
        (costs, "costs"),
    ]:
        count(module, name)
    return counts


def test_reading_writing_and_printing_does_each_step_once(tmp_path, counted):
    folder = write_journal(tmp_path / "runs" / "one")
    counted.clear()
    run = loading.read(folder)
    files.write(run, folder, tmp_path)
    terminal.page(run)
    assert counted == {
        "from_plain": 1,
        "_by_cell": 1,
        "cells": 1,
        "compare": 1,
        "timings": 1,
        "blocks_table": 1,
        "costs": 1,
    }


def test_run_has_its_plan_name_and_head():
    made = story()
    run = made.run()
    assert (run.name, run.plan, type(run.head)) == (made.name, made.plan, RunStarted)


def test_run_is_complete_if_it_ended_completely():
    records = Story(plan_of_cells(), complete=False).records()
    assert [recorded.RunRecords.of([*records, *end]).is_complete for end in ([], [RunEnded(False, 1.0)])] == [False] * 2
    assert recorded.RunRecords.of([*records, RunEnded(True, 1.0)]).is_complete


def test_run_cannot_be_changed():
    run = story().run()
    with pytest.raises(AttributeError):
        run.plan = None
    with pytest.raises(AttributeError):
        next(iter(run.cells.values())).failed = None
