import json
from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.history.entries import cell_of, entry_of
from bench.measure.records import RunStarted
from tests.bench import many
from tests.bench.made import MACHINE, NUMPY, SMALL, TORCH, plan_of_cells, records, story


def conditions(told):
    return [json.loads(one.conditions) for one in told.timed]


def test_each_timed_cell_has_its_floors_by_process_and_their_estimate():
    told = entry_of(Run.of(records()))
    timings = Run.of(records()).timings
    timed = timings[timings["status"] == "ok"]
    assert [one.seconds for one in told.timed] == pytest.approx(list(timed["seconds_floor"]))
    assert {len(one.floors) for one in told.timed} == {len(one.typicals) for one in told.timed} == {5}
    assert all(floor < typical for one in told.timed for floor, typical in zip(one.floors, one.typicals, strict=True))


def test_each_cell_without_a_time_has_its_status_and_reason():
    told = entry_of(Run.of(records()))
    assert {one.status for one in told.untimed} == {"wrong", "unavailable"}
    assert len(told.timed) + len(told.untimed) == len(story().plan.cells)
    assert all(one.reason for one in told.untimed)


def test_a_cell_survives_being_kept_as_plain_data():
    told = entry_of(Run.of(records()))
    kept = {cell_of(json.loads(one.cell)) for one in (*told.timed, *told.untimed)}
    assert kept == set(story().plan.cells)


@pytest.mark.parametrize(
    "machine", [{"source": "def5678"}, {"relubench": "9.9"}, {"system": "Linux 99"}, {"host": "another"}]
)
def test_versions_commits_and_host_names_change_no_series(machine):
    assert conditions(entry_of(Run.of(many.run(0, machine=machine)))) == conditions(entry_of(Run.of(many.run(1))))


def test_library_and_interpreter_versions_change_no_series():
    newer = {TORCH: {"backend_version": "9.9", "interpreter": "CPython 3.99", "details": {"blas": "another"}}}
    old, new = entry_of(Run.of(many.run(0))), entry_of(Run.of(many.run(0, workers=newer)))
    assert conditions(old) == conditions(new)
    [changed] = [one for one in new.timed if "torch" in one.key]
    assert json.loads(changed.versions).items() >= {"torch": "9.9", "python": "CPython 3.99", "blas": "another"}.items()


@pytest.mark.parametrize(
    "others",
    [
        {"machine": {"cpu": "Another Processor"}},
        {"machine": {"usable_processors": 1}},
        {"machine": {"measurement": 2}},
        {"plan": plan_of_cells(passes=many.PASSES, cpus=4)},
        {"plan": plan_of_cells(passes=many.PASSES, rounds=3)},
        {"plan": plan_of_cells(passes=many.PASSES, samples=9)},
        {"workers": {one: {"precision": "tf32"} for one in (NUMPY, TORCH)}},
        {"workers": {one: {"device_name": "Another Accelerator"} for one in (NUMPY, TORCH)}},
    ],
    ids=lambda others: next(iter(others)),
)
def test_another_machine_or_way_to_measure_is_another_series(others):
    usual, other = conditions(entry_of(Run.of(many.run(0)))), conditions(entry_of(Run.of(many.run(0, **others))))
    assert all(a != b for a, b in zip(usual, other, strict=True))


def with_environment(variables):
    details = {"blas": "model-blas 1.0", **({} if variables is None else {"environment": variables})}
    return entry_of(Run.of(many.run(0, workers={one: {"details": details} for one in (NUMPY, TORCH)})))


def test_a_variable_that_was_set_is_another_series_by_its_name():
    usual, other = with_environment({}), with_environment({"OPENBLAS_CORETYPE": "Prescott"})
    for before, after in zip(conditions(usual), conditions(other), strict=True):
        assert after == before | {"OPENBLAS_CORETYPE": "Prescott"}


def test_a_run_without_such_variables_goes_on_with_the_series_from_before_they_were_recorded():
    assert conditions(with_environment({})) == conditions(with_environment(None))


def test_the_kernel_changes_no_series_but_may_explain_a_change():
    details = {"blas": "model-blas 1.0", "environment": {}, "kernels": {"NumPy's OpenBLAS": "Zen"}}
    told = entry_of(Run.of(many.run(0, workers={NUMPY: {"details": details}})))
    assert conditions(told) == conditions(entry_of(Run.of(many.run(0))))
    [numpy] = [json.loads(one.versions) for one in told.timed if "numpy" in one.key]
    assert numpy["matrix_kernels"] == "NumPy's OpenBLAS Zen"
    assert not {"kernels", "environment", "executable"} & numpy.keys()


def test_only_trainings_depend_on_their_number_of_steps():
    plans = [plan_of_cells(phases=("step", "train"), passes=many.PASSES, steps=steps) for steps in (10, 20)]
    short, long = (entry_of(Run.of(many.run(0, plan=plan))) for plan in plans)
    for a, b in zip(short.timed, long.timed, strict=True):
        assert (a.conditions == b.conditions) == (not a.key.startswith("train"))


def test_a_run_from_before_ways_to_measure_were_numbered_counts_as_the_first_way():
    told = [one.conditions for one in entry_of(Run.of(many.run(0))).timed]
    assert told == [one.conditions for one in entry_of(Run.of(many.run(0, machine={"measurement": 1}))).timed]


def test_a_run_that_was_cut_off_is_not_kept():
    with pytest.raises(ValueError, match="cut off"):
        entry_of(Run.of(records(complete=False)))


def test_a_run_of_another_version_is_complained_of():
    first, *rest = records()
    assert isinstance(first, RunStarted)
    with pytest.raises(ValueError, match=r"plan\.grid: Field required"):
        entry_of(Run.of([RunStarted(first.run, first.started, {"cells": [{"N": SMALL.N}]}, MACHINE, []), *rest]))


@pytest.mark.parametrize(
    ("started", "kept"),
    [
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05+00:00"),
        ("2026-W01-1", "2025-12-29T00:00:00+00:00"),
        ("2026-01-02T03:04:05,5", "2026-01-02T03:04:05.500000+00:00"),
    ],
)
def test_the_start_is_kept_in_one_form_whichever_the_journal_has(started, kept):
    first, *rest = records()
    assert entry_of(Run.of([replace(first, started=started), *rest])).started == kept
