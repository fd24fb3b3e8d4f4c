import json
from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.history.entries import cell_of, entry_of
from bench.measure.records import RunStarted
from tests.bench import many
from tests.bench.made import MACHINE, NUMPY, SMALL, TORCH, plan_of_cells, records, story


def conditions(entry):
    return [json.loads(cell.conditions) for cell in entry.timed]


def test_timed_cells_have_floors_by_process_and_their_estimate():
    entry = entry_of(Run.of(records()))
    timings = Run.of(records()).timings
    timed = timings[timings["status"] == "ok"]
    assert [cell.seconds for cell in entry.timed] == pytest.approx(list(timed["seconds_floor"]))
    assert {len(cell.floors) for cell in entry.timed} == {len(cell.typicals) for cell in entry.timed} == {5}
    assert all(
        floor < typical for cell in entry.timed for floor, typical in zip(cell.floors, cell.typicals, strict=True)
    )


def test_untimed_cells_have_status_and_reason():
    entry = entry_of(Run.of(records()))
    assert {cell.status for cell in entry.untimed} == {"wrong", "unavailable"}
    assert len(entry.timed) + len(entry.untimed) == len(story().plan.cells)
    assert all(cell.reason for cell in entry.untimed)


def test_cells_round_trip_as_plain_data():
    entry = entry_of(Run.of(records()))
    cells = {cell_of(json.loads(cell.cell)) for cell in (*entry.timed, *entry.untimed)}
    assert cells == set(story().plan.cells)


@pytest.mark.parametrize(
    "machine", [{"source": "def5678"}, {"relubench": "9.9"}, {"system": "Linux 99"}, {"host": "another"}]
)
def test_versions_commits_and_host_names_change_no_series(machine):
    assert conditions(entry_of(Run.of(many.run(0, machine=machine)))) == conditions(entry_of(Run.of(many.run(1))))


def test_library_and_interpreter_versions_change_no_series():
    newer = {TORCH: {"backend_version": "9.9", "interpreter": "CPython 3.99", "details": {"blas": "another"}}}
    old, new = entry_of(Run.of(many.run(0))), entry_of(Run.of(many.run(0, workers=newer)))
    assert conditions(old) == conditions(new)
    [changed] = [cell for cell in new.timed if "torch" in cell.key]
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
        {"workers": {contender: {"precision": "tf32"} for contender in (NUMPY, TORCH)}},
        {"workers": {contender: {"device_name": "Another Accelerator"} for contender in (NUMPY, TORCH)}},
    ],
    ids=lambda others: next(iter(others)),
)
def test_another_machine_or_method_is_another_series(others):
    usual, changed = conditions(entry_of(Run.of(many.run(0)))), conditions(entry_of(Run.of(many.run(0, **others))))
    assert all(a != b for a, b in zip(usual, changed, strict=True))


def with_environment(variables):
    details = {"blas": "model-blas 1.0", **({} if variables is None else {"environment": variables})}
    return entry_of(Run.of(many.run(0, workers={contender: {"details": details} for contender in (NUMPY, TORCH)})))


def test_recorded_variable_is_another_series():
    usual, with_variable = with_environment({}), with_environment({"OPENBLAS_CORETYPE": "Prescott"})
    for before, after in zip(conditions(usual), conditions(with_variable), strict=True):
        assert after == before | {"OPENBLAS_CORETYPE": "Prescott"}


def test_run_without_variables_continues_older_series():
    assert conditions(with_environment({})) == conditions(with_environment(None))


def test_kernels_are_versions_and_no_conditions():
    details = {"blas": "model-blas 1.0", "environment": {}, "kernels": {"NumPy's OpenBLAS": "Zen"}}
    entry = entry_of(Run.of(many.run(0, workers={NUMPY: {"details": details}})))
    assert conditions(entry) == conditions(entry_of(Run.of(many.run(0))))
    [numpy] = [json.loads(cell.versions) for cell in entry.timed if "numpy" in cell.key]
    assert numpy["matrix_kernels"] == "NumPy's OpenBLAS Zen"
    assert not {"kernels", "environment", "executable"} & numpy.keys()


def test_only_trainings_depend_on_steps():
    plans = [plan_of_cells(phases=("step", "train"), passes=many.PASSES, steps=steps) for steps in (10, 20)]
    short, long = (entry_of(Run.of(many.run(0, plan=plan))) for plan in plans)
    for a, b in zip(short.timed, long.timed, strict=True):
        assert (a.conditions == b.conditions) == (not a.key.startswith("train"))


def test_run_without_method_number_has_method_1():
    texts = [cell.conditions for cell in entry_of(Run.of(many.run(0))).timed]
    assert texts == [cell.conditions for cell in entry_of(Run.of(many.run(0, machine={"measurement": 1}))).timed]


def test_run_that_was_cut_off_is_refused():
    with pytest.raises(ValueError, match="cut off"):
        entry_of(Run.of(records(complete=False)))


def test_run_of_another_version_is_refused():
    first, *rest = records()
    assert isinstance(first, RunStarted)
    with pytest.raises(ValueError, match=r"plan\.grid: Field required"):
        entry_of(Run.of([RunStarted(first.run, first.started, {"cells": [{"N": SMALL.N}]}, MACHINE, []), *rest]))


@pytest.mark.parametrize(
    ("started", "in_utc"),
    [
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05+00:00"),
        ("2026-W01-1", "2025-12-29T00:00:00+00:00"),
        ("2026-01-02T03:04:05,5", "2026-01-02T03:04:05.500000+00:00"),
    ],
)
def test_start_is_stored_in_one_form(started, in_utc):
    first, *rest = records()
    assert entry_of(Run.of([replace(first, started=started), *rest])).started == in_utc
