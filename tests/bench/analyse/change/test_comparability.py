"""Tests of whether two runs may be compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analyse.change import sides
from bench.analyse.change.comparability import Difference, differences, libraries, stopping, variables
from bench.analyse.change.sides import RunSide
from bench.analyse.run.run import Run
from bench.plan.cells import Contender
from tests.bench.made import CUPY, MACHINE, NUMPY, TORCH, Outcome, Story, plan_of_cells

GPU = Contender("torch", "cuda", "float32")


def run(machine=(), **others) -> RunSide:
    plan = others.pop("plan", plan_of_cells())
    return sides.of_run(Story(plan, machine={**MACHINE, **dict(machine)}, **others).run())


def by_name(base: RunSide, head: RunSide) -> dict[str, Difference]:
    return {difference.name: difference for difference in differences(base, head)}


def test_runs_of_one_machine_do_not_differ():
    assert differences(run(), run()) == []


@pytest.mark.parametrize(
    ("machine", "name", "base", "head"),
    [
        ({"cpu": "Other"}, "cpu", "Model Processor", "Other"),
        ({"usable_processors": 4}, "processors", "2 of 4", "4 of 4"),
        ({"quota": 1.5}, "quota", "none", "1.5 processors"),
        ({"usable_cores": 1}, "smt", "2 processors on 2 cores", "2 processors on 1 cores"),
        ({"governor": "powersave"}, "governor", "performance", "powersave"),
        ({"turbo": False}, "turbo", "on", "off"),
        ({"relubench": "0.2.0"}, "relubench", "0.1.0", "0.2.0"),
    ],
)
def test_other_machine_matters(machine, name, base, head):
    known = {"quota": None, "affinity": 2, "usable_cores": 2, "governor": "performance", "turbo": True}
    difference = by_name(run(known), run({**known, **machine}))[name]
    assert (difference.base, difference.head, difference.matters) == (base, head, True)


def test_driver_matters_if_the_gpu_was_timed():
    plan = plan_of_cells((NUMPY, GPU))
    old, new = run({"driver": "570.1"}, plan=plan), run({"driver": "580.2"}, plan=plan)
    assert by_name(old, new)["driver"].matters
    assert not by_name(run(plan=plan), new)["driver"].matters
    assert "driver" not in by_name(run({"driver": "570.1"}), run({"driver": "580.2"}))


def test_system_matters_but_not_its_release():
    old, new, other_system = (
        run({"architecture": "x86_64", "system": system}) for system in ("Linux 6.1", "Linux 6.2", "Darwin 24")
    )
    assert by_name(old, new) == {"kernel": Difference("kernel", "6.1", "6.2", False)}
    assert by_name(old, other_system)["os"].matters


@pytest.mark.parametrize(
    "machine",
    [
        {"megahertz": 2000},
        {"host": "there"},
        {"load": 1.5},
        {"memory_bytes": 1},
        {"swap_bytes": 9},
        {"source": "def5678"},
    ],
)
def test_clock_load_host_memory_swap_and_commit_do_not_matter(machine):
    usual = {"megahertz": 1000, "host": "here", "load": 0.5, "swap_bytes": 0}
    differing = differences(run(usual), run({**usual, **machine}))
    assert len(differing) == 1
    assert not differing[0].matters


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"backend_version": "2.0"}, "torch"),
        ({"interpreter": "CPython 3.12.0"}, "python"),
        ({"precision": "high"}, "precision"),
        ({"details": {"blas": "other 2.0"}}, "blas"),
    ],
)
def test_other_environment_matters_and_counts_its_cells(facts, name):
    [difference] = differences(run(), run(workers={TORCH: facts}))
    assert (difference.name, difference.matters, difference.cells) == (name, True, 1)


def recorded(**details):
    return run(workers={TORCH: {"details": {"blas": "model-blas 1.0", **details}}})


def test_other_kernel_matters():
    base, head = (recorded(kernels={"PyTorch": kernel}) for kernel in ("AVX512", "DEFAULT"))
    assert differences(base, head) == [Difference("matrix_kernels", "PyTorch AVX512", "PyTorch DEFAULT", True, 1)]


def test_variable_set_on_one_side_matters():
    base, head = recorded(environment={}), recorded(environment={"OPENBLAS_CORETYPE": "Prescott"})
    [difference] = stopping(differences(base, head))
    assert difference == Difference("OPENBLAS_CORETYPE", "not set", "Prescott", True, 1)
    assert differences(head, head) == []
    assert stopping(differences(base, head), ["OPENBLAS_CORETYPE"]) == []
    assert variables(head) == {"OPENBLAS_CORETYPE"}


def test_other_value_of_a_variable_matters():
    base, head = (recorded(environment={"XLA_FLAGS": value}) for value in ("--a", "--b"))
    assert differences(base, head) == [Difference("XLA_FLAGS", "--a", "--b", True, 1)]


def test_unrecorded_variables_are_no_difference():
    assert differences(run(), recorded(environment={"OPENBLAS_CORETYPE": "Prescott"})) == []
    assert variables(run()) == set()


def test_other_gpu_matters():
    plan = plan_of_cells((GPU,))
    differing = by_name(run(plan=plan), run(plan=plan, workers={GPU: {"device_name": "Other Accelerator"}}))
    assert differing == {"gpu": Difference("gpu", "Model Accelerator", "Other Accelerator", True, 1)}


def test_threads_and_dtype_of_matched_cells_matter():
    one_thread, two_threads = (plan_of_cells((replace(NUMPY, threads=threads),)) for threads in (1, 2))
    assert by_name(run(plan=one_thread), run(plan=two_threads))["threads"] == Difference("threads", "1", "2", True, 1)
    double = plan_of_cells((replace(NUMPY, dtype="float64"),))
    assert by_name(run(plan=plan_of_cells((NUMPY,))), run(plan=double))["dtype"].matters


def test_threads_in_force_matter_rather_than_their_limit():
    plan = plan_of_cells((replace(NUMPY, threads=1),))
    differing = by_name(run(plan=plan), run(plan=plan, busy={replace(NUMPY, threads=1): 1.9}))
    assert differing["threads"] == Difference("threads", "1", "2", True, 1)


def test_steps_matter_only_to_a_train():
    def steps(count, phase):
        return run(plan=plan_of_cells((NUMPY,), phases=(phase,), steps=count))

    assert by_name(steps(10, "train"), steps(20, "train"))["steps"].matters
    assert differences(steps(10, "step"), steps(20, "step")) == []


def test_more_samples_are_reported_but_do_not_matter():
    [difference] = differences(run(plan=plan_of_cells(rounds=2)), run(plan=plan_of_cells(rounds=4)))
    assert (difference.name, difference.matters, difference.head) == ("sampling", False, "4 rounds of 5 samples")


def test_fact_unknown_on_one_side_is_reported_but_does_not_stop():
    differing = differences(replace(run(), machine={}), run())
    assert {difference.name for difference in differing} == {
        "processors",
        "os",
        "relubench",
        "source",
        "memory",
    }
    assert not stopping(differing)
    assert {difference.base for difference in differing} == {"unknown"}


def test_cells_not_timed_on_both_sides_do_not_count():
    plan = plan_of_cells((CUPY,))
    gone = Story(plan, outcomes={plan.cells[0]: Outcome("unavailable", "no CuPy")}).records()
    head = run(plan=plan, workers={CUPY: {"backend_version": "9.9"}})
    assert differences(sides.of_run(Run.of(gone)), head) == []


def test_mattering_differences_come_first_and_stop_unless_allowed():
    head = run({"host": "there", "usable_processors": 1}, workers={TORCH: {"backend_version": "2.0"}})
    differing = differences(run({"host": "here"}), head)
    assert [each.matters for each in differing] == sorted((each.matters for each in differing), reverse=True)
    assert {each.name for each in stopping(differing)} == {"torch", "processors"}
    assert {each.name for each in stopping(differing, ["torch"])} == {"processors"}
    assert stopping(differing, ["torch", "processors"]) == stopping(differing, ["all"]) == []


def test_libraries_have_their_import_names():
    assert libraries(run()) == {"numpy", "torch"}
