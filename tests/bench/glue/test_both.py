"""The cells of a comparison of two sides."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from bench.glue import both
from bench.measure.client import ROOT
from bench.plan import grid
from bench.plan.cells import Shape, Side
from bench.plan.grid import Grid, PlanError
from bench.plan.plan import Machine
from bench.plan.sides import BASE, HEAD

HOST = Machine(cpus=2)
WANTED = Grid("g", N=(4,), D_in=(5,), H=(3,), phase=("step",), rounds=7)
SMALL, LARGE = Shape(4, 5, 3), Shape(8, 5, 3)


def side(name, folder, *implementations, kinds=("cpu",)):
    """Make a side, with a source tree of its own."""
    (folder / name / "implementations").mkdir(parents=True)
    for implementation in implementations:
        path = folder / name / "implementations" / f"{implementation}_.py"
        path.write_text(f"DEVICE_KINDS = {kinds!r}\nclass Net: ...\n")
    return Side(name, name, sys.executable, str(folder / name), implementations)


def planned(base, head, wanted=WANTED, earlier=None, later=None, where=None, machine=HOST):
    grids = {BASE: earlier or wanted, HEAD: later or wanted}
    return both.planned(wanted, lambda side: grids[side.name], (base, head), machine, (), 1, where or {})


def names(cells):
    return [cell.contender.implementation for cell in cells]


def test_plan_has_implementations_of_both_sides(tmp_path):
    plan, gone = planned(side(BASE, tmp_path, "numpy", "old"), side(HEAD, tmp_path, "numpy", "new"))
    assert names(plan.cells) == ["numpy", "new", "old"]
    assert names(gone) == ["old"]
    assert (plan.rounds, plan.baseline) == (7, "numpy")


def test_named_implementation_may_be_on_one_side(tmp_path):
    wanted = replace(WANTED, implementation=("old", "new"))
    plan, gone = planned(side(BASE, tmp_path, "numpy", "old"), side(HEAD, tmp_path, "numpy", "new"), wanted)
    assert names(plan.cells) == ["new", "old"]
    assert names(gone) == ["old"]


def test_implementation_only_in_base_makes_a_plan(tmp_path):
    wanted = replace(WANTED, implementation=("numpy",))
    plan, gone = planned(side(BASE, tmp_path, "numpy"), side(HEAD, tmp_path, "renamed"), wanted)
    assert names(plan.cells) == names(gone) == ["numpy"]


def test_renamed_baseline_is_missing_in_head(tmp_path):
    plan, gone = planned(side(BASE, tmp_path, "numpy"), side(HEAD, tmp_path, "renamed"))
    assert names(plan.cells) == ["renamed", "numpy"]
    assert names(gone) == ["numpy"]
    assert plan.baseline == "numpy"


@pytest.mark.parametrize(
    ("where", "begin"), [({"implementation": "--implementations"}, "--implementations"), ({}, "grid g")]
)
def test_implementation_in_neither_side_is_refused(tmp_path, where, begin):
    wanted = replace(WANTED, implementation=("nope",))
    with pytest.raises(PlanError, match=f"^{begin}.*: neither side has 'nope'; there are b, a$"):
        planned(side(BASE, tmp_path, "a"), side(HEAD, tmp_path, "b"), wanted, where=where)


def test_baseline_in_neither_side_is_refused(tmp_path):
    with pytest.raises(PlanError, match=r"^grid g: baseline: 'nope' is not an implementation"):
        planned(side(BASE, tmp_path, "a"), side(HEAD, tmp_path, "a"), replace(WANTED, baseline="nope"))


def test_removed_shape_is_measured_in_base(tmp_path):
    base, head = side(BASE, tmp_path, "numpy", "old"), side(HEAD, tmp_path, "numpy")
    plan, gone = planned(base, head, earlier=replace(WANTED, N=(4, 8), rounds=99))
    assert [(*names([cell]), cell.shape) for cell in plan.cells] == [
        ("numpy", SMALL),
        ("old", SMALL),
        ("numpy", LARGE),
        ("old", LARGE),
    ]
    assert gone == plan.cells[1:]
    assert plan.rounds == 7


def test_added_shape_is_measured_in_both(tmp_path):
    base, head = side(BASE, tmp_path, "numpy"), side(HEAD, tmp_path, "numpy")
    plan, gone = planned(base, head, replace(WANTED, N=(4, 8)), earlier=WANTED)
    assert [cell.shape for cell in plan.cells] == [SMALL, LARGE]
    assert gone == ()


def test_shape_in_grid_of_head_is_not_gone(tmp_path):
    wide = replace(WANTED, N=(4, 8))
    _, gone = planned(side(BASE, tmp_path, "numpy"), side(HEAD, tmp_path, "numpy"), earlier=wide, later=wide)
    assert gone == ()


def test_invalid_grid_of_base_adds_no_cells(tmp_path):
    base, head = side(BASE, tmp_path, "numpy"), side(HEAD, tmp_path, "numpy")
    plan, gone = planned(base, head, earlier=replace(WANTED, threads=(64,)))
    assert (len(plan.cells), gone) == (1, ())


def test_devices_are_read_from_the_file_of_each_side(tmp_path):
    base, head = side(BASE, tmp_path, "a", kinds=("cpu", "cuda")), side(HEAD, tmp_path, "a")
    plan, gone = planned(base, head, replace(WANTED, baseline="a"), machine=Machine(2, ("cuda",)))
    assert [cell.contender.device for cell in plan.cells] == ["cpu", "cuda"]
    assert [cell.contender.device for cell in gone] == ["cuda"]


def test_unreadable_implementation_runs_on_the_host(tmp_path):
    base, head = side(BASE, tmp_path, "a"), side(HEAD, tmp_path, "a")
    (tmp_path / BASE / "implementations" / "a_.py").write_text("class Net(:")
    plan, gone = planned(base, head, replace(WANTED, baseline="a"))
    assert ([cell.contender.device for cell in plan.cells], gone) == (["cpu"], ())


def test_grid_of_side_takes_cells_from_its_own_tree(tmp_path):
    base = side(BASE, tmp_path, "a")
    wanted = replace(grid.read("smoke"), rounds=3, H=(7,))
    assert both.grid_of(base, "smoke", wanted, {}) == wanted  # that tree has no such grid
    file = tmp_path / BASE / "bench" / "grids" / "smoke.toml"
    file.parent.mkdir(parents=True)
    file.write_text("N = [1, 2]\nH = [9]\nrounds = 50\nmin_effect = 0.5\n")
    assert both.grid_of(base, "smoke", wanted, {"H": ["7"]}) == replace(
        Grid("smoke", N=(1, 2), H=(7,)),
        **{key: getattr(wanted, key) for key in ("rounds", "samples", "passes", "steps", "min_effect", "baseline")},
    )
    file.write_text("who = 3\n")
    assert both.grid_of(base, "smoke", wanted, {}) == wanted  # a grid of another version, which cannot be read
    assert both.grid_of(replace(base, source=str(ROOT)), "smoke", wanted, {"H": ["7"]}) == wanted


def test_every_grid_key_is_about_cells_or_measuring():
    how = {"name", "passes", "rounds", "samples", "baseline", "steps", "timeout", "time_budget", "precision"}
    how |= {"min_effect", "min_effect_of", "ceilings", "max_cells", "memory_limit", "max_failures"}
    assert set(both.MEANING) | how == set(Grid.__dataclass_fields__)
    assert not set(both.MEANING) & how
