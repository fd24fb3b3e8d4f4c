"""Tests of environment variables of runs."""

from __future__ import annotations

from dataclasses import replace

from bench.analyse.run import environments
from bench.analyse.run.run import Run
from bench.measure.records import WorkerStarted
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells
from tests.bench.sides import compared


def story(*environment, contenders=(NUMPY, TORCH)):
    details = [{"environment": variables} if variables is not None else {} for variables in environment]
    workers = {contender: {"details": each} for contender, each in zip(contenders, details, strict=True)}
    return Story(plan_of_cells(), workers=workers).records()


def test_run_without_recorded_variables_is_unknown():
    assert environments.of_run(Run.of(story(None, None))) is None


def test_run_with_no_variables_set_is_known():
    assert environments.of_run(Run.of(story({}, {}))) == {}


def test_shared_value_is_given_once_and_differing_ones_together():
    merged = environments.of_run(Run.of(story({"OMP_PLACES": "cores", "XLA_FLAGS": "a"}, {"OMP_PLACES": "cores"})))
    assert merged == {"OMP_PLACES": "cores", "XLA_FLAGS": "a, not set"}


def test_different_has_both_values_or_nothing_for_unknown():
    assert environments.different({"A": "1", "B": "2"}, {"A": "1", "C": "3"}) == [
        ("B", "2", "not set"),
        ("C", "not set", "3"),
    ]
    assert environments.different(None, {"A": "1"}) == environments.different({"A": "1"}, None) == []


def test_sides_of_a_run_are_compared():
    def with_environment(record):
        if not isinstance(record, WorkerStarted):
            return record
        variables = {"OPENBLAS_CORETYPE": "Haswell"} if record.contender.endswith("~head") else {}
        return replace(record, details={"environment": variables})

    assert environments.of_sides(Run.of(compared())) == []
    records = [with_environment(record) for record in compared()]
    assert environments.of_sides(Run.of(records)) == [("OPENBLAS_CORETYPE", "not set", "Haswell")]
