"""The variables that a run's processes had set, and in which of them two runs differ."""

from __future__ import annotations

from dataclasses import replace

from bench.analyse.run import environments
from bench.analyse.run.run import Run
from bench.measure.records import WorkerStarted
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells
from tests.bench.sides import compared


def story(*environment, contenders=(NUMPY, TORCH)):
    details = [{"environment": one} if one is not None else {} for one in environment]
    workers = {contender: {"details": one} for contender, one in zip(contenders, details, strict=True)}
    return Story(plan_of_cells(), workers=workers).records()


def test_a_run_without_a_record_of_them_is_unknown():
    assert environments.of_run(Run.of(story(None, None))) is None


def test_a_run_that_had_none_set_is_known():
    assert environments.of_run(Run.of(story({}, {}))) == {}


def test_a_value_that_all_have_stands_once_and_others_together():
    told = environments.of_run(Run.of(story({"OMP_PLACES": "cores", "XLA_FLAGS": "a"}, {"OMP_PLACES": "cores"})))
    assert told == {"OMP_PLACES": "cores", "XLA_FLAGS": "a, not set"}


def test_what_differs_has_both_values_and_nothing_differs_from_the_unknown():
    assert environments.different({"A": "1", "B": "2"}, {"A": "1", "C": "3"}) == [
        ("B", "2", "not set"),
        ("C", "not set", "3"),
    ]
    assert environments.different(None, {"A": "1"}) == environments.different({"A": "1"}, None) == []


def test_the_sides_of_a_run_are_held_against_each_other():
    def with_environment(record):
        if not isinstance(record, WorkerStarted):
            return record
        own = {"OPENBLAS_CORETYPE": "Haswell"} if record.contender.endswith("~head") else {}
        return replace(record, details={"environment": own})

    assert environments.of_sides(Run.of(compared())) == []
    told = [with_environment(record) for record in compared()]
    assert environments.of_sides(Run.of(told)) == [("OPENBLAS_CORETYPE", "not set", "Haswell")]
