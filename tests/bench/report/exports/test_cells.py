import pytest

from bench.analyse.run import loading
from bench.analyse.run.tables import RunTables
from bench.plan.cells import Contender
from bench.report.exports import cells
from tests.bench.made import NUMPY, Story, plan_of_cells, story, write_files, write_journal
from tests.bench.report.exports.exported import exported, loaded


def test_the_cells_are_the_plan_s_with_their_rows_and_samples():
    run = exported()
    assert [one.cell for one in run.cells] == [*story().plan.cells]
    assert [one.ok for one in run.cells] == [*(run.run.timings["status"] == "ok")]
    for one in run.timed():
        assert len(one.pooled()) == one.row["samples"]
        assert len(one.per_pass()) == one.row["passes"] == 5


def test_a_run_s_tables_tell_the_same_as_its_journal():
    assert cells.of_tables(loaded()).cells == exported().cells


def test_what_is_not_known_is_none():
    missing = next(one for one in cells.of_tables(loaded(story())).cells if one.row["status"] == "unavailable")
    assert missing.row["seconds"] is None
    assert missing.row["passes"] is None
    assert missing.row["verdict"] is None


def test_two_limits_of_the_same_number_are_told_apart_by_the_journal_only():
    plan = plan_of_cells([Contender("numpy", "cpu", "float32", limit) for limit in (2, "all")])
    told = Story(plan, lambda cell, pass_number: 0.001 if cell.contender.threads == 2 else 0.002)
    first, second = exported(told).timed()
    assert max(first.pooled()) < min(second.pooled())
    with pytest.raises(ValueError, match=r"has no samples; this format needs .*samples\.csv\.gz"):
        cells.of_tables(loaded(told)).sampled()


def test_a_csv_alone_names_its_cells_by_the_threads_in_force(tmp_path):
    write_journal(tmp_path / "run", story().records())
    write_files(tmp_path / "run")
    alone = tmp_path / "alone.csv"
    alone.write_bytes((tmp_path / "run" / "timings.csv").read_bytes())
    found = cells.of_tables(loading.load_run(alone)).cells
    assert found[0].cell.key == "forward[numpy-cpu-float32-N64-D1000-H100-T2]"
    assert len({one.cell.key for one in found}) == len(found)


def test_a_csv_in_which_two_limits_came_to_the_same_still_has_two_names():
    contenders = [Contender("jax", "cpu", "float32", limit) for limit in (1, 2)]
    told = Story(plan_of_cells(contenders), busy={contenders[0]: 1.9})
    run = loaded(told)
    found = cells.of_tables(RunTables(run.name, run.timings, run.samples, {})).cells
    assert [one.cell.id for one in found] == [
        "jax-cpu-float32-N64-D1000-H100-T2",
        "jax-cpu-float32-N64-D1000-H100-T2~2",
    ]


def test_a_run_without_any_time_is_not_exported_as_an_empty_one():
    told = Story(plan_of_cells([NUMPY]), passes=0, complete=False)
    with pytest.raises(ValueError, match=r"none of its 1 cells has a time"):
        cells.of_tables(loaded(told)).timed()


def test_the_source_is_the_machine_s_or_the_rows():
    run = loaded()
    without = RunTables(run.name, run.timings, run.samples, {})
    assert cells.of_tables(run).source == cells.of_tables(without).source == "abc1234"
    nowhere = RunTables(run.name, run.timings.assign(source=None), run.samples, {})
    assert cells.of_tables(nowhere).source == ""
