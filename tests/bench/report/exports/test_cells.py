import pytest

from bench.analyse.run import loading
from bench.analyse.run.tables import RunTables
from bench.plan.cells import Contender
from bench.report.exports import cells
from tests.bench.made import NUMPY, Story, plan_of_cells, story, write_files, write_journal
from tests.bench.report.exports.exported import exported, loaded


def test_cells_have_rows_and_samples_in_order_of_the_plan():
    run = exported()
    assert [measured.cell for measured in run.cells] == [*story().plan.cells]
    assert [measured.ok for measured in run.cells] == [*(run.run.timings["status"] == "ok")]
    for measured in run.timed():
        assert len(measured.pooled()) == measured.row["samples"]
        assert len(measured.per_pass()) == measured.row["passes"] == 5


def test_tables_and_journal_give_the_same_cells():
    assert cells.of_tables(loaded()).cells == exported().cells


def test_unknown_values_are_none():
    missing = next(
        measured for measured in cells.of_tables(loaded(story())).cells if measured.row["status"] == "unavailable"
    )
    assert missing.row["seconds"] is None
    assert missing.row["passes"] is None
    assert missing.row["verdict"] is None


def test_equal_thread_limits_need_the_journal():
    plan = plan_of_cells([Contender("numpy", "cpu", "float32", limit) for limit in (2, "all")])
    limits_story = Story(plan, lambda cell, pass_number: 0.001 if cell.contender.threads == 2 else 0.002)
    first, second = exported(limits_story).timed()
    assert max(first.pooled()) < min(second.pooled())
    with pytest.raises(ValueError, match=r"has no samples; this format needs .*samples\.csv\.gz"):
        cells.of_tables(loaded(limits_story)).sampled()


def test_csv_alone_names_cells_by_threads_in_force(tmp_path):
    write_journal(tmp_path / "run", story().records())
    write_files(tmp_path / "run")
    alone = tmp_path / "alone.csv"
    alone.write_bytes((tmp_path / "run" / "timings.csv").read_bytes())
    exported_cells = cells.of_tables(loading.load_run(alone)).cells
    assert exported_cells[0].cell.key == "forward[numpy-cpu-float32-N64-D1000-H100-T2]"
    assert len({measured.cell.key for measured in exported_cells}) == len(exported_cells)


def test_csv_numbers_cells_of_equal_threads():
    contenders = [Contender("jax", "cpu", "float32", limit) for limit in (1, 2)]
    limits_story = Story(plan_of_cells(contenders), busy={contenders[0]: 1.9})
    run = loaded(limits_story)
    exported_cells = cells.of_tables(RunTables(run.name, run.timings, run.samples, {})).cells
    assert [measured.cell.id for measured in exported_cells] == [
        "jax-cpu-float32-N64-D1000-H100-T2",
        "jax-cpu-float32-N64-D1000-H100-T2~2",
    ]


def test_run_without_times_is_refused():
    untimed = Story(plan_of_cells([NUMPY]), passes=0, complete=False)
    with pytest.raises(ValueError, match=r"none of its 1 cells has a time"):
        cells.of_tables(loaded(untimed)).timed()


def test_source_is_from_the_machine_or_the_rows():
    run = loaded()
    without_info = RunTables(run.name, run.timings, run.samples, {})
    assert cells.of_tables(run).source == cells.of_tables(without_info).source == "abc1234"
    without_source = RunTables(run.name, run.timings.assign(source=None), run.samples, {})
    assert cells.of_tables(without_source).source == ""
