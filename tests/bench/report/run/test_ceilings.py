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


def with_ceilings(
    rates=lambda pass_number: 1.0,
    contenders=(NUMPY, TORCH),
    passes=3,
    phases=("step",),
    shapes=(SMALL, LARGE),
    **others,
):
    plan = plan_of_cells(contenders, shapes, phases, passes=passes)
    records = Story(replace(plan, ceilings=(*contenders, CUPY)), **others).records()
    measured_ceilings = [
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
    return [*records[:-1], *measured_ceilings, records[-1]]


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_ceilings_have_one_row_per_place_with_backends():
    text = ceilings.section(Run.of(with_ceilings()))
    assert text.startswith("## The machine's limits\n")
    [row] = lines(text, "| cpu")
    assert [part.strip() for part in row.split("|")[1:-1]] == [
        *("cpu", "float32", "all", "200 GFLOP/s (numpy)", "50.0 GB/s (numpy)", "15.0 GB/s (numpy)")
    ]
    assert "in 128 MiB" in text


def test_step_times_are_compared_with_their_lower_bound():
    text = ceilings.section(Run.of(with_ceilings()))
    assert "### Lower bound on a step's time, as a share of it" in text
    numpy, torch = (lines(text, f"| {name} ")[0] for name in ("numpy", "torch"))
    assert "32 % [31, 33] overhead" in numpy
    assert "63 % [62, 65] compute" in torch


def test_without_a_step_the_first_phase_is_compared():
    assert "### Lower bound on a forward's time" in ceilings.section(
        Run.of(with_ceilings(phases=("forward", "update")))
    )


def test_step_time_outside_its_phases_may_be_negative():
    parts = {"forward": 2e-3, "backward": 5e-3, "update": 1e-3, "step": 1e-2}

    def seconds(cell, pass_number):
        fused = cell.contender == TORCH and cell.phase == "step"
        return parts[cell.phase] * (0.5 if fused else 1.0)

    text = ceilings.section(Run.of(with_ceilings(phases=("forward", "backward", "update", "step"), seconds=seconds)))
    after = text.partition("### Step time outside its phases")[2]
    assert "20 % [20, 20], 2.00 ms" in lines(after, "| numpy ")[0]
    assert "−60 % [−60, −60], −3.00 ms" in lines(after, "| torch ")[0]


def test_step_time_outside_its_phases_needs_all_phases():
    assert "outside its phases" not in ceilings.section(Run.of(with_ceilings(phases=("forward", "step"))))


def test_pass_with_other_ceilings_is_named():
    text = ceilings.section(Run.of(with_ceilings(lambda pass_number: 0.88 if pass_number == 3 else 1.0, passes=5)))
    assert "* pass 3: products 12 % lower" in text
    assert "did not keep its pace" in text
    assert "did not keep its pace" not in ceilings.section(Run.of(with_ceilings(passes=5)))
    head, *rest = with_ceilings(lambda pass_number: 0.88 if pass_number == 3 else 1.0, passes=5)
    settings = [{"threads": 2, "designs": [{"passes": 5, "rounds": 2, "resolution": 0.2}], "auto": []}]
    assert "did not keep its pace" not in ceilings.section(
        Run.of([replace(head, calibration={"settings": settings}), *rest])
    )


def test_drifting_place_is_named_among_several():
    text = ceilings.section(
        Run.of(with_ceilings(lambda pass_number: 1.5 if pass_number == 2 else 1.0, (NUMPY, DOUBLE), passes=5))
    )
    assert "* pass 2: products (cpu, float64, all threads) 50 % higher" in text


def test_missing_ceiling_is_named_with_its_reason():
    missing = Ceiling(0, 1, CUPY.label, reason="unavailable: CuPy is not installed")
    assert "* Not from cupy-cuda-float32: unavailable: CuPy is not installed" in ceilings.section(
        Run.of([*with_ceilings(), missing])
    )


def test_failed_cell_is_a_dash():
    plan = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE), passes=3)
    wrong = {cell: Outcome("wrong", "why") for cell in plan.cells if cell.contender == TORCH and cell.shape == LARGE}
    text = ceilings.section(Run.of(with_ceilings(outcomes=wrong)))
    assert lines(text, "| torch ")[0].rstrip(" |").endswith("—")


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_run_that_was_cut_off_has_the_section(passes):
    text = ceilings.section(Run.of(with_ceilings(passes=passes)))
    assert ("The machine's limits" in text) == bool(passes)
    assert "nan" not in text


def test_without_ceilings_there_is_no_section():
    assert ceilings.section(Story(plan_of_cells()).run()) == ""


def test_breakdown_has_the_time_of_ceilings():
    assert markdown.breakdown(Run.of(with_ceilings()))["ceilings"] == 3 * 2 * 0.5
