"""Tests of which cells are compared; a contender that exceeded its thread limit is compared with none."""

import re
from dataclasses import replace

import pytest

from bench.analyse.run.comparable import Terms, are_comparable, baseline_of
from bench.analyse.run.crossovers import crossovers
from bench.plan.cells import Contender, Shape
from bench.report.run import markdown, terminal
from tests.bench.made import CUPY, NUMPY, TORCH, Story, plan_of_cells

HOST = Terms("cpu", "float32", "highest", 1, 1, Shape(64, 1000, 100), "step")
DEVICE = replace(HOST, device="cuda", threads=2, thread_limit=2)
EXCEEDED = replace(HOST, threads=3)

NUMPY_1, JAX_1, TORCH_1 = (Contender(name, "cpu", "float32", 1) for name in ("numpy", "jax", "torch"))
SHAPES = (Shape(64, 1000, 100), Shape(512, 1000, 100))


@pytest.fixture(scope="module")
def run():
    """A run of NumPy, JAX and PyTorch with a limit of one thread, in which PyTorch keeps 3 processors busy."""
    return Story(plan_of_cells((NUMPY_1, JAX_1, TORCH_1), SHAPES), busy={TORCH_1: 3.0}).run()


@pytest.mark.parametrize(
    ("terms", "comparable"),
    [
        (HOST, True),
        (DEVICE, True),
        (EXCEEDED, False),
        (replace(HOST, threads=2, thread_limit=2), False),
        (replace(HOST, dtype="float64"), False),
        (replace(HOST, precision="tf32"), False),
        (replace(HOST, shape=SHAPES[1]), False),
        (replace(HOST, phase="forward"), False),
        (replace(HOST, variant="head"), False),
    ],
    ids=["like", "accelerator", "exceeded", "threads", "dtype", "precision", "shape", "phase", "side"],
)
def test_cells_are_comparable_on_the_same_terms(terms, comparable):
    assert are_comparable(HOST, terms) is comparable
    assert are_comparable(terms, HOST) is comparable


def test_exceeded_cell_is_not_comparable_to_itself():
    assert not are_comparable(EXCEEDED, EXCEEDED)


def test_accelerators_are_comparable_with_any_host_threads():
    assert are_comparable(DEVICE, replace(DEVICE, threads=9, thread_limit=1))


def test_baseline_is_on_the_same_device_else_on_the_host():
    baselines = [(HOST, "host"), (DEVICE, "device")]
    assert baseline_of(DEVICE, baselines) == "device"
    assert baseline_of(DEVICE, baselines[:1]) == "host"
    assert baseline_of(HOST, baselines) == "host"
    assert baseline_of(HOST, baselines[1:]) is None
    assert baseline_of(EXCEEDED, baselines) is None


def test_exceeded_cell_has_no_speedup(run):
    torch = run.timings[run.timings["implementation"] == "torch"]
    assert torch[["speedup", "speedup_floor", "verdict", "verdict_floor"]].isna().all(axis=None)


def test_exceeded_cell_has_no_rank(run):
    by_name = run.timings.set_index("implementation")
    assert by_name.loc["torch", ["rank", "rank_worst"]].isna().all(axis=None)
    assert by_name.loc[["numpy", "jax"], "rank_worst"].max() == 2


def test_exceeded_cell_has_no_break_even(run):
    by_name = {(cost.contender.implementation, cost.shape): cost.break_even for cost in run.costs}
    assert all(by_name["torch", shape] is None for shape in SHAPES)
    assert all(by_name["jax", shape] is not None for shape in SHAPES)


def test_exceeded_cell_has_no_crossover(run):
    rows = crossovers(run.measured, [*run.timings["implementation"]])
    assert set(zip(rows["contender"], rows["other"], strict=True)) == {("numpy", "jax")}


def test_exceeded_cell_shows_time_and_reason(run):
    assert "asked to use 1 threads, it kept 3.0 busy" in markdown.report(run)
    rows = [line for line in terminal.page(run).splitlines() if line.startswith("torch")]
    assert all(re.fullmatch(r"torch, 3 threads {9,}\d.* ± \S+ % +—  .*—", row) for row in rows)
    assert len(rows) == 2


def test_accelerator_can_exceed_the_host_thread_limit():
    run = Story(plan_of_cells((NUMPY, CUPY, TORCH)), busy={CUPY: 9.0}).run()
    cupy = run.timings.set_index("implementation").loc["cupy"]
    assert cupy[["speedup", "rank"]].notna().all()
