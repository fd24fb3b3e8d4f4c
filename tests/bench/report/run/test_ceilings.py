from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.measure.records import Ceiling
from bench.plan.cells import Contender
from bench.report.run import ceilings, markdown
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Outcome, Story, plan_of_cells

MIB = 2**20
DOUBLE = Contender("numpy", "cpu", "float64")
CUPY = Contender("cupy", "cuda", "float32")


def told(
    rates=lambda pass_number: 1.0,
    contenders=(NUMPY, TORCH),
    passes=3,
    phases=("step",),
    shapes=(SMALL, LARGE),
    **others,
):
    plan = plan_of_cells(contenders, shapes, phases, passes=passes)
    records = Story(replace(plan, ceilings=(*contenders, CUPY)), **others).records()
    measured = [
        Ceiling(
            1,
            pass_number,
            contender.label,
            {"512x512x512": 2e11 * rates(pass_number)},
            {str(MIB): 4e10, str(128 * MIB): 1e10},
            {str(MIB): 5e10, str(128 * MIB): 1.5e10},
            wall_seconds=0.5,
        )
        for pass_number in range(1, passes + 1)
        for contender in contenders
    ]
    return [*records[:-1], *measured, records[-1]]


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_the_ceilings_and_who_reached_them_are_a_row_a_place():
    text = ceilings.section(Run.of(told()))
    assert text.startswith("## The machine's limits\n")
    [row] = lines(text, "| cpu")
    assert [part.strip() for part in row.split("|")[1:-1]] == [
        *("cpu", "float32", "all", "200 GFLOP/s (numpy)", "50.0 GB/s (numpy)", "15.0 GB/s (numpy)")
    ]
    assert "in 128 MiB" in text


def test_each_contender_s_step_is_a_share_of_its_limit_with_what_binds_it():
    text = ceilings.section(Run.of(told()))
    assert "### Lower bound on a step's time, as a share of it" in text
    numpy, torch = (lines(text, f"| {name} ")[0] for name in ("numpy", "torch"))
    assert "32 % [31, 33] overhead" in numpy
    assert "63 % [62, 65] compute" in torch


def test_where_no_step_was_measured_it_is_the_first_phase():
    assert "### Lower bound on a forward's time" in ceilings.section(Run.of(told(phases=("forward", "update"))))


def test_what_of_a_step_is_not_its_phases_may_be_less_than_nothing():
    parts = {"forward": 2e-3, "backward": 5e-3, "update": 1e-3, "step": 1e-2}

    def seconds(cell, pass_number):
        fused = cell.contender == TORCH and cell.phase == "step"
        return parts[cell.phase] * (0.5 if fused else 1.0)

    text = ceilings.section(Run.of(told(phases=("forward", "backward", "update", "step"), seconds=seconds)))
    after = text.partition("### Step time outside its phases")[2]
    assert "20 % [20, 20], 2.00 ms" in lines(after, "| numpy ")[0]
    assert "−60 % [−60, −60], −3.00 ms" in lines(after, "| torch ")[0]


def test_without_all_phases_nothing_is_said_of_what_is_not_theirs():
    assert "not its phases" not in ceilings.section(Run.of(told(phases=("forward", "step"))))


def test_a_pass_in_which_the_machine_was_slower_is_named():
    text = ceilings.section(Run.of(told(lambda pass_number: 0.88 if pass_number == 3 else 1.0, passes=5)))
    assert "* pass 3: products 12 % lower" in text
    assert "did not keep its pace" in text
    assert "did not keep its pace" not in ceilings.section(Run.of(told(passes=5)))
    head, *rest = told(lambda pass_number: 0.88 if pass_number == 3 else 1.0, passes=5)
    settings = [{"threads": 2, "designs": [{"passes": 5, "rounds": 2, "resolution": 0.2}], "auto": []}]
    assert "did not keep its pace" not in ceilings.section(
        Run.of([replace(head, calibration={"settings": settings}), *rest])
    )


def test_with_several_places_the_drifting_one_is_named():
    text = ceilings.section(
        Run.of(told(lambda pass_number: 1.5 if pass_number == 2 else 1.0, (NUMPY, DOUBLE), passes=5))
    )
    assert "* pass 2: products (cpu, float64, all threads) 50 % higher" in text


def test_a_backend_that_could_not_measure_is_named_with_its_reason():
    missing = Ceiling(0, 1, CUPY.label, reason="unavailable: CuPy is not installed")
    assert "* Not from cupy-cuda-float32: unavailable: CuPy is not installed" in ceilings.section(
        Run.of([*told(), missing])
    )


def test_a_cell_that_failed_is_a_dash():
    plan = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE), passes=3)
    wrong = {cell: Outcome("wrong", "why") for cell in plan.cells if cell.contender == TORCH and cell.shape == LARGE}
    text = ceilings.section(Run.of(told(outcomes=wrong)))
    assert lines(text, "| torch ")[0].rstrip(" |").endswith("—")


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_a_run_that_was_cut_off_is_reported_as_far_as_it_came(passes):
    text = ceilings.section(Run.of(told(passes=passes)))
    assert ("The machine's limits" in text) == bool(passes)
    assert "nan" not in text


def test_without_ceilings_there_is_no_section():
    assert ceilings.section(Story(plan_of_cells()).run()) == ""


def test_the_time_that_ceilings_took_is_accounted_for():
    assert markdown.breakdown(Run.of(told()))["ceilings"] == 3 * 2 * 0.5
