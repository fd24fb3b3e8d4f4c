from dataclasses import replace

import pytest

import implementations
from bench.plan import looks
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.grid import Grid, PlanError, names, read
from bench.plan.plan import TIME_BUDGET, Machine, Plan, resolve

KINDS = {"cupy": ("cuda",), "jax": ("cpu", "cuda", "tpu"), "numpy": ("cpu",), "torch": ("cpu", "cuda", "mps")}
HOST = Machine(cpus=4)
CUDA = Machine(cpus=4, accelerators=("cuda",))
TWO_CUDA = Machine(cpus=4, accelerators=("cuda:0", "cuda:1"))


def kinds(name: str) -> tuple[str, ...]:
    if name not in KINDS:
        raise LookupError(f"there is no implementation {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def plan(machine: Machine = HOST, where: dict[str, str] | None = None, **asked) -> Plan:
    return resolve(Grid("g", **{"phase": ("step",), **asked}), machine, list(KINDS), kinds, 7, where)


def contenders(machine: Machine = HOST, **asked) -> list[str]:
    return list(dict.fromkeys(str(cell.contender) for cell in plan(machine, **asked).cells))


def complaint(machine: Machine = HOST, where: dict[str, str] | None = None, **asked) -> str:
    with pytest.raises(PlanError) as caught:
        plan(machine, where, **asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_left_to_auto_every_implementation_is_on_the_present_devices_it_knows():
    assert contenders(CUDA) == [
        "cupy-cuda-float32",
        "jax-cpu-float32",
        "jax-cuda-float32",
        "numpy-cpu-float32",
        "torch-cpu-float32",
        "torch-cuda-float32",
    ]


def test_left_to_auto_each_of_two_accelerators_is_a_device():
    assert contenders(TWO_CUDA, implementation=("cupy",)) == ["cupy-cuda:0-float32", "cupy-cuda:1-float32"]


def test_a_backend_that_finds_no_device_keeps_its_first_kind():
    assert contenders(HOST) == ["cupy-cuda-float32", "jax-cpu-float32", "numpy-cpu-float32", "torch-cpu-float32"]
    mps = Machine(cpus=4, accelerators=("mps",))
    assert contenders(mps, implementation=("cupy", "torch")) == [
        "cupy-cuda-float32",
        "torch-cpu-float32",
        "torch-mps-float32",
    ]


def test_an_absent_device_is_a_cell_of_every_backend_that_knows_it():
    assert contenders(HOST, device=("cuda",)) == ["cupy-cuda-float32", "jax-cuda-float32", "torch-cuda-float32"]
    assert contenders(HOST, device=("cuda:3", "cpu"), implementation=("torch",)) == [
        "torch-cuda:3-float32",
        "torch-cpu-float32",
    ]


def test_numpy_is_on_cuda_only_where_it_was_asked_for_by_name():
    assert "numpy-cuda-float32" not in contenders(CUDA, device=("cuda",))
    assert contenders(CUDA, device=("cuda",), implementation=("numpy",)) == ["numpy-cuda-float32"]


def test_contenders_stand_in_the_order_they_were_asked_for():
    assert contenders(implementation=("torch", "numpy")) == ["torch-cpu-float32", "numpy-cpu-float32"]
    in_both = contenders(implementation=("torch", "numpy"), dtype=("float64", "float32"))
    assert in_both == ["torch-cpu-float64", "numpy-cpu-float64", "torch-cpu-float32", "numpy-cpu-float32"]


def test_every_contender_has_a_cell_at_every_shape_in_every_phase():
    asked = {"N": (8, 16), "H": (3, 5), "phase": ("step", "forward"), "dtype": ("float32", "float64")}
    made = plan(implementation=("numpy", "torch"), **asked)
    assert len(made.cells) == len(set(made.cells)) == 2 * 2 * 2 * 2 * 2
    assert {cell.shape for cell in made.cells} == set(Grid("g", N=(8, 16), H=(3, 5)).shapes())


def test_the_grid_s_settings_and_the_machine_s_processors_are_the_plan_s():
    made = plan(passes=3, rounds=2, samples=9, steps=11, timeout=13, baseline="torch")
    assert (made.grid, made.passes, made.rounds, made.samples, made.steps, made.timeout) == ("g", 3, 2, 9, 11, 13)
    assert (made.baseline, made.cpus, made.seed) == ("torch", 4, 7)


def test_a_run_of_a_fixed_number_of_passes_is_not_adaptive():
    made = plan(passes=3)
    assert (made.passes, made.adaptive, made.time_budget) == (3, False, None)
    assert (made.precision, made.min_effect) == (0.01, 0.02)


def test_a_run_of_as_many_passes_as_it_takes_has_at_least_five_and_five_minutes():
    made = plan(passes="auto", precision=0.005, min_effect=0.03)
    assert (made.passes, made.adaptive, made.time_budget) == (looks.FIRST, True, TIME_BUDGET) == (5, True, 300.0)
    assert (made.precision, made.min_effect) == (0.005, 0.03)
    assert plan(passes="auto", time_budget=90.0).time_budget == 90.0


def test_a_time_budget_is_refused_where_the_number_of_passes_is_fixed():
    expected = "grid g: time_budget: a run of 5 passes takes its time; ask for --passes auto"
    assert complaint(time_budget=60.0) == expected
    assert complaint(where={"time_budget": "--time-budget"}, time_budget=60.0).startswith("--time-budget: a run of")


def test_all_threads_are_the_usable_processors():
    made = plan(threads=("all", 3), implementation=("numpy",))
    assert [made.threads(cell.contender) for cell in made.cells] == [4, 3]


def test_as_many_threads_as_processors_are_no_mistake():
    assert {cell.contender.threads for cell in plan(threads=(4,)).cells} == {4}


def test_host_threads_do_not_multiply_the_contenders_on_an_accelerator():
    made = plan(CUDA, threads=(1, 2), implementation=("torch",))
    limits = [(cell.contender.device, cell.contender.threads) for cell in made.cells]
    assert limits == [("cpu", 1), ("cuda", 1), ("cpu", 2)]


def test_more_threads_than_processors_are_refused():
    assert complaint(threads=(2, 5)) == "grid g: threads: 5 is more than the 4 processors usable here"


def test_an_unknown_implementation_is_refused_with_those_there_are():
    expected = "grid g: implementation: there is no implementation 'nunpy'; there are cupy, jax, numpy, torch"
    assert complaint(implementation=("numpy", "nunpy")) == expected


def test_an_implementation_whose_source_cannot_be_read_is_refused():
    def broken(name: str) -> tuple[str, ...]:
        raise SyntaxError("invalid syntax")

    with pytest.raises(PlanError, match=r"^grid g: implementation: invalid syntax"):
        resolve(Grid("g"), HOST, ["numpy"], broken, 1)


def test_an_unknown_baseline_is_refused_with_those_there_are():
    expected = (
        "grid g: baseline: 'nunpy' is not an implementation; there are torch, cupy, jax, numpy; did you mean 'numpy'?"
    )
    assert complaint(baseline="nunpy", implementation=("torch",)) == expected


def test_a_baseline_that_is_left_out_of_a_run_is_no_mistake():
    assert plan(implementation=("torch",)).baseline == "numpy"


def test_a_class_of_ones_own_may_be_the_baseline():
    made = resolve(Grid("g", implementation=("mine:Net",), baseline="mine:Net"), HOST, [*KINDS], lambda n: ("cpu",), 1)
    assert made.baseline == "mine:Net"


@pytest.mark.parametrize("device", ["CUDA", "cuda:", "cuda:x", "cuda 1", "0", ":1"])
def test_what_is_no_device_is_refused_with_what_one_looks_like(device):
    expected = f"grid g: device: {device!r} is not a device; devices are like cpu, cuda, cuda:1, mps, or auto"
    assert complaint(device=("cpu", device)).partition("; did you mean")[0] == expected


def test_a_device_that_no_backend_knows_is_refused():
    assert complaint(device=("abacus",)) == "grid g: device: none of cupy, jax, numpy, torch knows abacus"


@pytest.mark.parametrize(
    ("key", "value"),
    [("threads", (5,)), ("implementation", ("nunpy",)), ("baseline", "nunpy"), ("device", ("CUDA",))],
)
def test_a_complaint_begins_with_where_the_value_came_from(key, value):
    assert complaint(where={key: f"--{key}s"}, **{key: value}).startswith(f"--{key}s: ")


def test_select_keeps_the_plan_s_order_and_its_settings():
    made = plan(phase=("forward", "step"), N=(8, 16))
    some = [made.cells[5], made.cells[1], made.cells[3]]
    assert made.select(some).cells == (made.cells[1], made.cells[3], made.cells[5])
    assert replace(made.select(some), cells=made.cells, ceilings=made.ceilings) == made


def ceilings(made: Plan) -> list[str]:
    return [contender.label for contender in made.ceilings]


def test_every_backend_measures_the_ceilings_of_a_device_that_it_knows_chosen_or_not():
    assert ceilings(plan(implementation=("numpy",))) == ["jax-cpu-float32", "numpy-cpu-float32", "torch-cpu-float32"]
    on_cuda = ["cupy-cuda:1-float64", "jax-cuda:1-float64", "torch-cuda:1-float64"]
    assert ceilings(plan(TWO_CUDA, implementation=("torch",), device=("cuda:1",), dtype=("float64",))) == on_cuda


def test_ceilings_are_measured_with_each_limit_on_threads():
    labels = ceilings(plan(CUDA, implementation=("numpy", "torch"), threads=(1, 2)))
    assert [label for label in labels if label.startswith("torch")] == [
        "torch-cpu-float32-T1",
        "torch-cuda-float32-T1",
        "torch-cpu-float32-T2",
    ]


def test_variants_of_a_backend_and_sources_that_cannot_be_read_measure_no_ceilings():
    def known(name: str) -> tuple[str, ...]:
        if name == "broken":
            raise SyntaxError("invalid syntax")
        return ("cpu",)

    names = ["broken", "numba", "torch", "torch_module"]
    made = resolve(Grid("g", implementation=("torch_module",), baseline="torch"), HOST, names, known, 1)
    assert ceilings(made) == ["numba-cpu-float32", "torch-cpu-float32"]


def test_ceilings_can_be_left_out():
    assert plan(ceilings=False).ceilings == ()


def test_select_keeps_the_ceilings_of_what_it_keeps():
    made = plan(dtype=("float32", "float64"))
    assert ceilings(made.select([cell for cell in made.cells if str(cell.contender) == "torch-cpu-float64"])) == [
        "jax-cpu-float64",
        "numpy-cpu-float64",
        "torch-cpu-float64",
    ]


def test_select_passes_over_cells_the_plan_does_not_have():
    made = plan()
    stranger = Cell(Contender("torch", "cpu", "float64"), Shape(1, 1, 1), "step")
    assert made.select([stranger]).cells == ()


@pytest.mark.parametrize("name", names())
def test_every_preset_resolves_with_the_implementations_there_are(name):
    made = resolve(read(name), HOST, implementations.names(), implementations.device_kinds, 1)
    assert {cell.contender.implementation for cell in made.cells} == set(implementations.names())


def test_the_full_preset_has_at_least_5_4_4_shapes_in_two_dtypes():
    made = resolve(read("full"), HOST, implementations.names(), implementations.device_kinds, 1)
    assert len({cell.shape for cell in made.cells}) >= 5 * 4 * 4
    assert len({cell.contender.dtype for cell in made.cells}) == 2
    per_contender = {cell.contender: 0 for cell in made.cells}
    for cell in made.cells:
        per_contender[cell.contender] += 1
    assert len(set(per_contender.values())) == 1


def test_a_grid_of_too_many_cells_is_refused_before_they_are_made():
    sizes = tuple(range(1, 3001))
    text = complaint(N=sizes, D_in=sizes, H=sizes)
    assert text.startswith("grid g: max_cells: the grid has 108,000,000,000 cells or more, and at most 100,000 are")


@pytest.mark.parametrize("combine", ["product", "in_turn"])
def test_as_many_cells_as_are_allowed_are_made_and_not_one_more(combine):
    asked = {"N": (1, 2), "H": (3, 4), "dtype": ("float32", "float64"), "threads": (1, 2), "combine": combine}
    cells = len(plan(**asked).cells)
    assert len(plan(**asked, max_cells=cells).cells) == cells
    assert f"the grid has {cells:,} cells or more" in complaint(**asked, max_cells=cells - 1)
