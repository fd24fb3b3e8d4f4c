"""Whether two runs may be compared."""

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


def told(base: RunSide, head: RunSide) -> dict[str, Difference]:
    return {one.name: one for one in differences(base, head)}


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
def test_another_machine_matters(machine, name, base, head):
    known = {"quota": None, "affinity": 2, "usable_cores": 2, "governor": "performance", "turbo": True}
    one = told(run(known), run({**known, **machine}))[name]
    assert (one.base, one.head, one.matters) == (base, head, True)


def test_the_gpu_s_driver_matters_where_the_gpu_was_timed():
    plan = plan_of_cells((NUMPY, GPU))
    old, new = run({"driver": "570.1"}, plan=plan), run({"driver": "580.2"}, plan=plan)
    assert told(old, new)["driver"].matters
    assert not told(run(plan=plan), new)["driver"].matters
    assert "driver" not in told(run({"driver": "570.1"}), run({"driver": "580.2"}))


def test_the_system_matters_but_not_its_release():
    old, new, other = (
        run({"architecture": "x86_64", "system": system}) for system in ("Linux 6.1", "Linux 6.2", "Darwin 24")
    )
    assert told(old, new) == {"kernel": Difference("kernel", "6.1", "6.2", False)}
    assert told(old, other)["os"].matters


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
    found = differences(run(usual), run({**usual, **machine}))
    assert len(found) == 1
    assert not found[0].matters


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"backend_version": "2.0"}, "torch"),
        ({"interpreter": "CPython 3.12.0"}, "python"),
        ({"precision": "high"}, "precision"),
        ({"details": {"blas": "other 2.0"}}, "blas"),
    ],
)
def test_another_environment_matters_and_says_how_many_cells_it_concerns(facts, name):
    [one] = differences(run(), run(workers={TORCH: facts}))
    assert (one.name, one.matters, one.cells) == (name, True, 1)


def recorded(**details):
    return run(workers={TORCH: {"details": {"blas": "model-blas 1.0", **details}}})


def test_another_kernel_matters():
    base, head = (recorded(kernels={"PyTorch": kernel}) for kernel in ("AVX512", "DEFAULT"))
    assert differences(base, head) == [Difference("matrix_kernels", "PyTorch AVX512", "PyTorch DEFAULT", True, 1)]


def test_a_variable_that_only_one_side_had_set_matters_by_its_name():
    base, head = recorded(environment={}), recorded(environment={"OPENBLAS_CORETYPE": "Prescott"})
    [one] = stopping(differences(base, head))
    assert one == Difference("OPENBLAS_CORETYPE", "not set", "Prescott", True, 1)
    assert differences(head, head) == []
    assert stopping(differences(base, head), ["OPENBLAS_CORETYPE"]) == []
    assert variables(head) == {"OPENBLAS_CORETYPE"}


def test_another_value_of_a_variable_matters():
    base, head = (recorded(environment={"XLA_FLAGS": value}) for value in ("--a", "--b"))
    assert differences(base, head) == [Difference("XLA_FLAGS", "--a", "--b", True, 1)]


def test_variables_of_a_run_from_before_they_were_recorded_are_unknown_and_no_difference():
    assert differences(run(), recorded(environment={"OPENBLAS_CORETYPE": "Prescott"})) == []
    assert variables(run()) == set()


def test_another_gpu_matters():
    plan = plan_of_cells((GPU,))
    found = told(run(plan=plan), run(plan=plan, workers={GPU: {"device_name": "Other Accelerator"}}))
    assert found == {"gpu": Difference("gpu", "Model Accelerator", "Other Accelerator", True, 1)}


def test_threads_and_dtype_matter_where_cells_are_matched_in_spite_of_them():
    one, two = (plan_of_cells((replace(NUMPY, threads=threads),)) for threads in (1, 2))
    assert told(run(plan=one), run(plan=two))["threads"] == Difference("threads", "1", "2", True, 1)
    double = plan_of_cells((replace(NUMPY, dtype="float64"),))
    assert told(run(plan=plan_of_cells((NUMPY,))), run(plan=double))["dtype"].matters


def test_threads_in_force_count_and_not_their_limit():
    plan = plan_of_cells((replace(NUMPY, threads=1),))
    found = told(run(plan=plan), run(plan=plan, busy={replace(NUMPY, threads=1): 1.9}))
    assert found["threads"] == Difference("threads", "1", "2", True, 1)


def test_the_steps_of_a_train_matter_only_to_it():
    def steps(count, phase):
        return run(plan=plan_of_cells((NUMPY,), phases=(phase,), steps=count))

    assert told(steps(10, "train"), steps(20, "train"))["steps"].matters
    assert differences(steps(10, "step"), steps(20, "step")) == []


def test_more_samples_are_told_but_do_not_matter():
    [one] = differences(run(plan=plan_of_cells(rounds=2)), run(plan=plan_of_cells(rounds=4)))
    assert (one.name, one.matters, one.head) == ("sampling", False, "4 rounds of 5 samples")


def test_what_only_one_side_knows_does_not_stop_but_is_told():
    found = differences(replace(run(), machine={}), run())
    assert {one.name for one in found} == {"processors", "os", "relubench", "source", "memory"}
    assert not stopping(found)
    assert {one.base for one in found} == {"unknown"}


def test_cells_that_are_not_timed_on_both_sides_do_not_count():
    plan = plan_of_cells((CUPY,))
    gone = Story(plan, outcomes={plan.cells[0]: Outcome("unavailable", "no CuPy")}).records()
    head = run(plan=plan, workers={CUPY: {"backend_version": "9.9"}})
    assert differences(sides.of_run(Run.of(gone)), head) == []


def test_what_matters_comes_first_and_stops_unless_it_is_allowed():
    head = run({"host": "there", "usable_processors": 1}, workers={TORCH: {"backend_version": "2.0"}})
    found = differences(run({"host": "here"}), head)
    assert [one.matters for one in found] == sorted((one.matters for one in found), reverse=True)
    assert {one.name for one in stopping(found)} == {"torch", "processors"}
    assert {one.name for one in stopping(found, ["torch"])} == {"processors"}
    assert stopping(found, ["torch", "processors"]) == stopping(found, ["all"]) == []


def test_libraries_are_named_by_their_import_name():
    assert libraries(run()) == {"numpy", "torch"}
