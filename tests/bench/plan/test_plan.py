import json
from dataclasses import replace

import pytest

import implementations
from bench.plan import looks
from bench.plan.cells import Cell, Contender, Shape
from bench.plan.grid import Grid, PlanError, names, read
from bench.plan.plain import from_plain, to_plain
from bench.plan.plan import TIME_BUDGET, Machine, Plan, resolve

KINDS = {"cupy": ("cuda",), "jax": ("cpu", "cuda", "tpu"), "numpy": ("cpu",), "torch": ("cpu", "cuda", "mps")}
HOST = Machine(cpus=4)
CUDA = Machine(cpus=4, accelerators=("cuda",))
TWO_CUDA = Machine(cpus=4, accelerators=("cuda:0", "cuda:1"))


def kinds(name: str) -> tuple[str, ...]:
    if name not in KINDS:
        raise LookupError(f"there is no implementation {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def plan_for(machine: Machine = HOST, where: dict[str, str] | None = None, **settings) -> Plan:
    return resolve(Grid("g", **{"phase": ("step",), **settings}), machine, list(KINDS), kinds, 7, where)


def contenders(machine: Machine = HOST, **settings) -> list[str]:
    return list(dict.fromkeys(str(cell.contender) for cell in plan_for(machine, **settings).cells))


def complaint(machine: Machine = HOST, where: dict[str, str] | None = None, **settings) -> str:
    with pytest.raises(PlanError) as caught:
        plan_for(machine, where, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_auto_uses_the_present_devices_an_implementation_knows():
    assert contenders(CUDA) == [
        "cupy-cuda-float32",
        "jax-cpu-float32",
        "jax-cuda-float32",
        "numpy-cpu-float32",
        "torch-cpu-float32",
        "torch-cuda-float32",
    ]


def test_auto_uses_each_accelerator():
    assert contenders(TWO_CUDA, implementation=("cupy",)) == ["cupy-cuda:0-float32", "cupy-cuda:1-float32"]


def test_auto_without_a_known_device_uses_the_first_kind():
    assert contenders(HOST) == ["cupy-cuda-float32", "jax-cpu-float32", "numpy-cpu-float32", "torch-cpu-float32"]
    mps = Machine(cpus=4, accelerators=("mps",))
    assert contenders(mps, implementation=("cupy", "torch")) == [
        "cupy-cuda-float32",
        "torch-cpu-float32",
        "torch-mps-float32",
    ]


def test_an_absent_device_gets_cells_of_backends_that_know_it():
    assert contenders(HOST, device=("cuda",)) == ["cupy-cuda-float32", "jax-cuda-float32", "torch-cuda-float32"]
    assert contenders(HOST, device=("cuda:3", "cpu"), implementation=("torch",)) == [
        "torch-cuda:3-float32",
        "torch-cpu-float32",
    ]


def test_numpy_is_on_cuda_only_when_requested_by_name():
    assert "numpy-cuda-float32" not in contenders(CUDA, device=("cuda",))
    assert contenders(CUDA, device=("cuda",), implementation=("numpy",)) == ["numpy-cuda-float32"]


def test_contenders_keep_the_order_requested():
    assert contenders(implementation=("torch", "numpy")) == ["torch-cpu-float32", "numpy-cpu-float32"]
    in_both = contenders(implementation=("torch", "numpy"), dtype=("float64", "float32"))
    assert in_both == ["torch-cpu-float64", "numpy-cpu-float64", "torch-cpu-float32", "numpy-cpu-float32"]


def test_cells_are_the_product_of_contenders_shapes_and_phases():
    settings = {"N": (8, 16), "H": (3, 5), "phase": ("step", "forward"), "dtype": ("float32", "float64")}
    plan = plan_for(implementation=("numpy", "torch"), **settings)
    assert len(plan.cells) == len(set(plan.cells)) == 2 * 2 * 2 * 2 * 2
    assert {cell.shape for cell in plan.cells} == set(Grid("g", N=(8, 16), H=(3, 5)).shapes())


def test_a_plan_takes_over_grid_settings_and_processors():
    plan = plan_for(passes=3, rounds=2, samples=9, steps=11, timeout=13, baseline="torch")
    assert (plan.grid, plan.passes, plan.rounds, plan.samples, plan.steps, plan.timeout) == ("g", 3, 2, 9, 11, 13)
    assert (plan.baseline, plan.cpus, plan.seed) == ("torch", 4, 7)


def test_a_fixed_number_of_passes_is_not_adaptive():
    plan = plan_for(passes=3)
    assert (plan.passes, plan.adaptive, plan.time_budget) == (3, False, None)
    assert (plan.precision, plan.min_effect) == (0.01, 0.02)


def test_auto_passes_are_at_least_five_within_five_minutes():
    plan = plan_for(passes="auto", precision=0.005, min_effect=0.03)
    assert (plan.passes, plan.adaptive, plan.time_budget) == (looks.FIRST, True, TIME_BUDGET) == (5, True, 285.0)
    assert (plan.precision, plan.min_effect) == (0.005, 0.03)
    assert plan_for(passes="auto", time_budget=90.0).time_budget == 90.0


def test_a_time_budget_is_refused_with_fixed_passes():
    expected = "grid g: time_budget: a run of 5 passes takes its time; ask for --passes auto"
    assert complaint(time_budget=60.0) == expected
    assert complaint(where={"time_budget": "--time-budget"}, time_budget=60.0).startswith("--time-budget: a run of")


def test_all_threads_are_the_usable_processors():
    plan = plan_for(threads=("all", 3), implementation=("numpy",))
    assert [plan.threads(cell.contender) for cell in plan.cells] == [4, 3]


def test_as_many_threads_as_processors_are_accepted():
    assert {cell.contender.threads for cell in plan_for(threads=(4,)).cells} == {4}


def test_thread_limits_do_not_multiply_accelerator_contenders():
    plan = plan_for(CUDA, threads=(1, 2), implementation=("torch",))
    limits = [(cell.contender.device, cell.contender.threads) for cell in plan.cells]
    assert limits == [("cpu", 1), ("cuda", 1), ("cpu", 2)]


def test_more_threads_than_processors_are_refused():
    assert complaint(threads=(2, 5)) == "grid g: threads: 5 is more than the 4 processors usable here"


def test_an_unknown_implementation_is_refused_with_the_known_ones():
    expected = "grid g: implementation: there is no implementation 'nunpy'; there are cupy, jax, numpy, torch"
    assert complaint(implementation=("numpy", "nunpy")) == expected


def test_an_unreadable_implementation_is_refused():
    def unreadable(name: str) -> tuple[str, ...]:
        raise SyntaxError("invalid syntax")

    with pytest.raises(PlanError, match=r"^grid g: implementation: invalid syntax"):
        resolve(Grid("g"), HOST, ["numpy"], unreadable, 1)


def test_an_unknown_baseline_is_refused_with_the_known_ones():
    expected = (
        "grid g: baseline: 'nunpy' is not an implementation; there are torch, cupy, jax, numpy; did you mean 'numpy'?"
    )
    assert complaint(baseline="nunpy", implementation=("torch",)) == expected


def test_the_baseline_may_be_left_out_of_the_run():
    assert plan_for(implementation=("torch",)).baseline == "numpy"


def test_a_users_class_may_be_the_baseline():
    plan = resolve(Grid("g", implementation=("mine:Net",), baseline="mine:Net"), HOST, [*KINDS], lambda n: ("cpu",), 1)
    assert plan.baseline == "mine:Net"


@pytest.mark.parametrize("device", ["CUDA", "cuda:", "cuda:x", "cuda 1", "0", ":1"])
def test_an_invalid_device_is_refused_with_examples(device):
    expected = f"grid g: device: {device!r} is not a device; devices are like cpu, cuda, cuda:1, mps, or auto"
    assert complaint(device=("cpu", device)).partition("; did you mean")[0] == expected


def test_a_device_unknown_to_all_backends_is_refused():
    assert complaint(device=("abacus",)) == "grid g: device: none of cupy, jax, numpy, torch knows abacus"


@pytest.mark.parametrize(
    ("key", "value"),
    [("threads", (5,)), ("implementation", ("nunpy",)), ("baseline", "nunpy"), ("device", ("CUDA",))],
)
def test_a_complaint_begins_with_the_source_of_the_value(key, value):
    assert complaint(where={key: f"--{key}s"}, **{key: value}).startswith(f"--{key}s: ")


def test_select_keeps_order_and_settings():
    plan = plan_for(phase=("forward", "step"), N=(8, 16))
    chosen = [plan.cells[5], plan.cells[1], plan.cells[3]]
    assert plan.select(chosen).cells == (plan.cells[1], plan.cells[3], plan.cells[5])
    assert replace(plan.select(chosen), cells=plan.cells, ceilings=plan.ceilings) == plan


def ceilings(plan: Plan) -> list[str]:
    return [contender.label for contender in plan.ceilings]


def test_only_backends_of_the_run_measure_ceilings():
    assert ceilings(plan_for(implementation=("numpy",))) == ["numpy-cpu-float32"]
    assert ceilings(plan_for(implementation=("torch", "numpy"))) == ["numpy-cpu-float32", "torch-cpu-float32"]
    on_cuda = plan_for(TWO_CUDA, implementation=("torch",), device=("cuda:1",), dtype=("float64",))
    assert ceilings(on_cuda) == ["torch-cuda:1-float64"]


def test_numpy_measures_the_ceilings_of_a_host_where_no_backend_of_the_run_does():
    plan = resolve(
        Grid("g", implementation=("my:Net",), baseline="my:Net"), HOST, ["numpy", "torch"], lambda _: ("cpu",), 1
    )
    assert ceilings(plan) == ["numpy-cpu-float32"]


def test_ceilings_are_measured_with_each_thread_limit():
    labels = ceilings(plan_for(CUDA, implementation=("numpy", "torch"), threads=(1, 2)))
    assert [label for label in labels if label.startswith("torch")] == [
        "torch-cpu-float32-T1",
        "torch-cuda-float32-T1",
        "torch-cpu-float32-T2",
    ]


def test_variants_and_unreadable_sources_measure_no_ceilings():
    def known(name: str) -> tuple[str, ...]:
        if name == "broken":
            raise SyntaxError("invalid syntax")
        return ("cpu",)

    names = ["broken", "numba", "torch", "torch_module"]
    plan = resolve(Grid("g", implementation=("torch_module",), baseline="torch"), HOST, names, known, 1)
    assert ceilings(plan) == ["torch-cpu-float32"]


def test_ceilings_can_be_left_out():
    assert plan_for(ceilings=False).ceilings == ()


def test_select_keeps_the_ceilings_of_its_cells():
    plan = plan_for(dtype=("float32", "float64"))
    assert ceilings(plan.select([cell for cell in plan.cells if str(cell.contender) == "torch-cpu-float64"])) == [
        "jax-cpu-float64",
        "numpy-cpu-float64",
        "torch-cpu-float64",
    ]


def test_select_ignores_cells_outside_the_plan():
    plan = plan_for()
    unplanned = Cell(Contender("torch", "cpu", "float64"), Shape(1, 1, 1), "step")
    assert plan.select([unplanned]).cells == ()


@pytest.mark.parametrize("name", names())
def test_every_preset_resolves_with_every_backend(name):
    plan = resolve(read(name), HOST, implementations.names(), implementations.device_kinds, 1)
    chosen = {cell.contender.implementation for cell in plan.cells}
    assert {"numpy", "torch", "jax", "cupy"} <= chosen <= set(implementations.names())


def test_every_implementation_is_in_a_preset():
    for preset in ("styles", "all"):
        plan = resolve(read(preset), HOST, implementations.names(), implementations.device_kinds, 1)
        assert {cell.contender.implementation for cell in plan.cells} == set(implementations.names())


def test_a_plan_knows_which_implementations_are_styles():
    traits = (implementations.ceilings_of, implementations.style_of)
    plan = resolve(read("styles"), HOST, implementations.names(), implementations.device_kinds, 1, None, *traits)
    assert ("numba", "numpy") in plan.styles
    assert "mlx" not in dict(plan.styles)
    assert {contender.implementation for contender in plan.ceilings} == {"numpy", "torch", "jax", "cupy"}
    assert from_plain(json.loads(json.dumps(to_plain(plan)))) == plan


def test_the_full_preset_has_at_least_5_4_4_shapes_in_two_dtypes():
    plan = resolve(read("full"), HOST, implementations.names(), implementations.device_kinds, 1)
    assert len({cell.shape for cell in plan.cells}) >= 5 * 4 * 4
    assert len({cell.contender.dtype for cell in plan.cells}) == 2
    per_contender = {cell.contender: 0 for cell in plan.cells}
    for cell in plan.cells:
        per_contender[cell.contender] += 1
    assert len(set(per_contender.values())) == 1


def test_too_many_cells_are_refused_before_they_are_made():
    sizes = tuple(range(1, 3001))
    message = complaint(N=sizes, D_in=sizes, H=sizes)
    assert message.startswith("grid g: max_cells: the grid has 108,000,000,000 cells or more, and at most 100,000 are")


@pytest.mark.parametrize("combine", ["product", "in_turn"])
def test_exactly_max_cells_are_accepted(combine):
    settings = {"N": (1, 2), "H": (3, 4), "dtype": ("float32", "float64"), "threads": (1, 2), "combine": combine}
    cells = len(plan_for(**settings).cells)
    assert len(plan_for(**settings, max_cells=cells).cells) == cells
    assert f"the grid has {cells:,} cells or more" in complaint(**settings, max_cells=cells - 1)


def test_implementations_of_a_grid_file_are_not_requested_by_name_for_devices_of_an_option():
    settings = {"implementation": ("numpy", "torch"), "device": ("cpu", "cuda")}
    of_file = {(cell.contender.implementation, cell.contender.device) for cell in plan_for(CUDA, **settings).cells}
    assert ("numpy", "cuda") in of_file
    where = {"device": "--devices"}
    by_option = {
        (cell.contender.implementation, cell.contender.device) for cell in plan_for(CUDA, where, **settings).cells
    }
    assert by_option == of_file - {("numpy", "cuda")}
