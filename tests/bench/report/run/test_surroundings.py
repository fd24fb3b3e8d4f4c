"""What is said of the environment and the machine, and that nothing is where there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.measure.records import RunStarted, WorkerStarted
from bench.plan.cells import Contender
from bench.report.change import paired, unpaired
from bench.report.machine import doctor
from bench.report.run import markdown, surroundings, terminal
from tests.bench.made import MACHINE, NUMPY, TORCH, Story, plan_of_cells, records
from tests.bench.sides import compared

WHOLE = {"instructions": "AVX-512", "affinity": 2, "quota": None, "usable_cores": 2, "overridden": {}, "turbo": None}
CLEAN = {"numpy": "2.0.0", "blas": "model-blas 1.0", "environment": {}, "kernels": {"NumPy's OpenBLAS": "SkylakeX"}}
SLOW = CLEAN | {"environment": {"OPENBLAS_CORETYPE": "Prescott"}, "kernels": {"NumPy's OpenBLAS": "Prescott"}}
SENTENCE = (
    "NumPy's OpenBLAS runs the Prescott kernels (SSE3), below the AVX-512 that this processor offers, in numpy; "
    "OPENBLAS_CORETYPE=Prescott causes this: unset it"
)


def run(details=CLEAN, **machine):
    workers = {contender: {"details": details} for contender in (NUMPY, TORCH)}
    return Story(plan_of_cells(), workers=workers, machine={**MACHINE, **WHOLE, **machine}).records()


@pytest.mark.parametrize("told", [run(), records()], ids=["clean", "old"])
def test_a_clean_run_and_one_from_before_this_was_recorded_have_no_such_line(told):
    assert surroundings.lines(Run.of(told)) == []
    assert "environment" not in surroundings.facts(Run.of(told))


def test_a_kernel_below_the_processor_s_is_said_with_its_cause_on_the_page_and_on_the_terminal():
    told = run(SLOW)
    assert surroundings.lines(Run.of(told)) == [SENTENCE]
    assert terminal.page(Run.of(told)).count(SENTENCE) == markdown.report(Run.of(told)).count(SENTENCE) == 1


def test_a_kernel_that_nothing_sets_is_the_library_s_own_doing():
    [line] = surroundings.lines(Run.of(run(SLOW | {"environment": {}})))
    assert line.endswith("a newer or another build of that library may know the processor")


@pytest.mark.parametrize(("device", "said"), [("cpu", True), ("cuda", False)])
def test_the_host_s_kernels_do_not_slow_a_contender_on_an_accelerator(device, said):
    contender = Contender("torch", device, "float32")
    details = CLEAN | {"kernels": {"PyTorch": "DEFAULT"}}
    told = Story(plan_of_cells((contender,)), workers={contender: {"details": details}}, machine={**MACHINE, **WHOLE})
    assert bool(surroundings.lines(told.run())) is said


def test_what_the_user_set_and_contenders_do_not_get_is_said_once():
    told = run(overridden={"JAX_DISABLE_JIT": "1", "NVIDIA_TF32_OVERRIDE": "1"})
    line = (
        "the environment sets JAX_DISABLE_JIT=1, NVIDIA_TF32_OVERRIDE=1; contenders are measured without these, "
        "with NVIDIA_TF32_OVERRIDE=0"
    )
    assert terminal.page(Run.of(told)).count(line) == markdown.report(Run.of(told)).count(line) == 1


@pytest.mark.parametrize(
    ("quota", "usable", "said"),
    [
        (None, 4, []),
        (4.0, 4, []),
        (8.0, 4, []),
        (2.0, 2, ["a control group's quota leaves 2 of 4 processors"]),
        (2.5, 2, ["a control group's quota leaves 2.5 of 4 processors, which counts as 2"]),
        (
            0.5,
            1,
            [
                "a control group's quota leaves 0.5 of 4 processors, which counts as 1; "
                "one busy thread is already stopped for part of the time"
            ],
        ),
    ],
)
def test_a_quota_is_said_where_it_leaves_less_than_the_affinity(quota, usable, said):
    assert surroundings.quota({"quota": quota, "affinity": 4, "usable_processors": usable}) == said


def test_the_machine_s_section_has_what_was_set_and_what_ran():
    details = SLOW | {"environment": {"OMP_PLACES": "a|b", "OPENBLAS_CORETYPE": "Prescott"}}
    page = markdown.report(Run.of(run(details, quota=1.5, usable_cores=1, governor="powersave", turbo=False)))
    rows = {
        name.strip(): rest.strip()
        for _, name, rest in (line.split("|", 2) for line in page.splitlines() if line.count("|") > 1)
    }
    assert rows["matrix kernels"].startswith("NumPy's OpenBLAS Prescott")
    assert rows["environment"].startswith(r"`OMP_PLACES=a\|b`, `OPENBLAS_CORETYPE=Prescott`")
    assert rows["quota"].startswith("1.5 processors")
    assert rows["hyperthreads"].startswith("2 usable processors on 1 cores")
    assert rows["governor"].startswith("powersave")
    assert rows["turbo"].startswith("off")


def test_a_run_of_two_sides_says_so_too_and_names_the_variables_that_differ():
    told = with_details(compared(), {"base": CLEAN, "head": SLOW})
    comparison = paired.comparison(Run.of(told))
    line = SENTENCE.replace("in numpy", "in numpy of head")
    difference = "OPENBLAS_CORETYPE: not set → Prescott"
    for text in (unpaired.text(comparison), unpaired.markdown(comparison)):
        assert text.count(line) == text.count(difference) == 1
    page = markdown.report(Run.of(told))
    assert page.count(line) == page.count(difference) == 1
    assert [one.matters for one in comparison.differences] == [True]


def with_details(told, details):
    """A run's records, its processes with these details by side, on a whole machine."""
    changed = []
    for record in told:
        if isinstance(record, WorkerStarted):
            record = replace(record, details=details[record.contender.partition("~")[2]])
        if isinstance(record, RunStarted):
            record = replace(record, machine={**record.machine, **WHOLE})
        changed.append(record)
    return changed


def examined(details, **machine):
    one = {
        "status": "ok",
        "backend": "numpy",
        "backend_version": "2.0",
        "devices": ["cpu"],
        "device_kinds": ["cpu"],
        "details": details,
        "cpu_per_wall_1": 1.0,
        "cpu_per_wall_2": 2.0,
    }
    return {"machine": {**MACHINE, **WHOLE, **machine}, "implementations": {"numpy": one}}


def test_the_doctor_says_it_as_well():
    text = doctor.text(examined(SLOW, quota=1.5, usable_processors=1, overridden={"JAX_DISABLE_JIT": "1"}))
    assert SENTENCE in text
    assert "a control group's quota leaves 1.5 of 2 processors, which counts as 1" in text
    assert "the environment sets JAX_DISABLE_JIT=1; contenders are measured without that" in text


def test_the_doctor_has_nothing_to_say_of_a_clean_machine():
    text = doctor.text(examined(CLEAN))
    assert not {"below", "quota", "environment", "hyperthreads"} & set(text.split())
