"""Tests of a run compared with an earlier one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.analyse.change import sides
from bench.analyse.change.sides import CellSide, RunSide
from bench.analyse.change.unpaired import compare
from bench.plan.cells import Cell
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, Outcome, Story, p_beyond, plan_of_cells, settled

STEP = Cell(NUMPY, SMALL, "step")


def run(factor: float = 1.0, **others) -> RunSide:
    """Return a run in which torch takes `factor` times as long as usual."""

    def seconds(cell, pass_number):
        return settled(cell, pass_number) * (factor if cell.contender.implementation == "torch" else 1.0)

    return sides.of_run(Story(**{"plan": plan_of_cells(), "seconds": seconds, **others}).run())


def by_name(changes):
    return {change.cell.contender.implementation: change for change in changes}


def side_of(floors, limits=(), typicals=None, **others) -> RunSide:
    """Return a run of one cell."""
    values = dict(enumerate(floors, 1))
    cell = CellSide(STEP, "ok", "", {}, values, typicals or values, dict(enumerate(limits, 1)))
    return RunSide("made", [replace(cell, limit=float(np.mean(limits)) if len(limits) else math.nan)], **others)


def floors_around(value: float, passes: int = 5, spread: float = 0.002) -> list[float]:
    return list(value * np.exp(spread * np.linspace(-1, 1, passes)))


def test_longer_cell_is_slower_and_the_other_the_same():
    changes = by_name(compare(run(), run(1.07)))
    assert (changes["torch"].verdict, changes["numpy"].verdict) == ("slower", "same")
    assert changes["torch"].ratio.value == pytest.approx(1.07)
    assert changes["torch"].ratio.low < 1.07 < changes["torch"].ratio.high
    assert changes["torch"].head.floor.value == pytest.approx(1.07 * changes["torch"].base.floor.value)


def test_swapped_runs_have_inverse_changes():
    forward_changes, backward_changes = compare(run(), run(1.07)), compare(run(1.07), run())
    for forward, backward in zip(forward_changes, backward_changes, strict=True):
        assert forward.ratio.value == pytest.approx(1 / backward.ratio.value)
        assert forward.ratio.low == pytest.approx(1 / backward.ratio.high)
        opposite = {"slower": "faster", "faster": "slower"}.get(backward.verdict, backward.verdict)
        assert forward.verdict == opposite


def test_every_cell_of_either_run_has_a_change():
    torch, numpy = run(plan=plan_of_cells((TORCH,))), run(plan=plan_of_cells((NUMPY,), (SMALL, LARGE)))
    changes = compare(torch, numpy)
    assert [(change.verdict, change.reason) for change in changes] == [
        ("missing", "only in base"),
        ("missing", "only in head"),
        ("missing", "only in head"),
    ]


def test_statuses_of_both_sides_count():
    plan = plan_of_cells()
    wrong = run(plan=plan, outcomes={plan.cells[1]: Outcome("wrong", "off")})
    assert by_name(compare(run(), wrong))["torch"].verdict == "wrong"
    assert by_name(compare(wrong, run()))["torch"].verdict == "fixed"


def test_four_passes_on_a_side_are_unclear():
    torch = by_name(compare(run(), run(2.0, passes=4)))["torch"]
    assert (torch.verdict, torch.reason) == ("unclear", "4 passes, and fewer than 5 decide nothing")
    assert torch.ratio.value == pytest.approx(2.0, rel=0.02)


def test_cell_not_run_in_head_is_missing():
    assert by_name(compare(run(), run(passes=0, complete=False)))["torch"].verdict == "missing"


def test_minimum_effect_can_be_set():
    assert by_name(compare(run(), run(1.07), 0.1))["torch"].verdict == "same"
    changes = compare(run(), run(1.07), lambda cell: 0.1 if cell.contender.implementation == "torch" else 0.02)
    assert by_name(changes)["torch"].verdict == "same"


def test_typical_time_is_judged_too():
    base = side_of(floors_around(1.0))
    [change] = compare(base, side_of(floors_around(1.1), typicals=dict(enumerate(floors_around(1.0), 1))))
    assert (change.verdict, change.typical_verdict, change.disagrees) == ("slower", "same", True)


def test_slower_machine_differs_from_slower_code():
    base = side_of(floors_around(1.0), [0.5] * 5)
    [machine] = compare(base, side_of(floors_around(1.2), [0.6] * 5))
    assert (machine.verdict, machine.relative_verdict, machine.with_the_machine) == ("slower", "same", True)
    assert machine.relative.value == pytest.approx(1.0)
    [code] = compare(base, side_of(floors_around(1.2), [0.5] * 5))
    assert (code.verdict, code.relative_verdict, code.with_the_machine) == ("slower", "slower", False)


def test_ceilings_of_only_one_run_give_no_relative_change():
    [change] = compare(side_of(floors_around(1.0), [0.5] * 5), side_of(floors_around(1.2)))
    assert math.isnan(change.relative.value)
    assert change.relative_verdict == ""


def test_ceiling_without_passes_gives_no_interval():
    base = side_of(floors_around(1.0), [0.5] * 5)
    [cell] = base.cells
    without_passes = replace(base, cells=[replace(cell, limits={})])
    [change] = compare(without_passes, side_of(floors_around(1.2), [0.6] * 5))
    assert change.relative.value == pytest.approx(1.0)
    assert math.isnan(change.relative.low)
    assert change.relative_verdict == ""


@pytest.mark.parametrize("which", ["base", "head"])
def test_adaptive_run_needs_more_confidence(which):
    floors = floors_around(1.0, passes=7)
    fixed, adaptive_run = side_of(floors), side_of(floors, adaptive=True)
    [usual] = compare(fixed, fixed)
    [widened] = compare(adaptive_run, fixed) if which == "base" else compare(fixed, adaptive_run)
    assert (usual.ratio.confidence, widened.ratio.confidence) == (0.95, pytest.approx(0.9625))
    assert widened.ratio.high > usual.ratio.high
    assert p_beyond(widened.ratio, 1.02) > p_beyond(usual.ratio, 1.02)


def test_same_code_on_a_noisy_machine_gives_no_alarm():
    draw = np.random.default_rng(5)

    def noisy() -> RunSide:
        cells = [Cell(NUMPY, replace(SMALL, N=N), "step") for N in range(1, 41)]
        floors = [dict(enumerate(np.exp(draw.normal(-7, 0.02, 5)), 1)) for _ in cells]
        pairs = zip(cells, floors, strict=True)
        return RunSide("noisy", [CellSide(cell, "ok", "", {}, seconds, seconds) for cell, seconds in pairs])

    verdicts = [change.verdict for _ in range(25) for change in compare(noisy(), noisy())]
    assert sum(verdict in ("slower", "faster") for verdict in verdicts) <= 0.01 * len(verdicts)
