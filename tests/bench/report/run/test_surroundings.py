"""Sentences on the environment and the machine, and none where they do not slow a run."""

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

FACTS = {"instructions": "AVX-512", "affinity": 2, "quota": None, "usable_cores": 2, "overridden": {}, "turbo": None}
CLEAN = {"numpy": "2.0.0", "blas": "model-blas 1.0", "environment": {}, "kernels": {"NumPy's OpenBLAS": "SkylakeX"}}
SLOW = CLEAN | {"environment": {"OPENBLAS_CORETYPE": "Prescott"}, "kernels": {"NumPy's OpenBLAS": "Prescott"}}
SENTENCE = (
    "NumPy's OpenBLAS runs the Prescott kernels (SSE3), below the AVX-512 that this processor offers, in numpy; "
    "OPENBLAS_CORETYPE=Prescott causes this: unset it"
)


def run(details=CLEAN, **machine):
    workers = {contender: {"details": details} for contender in (NUMPY, TORCH)}
    return Story(plan_of_cells(), workers=workers, machine={**MACHINE, **FACTS, **machine}).records()


@pytest.mark.parametrize("run_records", [run(), records()], ids=["clean", "old"])
def test_clean_and_older_runs_have_no_sentence(run_records):
    assert surroundings.lines(Run.of(run_records)) == []
    assert "environment" not in surroundings.facts(Run.of(run_records))


def test_slow_kernel_is_named_with_its_cause():
    run_records = run(SLOW)
    assert surroundings.lines(Run.of(run_records)) == [SENTENCE]
    assert (
        terminal.page(Run.of(run_records)).count(SENTENCE) == markdown.report(Run.of(run_records)).count(SENTENCE) == 1
    )


def test_slow_kernel_without_a_variable_has_no_cause():
    [line] = surroundings.lines(Run.of(run(SLOW | {"environment": {}})))
    assert line.endswith("a newer or another build of that library may know the processor")


@pytest.mark.parametrize(("device", "is_slowed"), [("cpu", True), ("cuda", False)])
def test_kernels_of_the_host_do_not_slow_an_accelerator(device, is_slowed):
    contender = Contender("torch", device, "float32")
    details = CLEAN | {"kernels": {"PyTorch": "DEFAULT"}}
    story = Story(plan_of_cells((contender,)), workers={contender: {"details": details}}, machine={**MACHINE, **FACTS})
    assert bool(surroundings.lines(story.run())) is is_slowed


def test_overridden_variables_are_named_once():
    run_records = run(overridden={"JAX_DISABLE_JIT": "1", "NVIDIA_TF32_OVERRIDE": "1"})
    line = (
        "the environment sets JAX_DISABLE_JIT=1, NVIDIA_TF32_OVERRIDE=1; contenders are measured without these, "
        "with NVIDIA_TF32_OVERRIDE=0"
    )
    assert terminal.page(Run.of(run_records)).count(line) == markdown.report(Run.of(run_records)).count(line) == 1


@pytest.mark.parametrize(
    ("quota", "usable", "sentences"),
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
def test_quota_is_named_where_it_is_less_than_the_affinity(quota, usable, sentences):
    assert surroundings.quota({"quota": quota, "affinity": 4, "usable_processors": usable}) == sentences


def test_machine_section_has_variables_and_kernels():
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


def test_two_sides_name_the_variables_that_differ():
    run_records = with_details(compared(), {"base": CLEAN, "head": SLOW})
    comparison = paired.comparison(Run.of(run_records))
    line = SENTENCE.replace("in numpy", "in numpy of head")
    difference = "OPENBLAS_CORETYPE: not set → Prescott"
    for text in (unpaired.text(comparison), unpaired.markdown(comparison)):
        assert text.count(line) == text.count(difference) == 1
    page = markdown.report(Run.of(run_records))
    assert page.count(line) == page.count(difference) == 1
    assert [difference.matters for difference in comparison.differences] == [True]


def with_details(run_records, details):
    """A run's records, with these details of its processes by side, and with FACTS of its machine."""
    changed = []
    for record in run_records:
        if isinstance(record, WorkerStarted):
            record = replace(record, details=details[record.contender.partition("~")[2]])
        if isinstance(record, RunStarted):
            record = replace(record, machine={**record.machine, **FACTS})
        changed.append(record)
    return changed


def examined(details, **machine):
    report = {
        "status": "ok",
        "backend": "numpy",
        "backend_version": "2.0",
        "devices": ["cpu"],
        "device_kinds": ["cpu"],
        "details": details,
        "cpu_per_wall_1": 1.0,
        "cpu_per_wall_2": 2.0,
    }
    return {"machine": {**MACHINE, **FACTS, **machine}, "implementations": {"numpy": report}}


def test_doctor_has_the_sentences():
    text = doctor.text(examined(SLOW, quota=1.5, usable_processors=1, overridden={"JAX_DISABLE_JIT": "1"}))
    assert SENTENCE in text
    assert "a control group's quota leaves 1.5 of 2 processors, which counts as 1" in text
    assert "the environment sets JAX_DISABLE_JIT=1; contenders are measured without that" in text


def test_doctor_of_a_clean_machine_has_no_sentence():
    text = doctor.text(examined(CLEAN))
    assert not {"below", "quota", "environment", "hyperthreads"} & set(text.split())
