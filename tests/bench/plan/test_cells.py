import pytest
from hypothesis import given
from hypothesis import strategies as st

import implementations
from bench.plan.cells import PHASES, Cell, Contender, Shape, flops
from bench.plan.grid import read
from bench.plan.plan import Machine, resolve
from tests.bench.made import steady

TUTORIAL = Shape(64, 1000, 100, 10)
JAX = Contender("jax", "cpu", "float32")


def test_a_tutorial_step_is_25_98_million_operations():
    assert flops(TUTORIAL, "step") == 4 * 64 * 1000 * 100 + 6 * 64 * 100 * 10 == 25_984_000


@steady
@given(*[st.integers(1, 5000)] * 4)
def test_forward_and_backward_make_a_step(N, D_in, H, D_out):
    shape = Shape(N, D_in, H, D_out)
    assert flops(shape, "forward") + flops(shape, "backward") == flops(shape, "step")
    assert flops(shape, "step") == 4 * N * D_in * H + 6 * N * H * D_out


def test_an_update_is_two_operations_per_weight():
    assert flops(TUTORIAL, "update") == 2 * (1000 * 100 + 100 * 10)


def test_train_counts_its_steps():
    assert flops(TUTORIAL, "train", 500) == 500 * flops(TUTORIAL, "step")


def test_every_phase_has_operations():
    assert all(flops(TUTORIAL, phase) > 0 for phase in PHASES)


def test_an_unknown_phase_is_refused():
    with pytest.raises(ValueError, match=r"'sideways' is not a phase; phases are forward, backward, update, step, tra"):
        flops(TUTORIAL, "sideways")


def test_id_and_key_of_a_cell():
    cell = Cell(JAX, Shape(64, 1000, 100), "step")
    assert cell.id == "jax-cpu-float32-N64-D1000-H100"
    assert cell.key == "step[jax-cpu-float32-N64-D1000-H100]"


@pytest.mark.parametrize(
    ("threads", "D_out", "expected"),
    [
        ("all", 10, "jax-cpu-float32-N64-D1000-H100"),
        ("all", 3, "jax-cpu-float32-N64-D1000-H100-O3"),
        (2, 10, "jax-cpu-float32-N64-D1000-H100-T2"),
        (2, 3, "jax-cpu-float32-N64-D1000-H100-O3-T2"),
    ],
)
def test_an_id_has_output_size_and_threads_unless_default(threads, D_out, expected):
    contender = Contender("jax", "cpu", "float32", threads)
    assert Cell(contender, Shape(64, 1000, 100, D_out), "step").id == expected


def test_a_variant_is_in_its_names_and_shares_its_group():
    slowed = Contender("jax", "cpu", "float32", 2, "+3%")
    assert slowed != Contender("jax", "cpu", "float32", 2)
    assert slowed.label == "jax-cpu-float32-T2~+3%"
    assert Cell(slowed, Shape(64, 1000, 100), "step").key == "step[jax-cpu-float32-N64-D1000-H100-T2~+3%]"
    assert slowed.group == Contender("jax", "cpu", "float32", 2).group
    assert JAX.label == "jax-cpu-float32"


def test_a_group_shares_dtype_and_thread_limit():
    torch = Contender("torch", "cuda", "float32")
    assert JAX.group == torch.group
    assert JAX.group != Contender("jax", "cpu", "float64").group
    assert JAX.group != Contender("jax", "cpu", "float32", 1).group


def test_full_preset_has_unique_keys_and_unique_ids_per_phase():
    machine = Machine(cpus=2, accelerators=("cuda:0", "cuda:1"))
    plan = resolve(read("full"), machine, implementations.names(), implementations.device_kinds, 1)
    assert len({cell.key for cell in plan.cells}) == len(plan.cells)
    steps = [cell.id for cell in plan.cells if cell.phase == "step"]
    assert len(set(steps)) == len(steps)
