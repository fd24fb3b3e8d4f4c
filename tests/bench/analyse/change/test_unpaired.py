"""A run against an earlier one."""

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
    """Of which torch takes `factor` times as long as it usually does."""

    def seconds(cell, pass_number):
        return settled(cell, pass_number) * (factor if cell.contender.implementation == "torch" else 1.0)

    return sides.of_run(Story(**{"plan": plan_of_cells(), "seconds": seconds, **others}).run())


def by_name(changes):
    return {change.cell.contender.implementation: change for change in changes}


def one(floors, limits=(), typicals=None, **others) -> RunSide:
    """A run of one cell."""
    values = dict(enumerate(floors, 1))
    cell = CellSide(STEP, "ok", "", {}, values, typicals or values, dict(enumerate(limits, 1)))
    return RunSide("one", [replace(cell, limit=float(np.mean(limits)) if len(limits) else math.nan)], **others)


def around(value: float, passes: int = 5, spread: float = 0.002) -> list[float]:
    return list(value * np.exp(spread * np.linspace(-1, 1, passes)))


def test_a_cell_that_takes_longer_is_slower_and_the_other_the_same():
    told = by_name(compare(run(), run(1.07)))
    assert (told["torch"].verdict, told["numpy"].verdict) == ("slower", "same")
    assert told["torch"].ratio.value == pytest.approx(1.07)
    assert told["torch"].ratio.low < 1.07 < told["torch"].ratio.high
    assert told["torch"].head.floor.value == pytest.approx(1.07 * told["torch"].base.floor.value)


def test_runs_the_other_way_round_have_the_inverse_changes():
    there, back = compare(run(), run(1.07)), compare(run(1.07), run())
    for one_way, other in zip(there, back, strict=True):
        assert one_way.ratio.value == pytest.approx(1 / other.ratio.value)
        assert one_way.ratio.low == pytest.approx(1 / other.ratio.high)
        turned = {"slower": "faster", "faster": "slower"}.get(other.verdict, other.verdict)
        assert one_way.verdict == turned


def test_every_cell_of_either_run_has_its_row():
    torch, numpy = run(plan=plan_of_cells((TORCH,))), run(plan=plan_of_cells((NUMPY,), (SMALL, LARGE)))
    told = compare(torch, numpy)
    assert [(change.verdict, change.reason) for change in told] == [
        ("missing", "only in base"),
        ("missing", "only in head"),
        ("missing", "only in head"),
    ]


def test_statuses_of_both_sides_are_seen():
    plan = plan_of_cells()
    wrong = run(plan=plan, outcomes={plan.cells[1]: Outcome("wrong", "off")})
    assert by_name(compare(run(), wrong))["torch"].verdict == "wrong"
    assert by_name(compare(wrong, run()))["torch"].verdict == "fixed"


def test_four_passes_on_a_side_are_unclear():
    told = by_name(compare(run(), run(2.0, passes=4)))
    assert (told["torch"].verdict, told["torch"].reason) == ("unclear", "4 passes, and fewer than 5 decide nothing")
    assert told["torch"].ratio.value == pytest.approx(2.0, rel=0.02)


def test_a_run_that_was_cut_off_before_a_cell_is_missing_it():
    assert by_name(compare(run(), run(passes=0, complete=False)))["torch"].verdict == "missing"


def test_the_minimum_effect_is_as_asked():
    assert by_name(compare(run(), run(1.07), 0.1))["torch"].verdict == "same"
    told = compare(run(), run(1.07), lambda cell: 0.1 if cell.contender.implementation == "torch" else 0.02)
    assert by_name(told)["torch"].verdict == "same"


def test_the_typical_time_is_judged_beside_the_floor():
    base = one(around(1.0))
    [told] = compare(base, one(around(1.1), typicals=dict(enumerate(around(1.0), 1))))
    assert (told.verdict, told.typical_verdict, told.disagrees) == ("slower", "same", True)


def test_a_slower_machine_is_told_apart_from_slower_code():
    base = one(around(1.0), [0.5] * 5)
    [machine] = compare(base, one(around(1.2), [0.6] * 5))
    assert (machine.verdict, machine.relative_verdict, machine.with_the_machine) == ("slower", "same", True)
    assert machine.relative.value == pytest.approx(1.0)
    [code] = compare(base, one(around(1.2), [0.5] * 5))
    assert (code.verdict, code.relative_verdict, code.with_the_machine) == ("slower", "slower", False)


def test_ceilings_of_one_run_alone_say_nothing():
    [told] = compare(one(around(1.0), [0.5] * 5), one(around(1.2)))
    assert math.isnan(told.relative.value)
    assert told.relative_verdict == ""


def test_where_only_the_ceilings_middle_is_left_the_change_has_no_interval():
    base = one(around(1.0), [0.5] * 5)
    [cell] = base.cells
    kept = replace(base, cells=[replace(cell, limits={})])
    [told] = compare(kept, one(around(1.2), [0.6] * 5))
    assert told.relative.value == pytest.approx(1.0)
    assert math.isnan(told.relative.low)
    assert told.relative_verdict == ""


@pytest.mark.parametrize("which", ["base", "head"])
def test_a_run_that_chose_when_to_stop_is_held_to_more(which):
    plain, chose = one(around(1.0)), one(around(1.0), adaptive=True)
    [usual] = compare(plain, plain)
    [told] = compare(chose, plain) if which == "base" else compare(plain, chose)
    assert (usual.ratio.confidence, told.ratio.confidence) == (0.95, 0.975)
    assert told.ratio.high > usual.ratio.high
    assert p_beyond(told.ratio, 1.02) > p_beyond(usual.ratio, 1.02)


def test_runs_of_the_same_code_on_a_noisy_machine_give_no_alarm():
    draw = np.random.default_rng(5)

    def noisy() -> RunSide:
        cells = [Cell(NUMPY, replace(SMALL, N=N), "step") for N in range(1, 41)]
        floors = [dict(enumerate(np.exp(draw.normal(-7, 0.02, 5)), 1)) for _ in cells]
        return RunSide("noisy", [CellSide(c, "ok", "", {}, f, f) for c, f in zip(cells, floors, strict=True)])

    told = [change.verdict for _ in range(25) for change in compare(noisy(), noisy())]
    assert sum(verdict in ("slower", "faster") for verdict in told) <= 0.01 * len(told)
