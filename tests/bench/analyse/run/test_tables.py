import math
from dataclasses import astuple, replace

import numpy as np
import pandas as pd
import pytest

from bench.analyse.estimates.statistics import estimate
from bench.analyse.run import columns
from bench.analyse.run.run import Run
from bench.measure.records import Block, Entered, Left, Prepared, RunResumed, RunStarted, WorkerStarted
from bench.plan.cells import Cell, Contender, Shape, flops
from tests.bench.made import (
    CUPY,
    INNER,
    LARGE,
    NUMPY,
    SMALL,
    SPREAD,
    TORCH,
    Outcome,
    Story,
    plan_of_cells,
    records,
    settled,
    story,
)

COLUMNS = [
    *("run", "implementation", "backend", "backend_version", "interpreter", "source", "device"),
    *("device_name", "dtype", "precision", "threads", "N", "D_in", "H", "D_out", "phase", "status"),
    *("reason", "passes", "samples", "inner", "seconds", "seconds_low", "seconds_high", "seconds_floor"),
    *("seconds_p95", "speedup", "speedup_low", "speedup_high", "verdict"),
    *("speedup_floor", "speedup_floor_low", "speedup_floor_high", "verdict_floor", "rank", "rank_worst"),
    *("gflops", "ceiling_fraction", "bound"),
    *("first_call_seconds", "setup_seconds", "import_seconds", "import_seconds_first", "peak_bytes"),
    *("error", "tolerance", "others_share", "steal_share"),
]
NO_TIME = [
    *("passes", "samples", "inner", "seconds", "seconds_low", "seconds_high", "seconds_floor", "seconds_p95"),
    *("speedup", "speedup_low", "speedup_high", "verdict"),
    *("speedup_floor", "speedup_floor_low", "speedup_floor_high", "verdict_floor", "rank", "rank_worst"),
    *("gflops", "ceiling_fraction", "bound", "peak_bytes"),
]
SPEEDUP = [
    *("speedup", "speedup_low", "speedup_high", "verdict"),
    *("speedup_floor", "speedup_floor_low", "speedup_floor_high", "verdict_floor"),
]
TEXT = {"run", "reason"}
WHOLE = {"threads", "N", "D_in", "H", "D_out", "passes", "samples", "inner", "rank", "rank_worst", "peak_bytes"}
REAL = {
    *("seconds", "seconds_low", "seconds_high", "seconds_floor", "seconds_p95"),
    *("speedup", "speedup_low", "speedup_high", "gflops", "ceiling_fraction"),
    *("speedup_floor", "speedup_floor_low", "speedup_floor_high"),
    *("first_call_seconds", "setup_seconds", "import_seconds", "import_seconds_first", "error", "tolerance"),
    *("others_share", "steal_share"),
}


def row(made: Story, contender: Contender, shape: Shape = SMALL, phase: str = "step") -> pd.Series:
    """Return the row of a cell."""
    index = made.plan.cells.index(Cell(contender, shape, phase))
    return made.run().timings.iloc[index]


def story_of(*contenders: Contender, **others) -> Story:
    return Story(plan_of_cells(contenders, **others.pop("plan_options", {})), **others)


def test_columns_of_timings():
    assert list(Run.of(records()).timings.columns) == COLUMNS == columns.names(columns.TIMINGS)


def test_columns_of_timings_have_their_dtypes():
    empty = Story(plan_of_cells(), passes=0, complete=False)
    for made in (story(), empty):
        timings = made.run().timings
        for name in COLUMNS:
            if name in TEXT:
                assert isinstance(timings[name].dtype, pd.StringDtype), name
            elif name in WHOLE:
                assert timings[name].dtype == pd.Int64Dtype(), name
            elif name in REAL:
                assert timings[name].dtype == np.float64, name
            else:
                assert isinstance(timings[name].dtype, pd.CategoricalDtype), name


def test_phases_are_in_the_order_of_a_step():
    phase = Run.of(records()).timings["phase"].dtype
    assert phase.ordered
    assert list(phase.categories) == ["forward", "backward", "update", "step", "train"]


def test_rows_are_the_cells_of_the_plan_in_its_order():
    made = story()
    timings = made.run().timings
    rows = timings[["implementation", "device", "dtype", "N", "D_in", "H", "D_out", "phase"]].astype(str)
    cells = [(cell.contender, cell.shape, cell.phase) for cell in made.plan.cells]
    assert [tuple(values) for values in rows.itertuples(index=False)] == [
        (contender.implementation, contender.device, contender.dtype, *map(str, astuple(shape)), phase)
        for contender, shape, phase in cells
    ]
    assert timings["status"].value_counts().to_dict() == {
        **dict.fromkeys(timings["status"].cat.categories, 0),
        "ok": 6,
        "unavailable": 4,
        "wrong": 2,
    }
    assert set(timings["run"]) == {made.name}


def test_time_is_the_mean_of_pass_medians():
    timing = row(story(), NUMPY)
    medians = [settled(Cell(NUMPY, SMALL, "step"), pass_number) for pass_number in range(1, 6)]
    expected = estimate(medians)
    assert (timing["seconds"], timing["seconds_low"], timing["seconds_high"]) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert timing["seconds_floor"] == pytest.approx(expected.value * min(SPREAD))
    assert timing["seconds_p95"] == pytest.approx(expected.value * np.quantile(SPREAD * 2, 0.95))
    assert (timing["passes"], timing["samples"], timing["inner"]) == (5, 5 * 2 * 5, INNER)
    assert timing["gflops"] == pytest.approx(flops(SMALL, "step") / expected.value / 1e9)


def test_rate_of_a_train_counts_its_steps():
    made = Story(plan_of_cells((NUMPY,), phases=("train",), steps=10), seconds=lambda cell, pass_number: 0.01)
    assert row(made, NUMPY, phase="train")["gflops"] == pytest.approx(10 * 25_984_000 / 0.01 / 1e9)


def test_row_has_backend_device_and_precision():
    timing = row(story(), NUMPY)
    assert (timing["backend"], timing["backend_version"], timing["interpreter"]) == ("numpy", "1.2.3", "CPython 3.11.7")
    assert (timing["device"], timing["device_name"], timing["source"]) == ("cpu", "Model Processor", "abc1234")
    assert (timing["dtype"], timing["precision"], timing["threads"]) == ("float32", "highest", 2)


def test_own_class_is_its_source():
    own_class = Contender("mine:Net", "cpu", "float32")
    assert row(story_of(own_class), own_class)["source"] == "mine:Net"


def test_start_costs_are_medians_of_passes():
    timing = row(story(workers={NUMPY: {"import_seconds": 0.75}}), NUMPY)
    assert (timing["import_seconds"], timing["setup_seconds"], timing["first_call_seconds"]) == (0.75, 0.001, 0.002)


def test_first_import_has_its_own_column():
    made = story_of()
    records = [
        replace(record, import_seconds=9.0) if isinstance(record, WorkerStarted) and record.pass_number == 1 else record
        for record in made.records()
    ]
    timings = Run.of(records).timings
    assert timings["import_seconds_first"].tolist() == [9.0] * len(timings)
    assert timings["import_seconds"].tolist() == [0.25] * len(timings)


def test_error_is_the_one_closest_to_its_tolerance():
    timing = row(story(), NUMPY)
    assert (timing["error"], timing["tolerance"]) == (2.0**-20 * 5, 2.0**-12)


def test_peak_memory_is_of_process_or_device():
    made = story_of(NUMPY, CUPY)
    assert row(made, NUMPY)["peak_bytes"] == 200 * 2**20
    assert row(made, CUPY)["peak_bytes"] == 50 * 2**20


def test_unknown_peak_memory_is_missing():
    without_bytes = [
        replace(record, host_bytes=None) if isinstance(record, Left) else record for record in story_of(NUMPY).records()
    ]
    assert Run.of(without_bytes).timings["peak_bytes"].isna().all()


def test_wrong_cell_has_error_and_no_time():
    timing = row(story(), TORCH, LARGE)
    assert (timing["status"], timing["error"], timing["tolerance"]) == ("wrong", 0.25, 0.001)
    assert timing["reason"].startswith("w1 after update")
    assert timing[NO_TIME].isna().all()


def test_unavailable_cell_has_only_its_reason():
    timing = row(story(), CUPY)
    assert timing["status"] == "unavailable"
    assert timing["reason"].startswith("CuPy is not installed")
    assert timing[NO_TIME].isna().all()
    assert timing[["backend", "backend_version", "device_name", "precision", "import_seconds", "error"]].isna().all()


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "timeout", "crashed"])
def test_cell_that_fails_in_a_later_pass_has_no_time(status):
    lost = Cell(TORCH, SMALL, "step")
    made = Story(plan_of_cells(), outcomes={lost: Outcome(status, "it went away", pass_number=3)})
    assert any(isinstance(record, Block) and record.cell == lost.key for record in made.records())
    timing = row(made, TORCH)
    assert (timing["status"], timing["reason"]) == (status, "it went away")
    assert timing[NO_TIME].isna().all()
    assert row(made, NUMPY)["status"] == "ok"


def test_unvisited_cells_are_not_run():
    made = story(passes=0, complete=False)
    timings = made.run().timings
    assert len(timings) == len(made.plan.cells)
    assert set(timings["status"]) == {"not_run"}
    assert set(timings["reason"]) == {"the run ended before this cell's first block"}
    assert timings[NO_TIME].isna().all(axis=None)


def test_prepared_cells_without_blocks_are_not_run():
    complete = story_of(NUMPY, TORCH).records()
    cut = complete[: next(i for i, record in enumerate(complete) if isinstance(record, Entered))]
    assert any(isinstance(record, Prepared) for record in cut)
    timings = Run.of(cut).timings
    assert list(timings["status"]) == ["not_run", "not_run"]
    assert timings["backend"].iloc[0] == "numpy"


def test_interrupted_run_has_its_times_and_is_unclear():
    timing = row(story_of(NUMPY, TORCH, passes=1, complete=False), TORCH)
    assert (timing["status"], timing["passes"]) == ("ok", 1)
    assert timing["speedup"] == pytest.approx(2.0)
    assert timing[["seconds_low", "seconds_high", "speedup_low", "speedup_high"]].isna().all()
    assert timing["verdict"] == "unclear"


def test_resumed_run_is_one_run():
    complete = story_of(NUMPY, TORCH).records()
    resumed = [*complete[:20], RunResumed("2026-01-02T04:00:00+00:00", []), *complete[20:]]
    pd.testing.assert_frame_equal(Run.of(resumed).timings, Run.of(complete).timings)


def test_only_a_run_that_ended_is_complete():
    assert Run.of(records()).is_complete
    assert not Run.of(records(complete=False)).is_complete


def test_speedup_above_one_is_faster_than_the_baseline():
    timing = row(story(), TORCH)
    assert timing["speedup"] == pytest.approx(2.0)
    assert timing["speedup_low"] <= timing["speedup"] <= timing["speedup_high"]
    assert timing["verdict"] == "faster"


def test_baseline_has_speedup_one_and_no_verdict():
    timing = row(story(), NUMPY)
    assert (timing["speedup"], timing["speedup_low"], timing["speedup_high"]) == (1.0, 1.0, 1.0)
    assert (timing["speedup_floor"], timing["speedup_floor_low"], timing["speedup_floor_high"]) == (1.0, 1.0, 1.0)
    assert timing[["verdict", "verdict_floor"]].isna().all()


@pytest.mark.parametrize(
    ("effects", "verdict"), [((), "faster"), ((("step*torch*", 0.1),), "same"), ((("*", 0.1),), "same")]
)
def test_minimum_effect_by_pattern(effects, verdict):
    def seconds(cell: Cell, pass_number: int) -> float:
        return 1e-3 * (1.05 if cell.contender == NUMPY else 1)

    made = Story(plan_of_cells((NUMPY, TORCH), min_effects=effects), seconds)
    fast, slow = row(made, TORCH), row(made, NUMPY)
    assert (fast["verdict"], fast["verdict_floor"]) == (verdict, verdict)
    assert (fast["rank"], slow["rank"]) == (1, 2 if verdict == "faster" else 1)


def test_speedups_are_paired_within_passes():
    slowness = {1: 1.0, 2: 3.0, 3: 0.4, 4: 2.0, 5: 0.7}

    def seconds(cell: Cell, pass_number: int) -> float:
        return 1e-3 * slowness[pass_number] * (2 if cell.contender == NUMPY else 1)

    timing = row(Story(plan_of_cells(), seconds=seconds), TORCH)
    assert timing["seconds_high"] / timing["seconds_low"] > 2
    assert (timing["speedup_low"], timing["speedup_high"]) == pytest.approx((2.0, 2.0))
    assert timing["verdict"] == "faster"


def slowed(made: Story, slowness) -> list:
    """Return the records of a run with every time multiplied by a factor of its pass and round."""
    return [
        replace(record, seconds=[second * slowness(record.pass_number, record.round) for second in record.seconds])
        if isinstance(record, Block)
        else record
        for record in made.records()
    ]


def test_speedups_are_paired_within_rounds():
    def slowness(pass_number: int, round_number: int) -> float:
        return 1 + ((pass_number * 7 + round_number * 5) % 11) / 3

    made = Story(plan_of_cells(rounds=6), seconds=lambda cell, pass_number: 2e-3 if cell.contender == NUMPY else 1e-3)
    timing = Run.of(slowed(made, slowness)).timings.iloc[1]
    assert timing["seconds_high"] / timing["seconds_low"] > 1.3
    assert (timing["speedup_low"], timing["speedup_high"]) == pytest.approx((2.0, 2.0))
    without_a_round = [
        record for record in slowed(made, slowness) if not (isinstance(record, Block) and record.round == 3)
    ]
    assert Run.of(without_a_round).timings.iloc[1]["speedup"] == pytest.approx(2.0)


def test_unpaired_rounds_are_ignored():
    run_records = [
        replace(record, seconds=[9.0]) if isinstance(record, Block) and record.round == 2 else record
        for record in story_of(NUMPY, TORCH).records()
        if not (isinstance(record, Block) and record.round == 2 and "torch" in record.cell)
    ]
    assert Run.of(run_records).timings.iloc[1]["speedup"] == pytest.approx(2.0)


def interrupted(made: Story, contender: Contender, factor: float) -> list:
    """Return the records of a run in which all samples of one contender, except each block's fastest, take longer."""
    return [
        replace(record, seconds=[min(record.seconds), *(factor * second for second in record.seconds[1:])])
        if isinstance(record, Block) and contender.implementation in record.cell
        else record
        for record in made.records()
    ]


def test_floor_is_robust_to_other_processes():
    made = Story(plan_of_cells(rounds=10), seconds=lambda cell, pass_number: 1e-3)
    calm, busy = (Run.of(interrupted(made, TORCH, factor)).timings.iloc[1] for factor in (1.0, 1.5))
    assert (calm["verdict"], calm["verdict_floor"]) == ("same", "same")
    assert (busy["verdict"], busy["verdict_floor"]) == ("slower", "same")
    assert busy["speedup"] == pytest.approx(1 / 1.5)
    assert busy["speedup_floor"] == pytest.approx(1.0)
    assert busy["speedup_floor_low"] <= busy["speedup_floor"] <= busy["speedup_floor_high"]


def test_unpaired_passes_are_ignored():
    complete = story_of(NUMPY, TORCH).records()
    unpaired = [
        replace(record, seconds=[9.0]) if isinstance(record, Block) and record.pass_number == 5 else record
        for record in complete
        if not (isinstance(record, Block) and record.pass_number == 5 and "torch" in record.cell)
    ]
    timing = Run.of(unpaired).timings.iloc[1]
    assert timing["passes"] == 4
    assert timing["speedup"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("contender", "worker"),
    [
        (Contender("torch", "cpu", "float64"), {}),
        (Contender("torch", "cpu", "float32", 1), {}),
        (TORCH, {"precision": "tf32"}),
    ],
)
def test_different_dtype_threads_or_precision_have_no_speedup(contender, worker):
    timing = row(story_of(NUMPY, contender, workers={contender: worker}), contender)
    assert timing["status"] == "ok"
    assert timing[SPEEDUP].isna().all()


def test_baseline_has_the_same_dtype_and_threads():
    pairs = [(dtype, threads) for dtype in ("float32", "float64") for threads in (1, 2)]
    contenders = [Contender(name, "cpu", *pair) for pair in pairs for name in ("numpy", "torch")]

    def seconds(cell: Cell, pass_number: int) -> float:
        index = pairs.index((cell.contender.dtype, cell.contender.threads))
        return 1e-3 * (2 + index if cell.contender.implementation == "numpy" else 1)

    made = story_of(*contenders, seconds=seconds)
    for index, pair in enumerate(pairs):
        assert row(made, Contender("torch", "cpu", *pair))["speedup"] == pytest.approx(2 + index)


def test_exceeded_thread_limit_is_shown_without_speedup():
    numpy, torch = Contender("numpy", "cpu", "float32", 1), Contender("torch", "cpu", "float32", 1)
    made = story_of(numpy, torch, busy={numpy: 1.0, torch: 1.9})
    timing = row(made, torch)
    assert (timing["status"], timing["threads"]) == ("ok", 2)
    assert timing["reason"] == "asked to use 1 threads, it kept 1.9 busy"
    assert timing[SPEEDUP].isna().all()
    assert timing[["rank", "rank_worst"]].isna().all()
    baseline = row(made, numpy)
    assert (baseline["threads"], baseline["reason"]) == (1, "")
    assert (baseline["rank"], baseline["rank_worst"]) == (1, 1)


def test_slight_excess_of_the_thread_limit_is_tolerated():
    timing = row(story_of(NUMPY, busy={NUMPY: 2.4}), NUMPY)
    assert (timing["threads"], timing["reason"]) == (2, "")


def test_accelerator_is_compared_with_baseline_on_host():
    timing = row(story_of(NUMPY, CUPY), CUPY)
    assert timing["speedup"] == pytest.approx(4.0)
    assert timing["verdict"] == "faster"


def test_accelerator_is_compared_with_its_own_baseline_first():
    torch, cuda = Contender("torch", "cpu", "float32"), Contender("torch", "cuda", "float32")
    times = {torch: 8e-3, cuda: 2e-3, CUPY: 1e-3}
    made = story_of(
        torch, cuda, CUPY, plan_options={"baseline": "torch"}, seconds=lambda cell, pass_number: times[cell.contender]
    )
    assert row(made, CUPY)["speedup"] == pytest.approx(2.0)
    assert row(made, cuda)["speedup"] == 1.0


def test_baseline_without_times_gives_no_speedups():
    lost = Cell(NUMPY, SMALL, "step")
    for made in (story_of(TORCH), Story(plan_of_cells(), outcomes={lost: Outcome("timeout", "too slow")})):
        assert row(made, TORCH)["status"] == "ok"
        assert row(made, TORCH)[SPEEDUP].isna().all()


def test_unreliable_difference_is_unclear_or_same():
    noise = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}

    def noisy(cell: Cell, pass_number: int) -> float:
        return 1e-3 * (noise[pass_number] if cell.contender == TORCH else 1)

    assert row(Story(plan_of_cells(), seconds=noisy), TORCH)["verdict"] == "unclear"
    assert row(Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3), TORCH)["verdict"] == "same"


def seconds_of(times):
    return lambda cell, pass_number: times[cell.contender]


def ranks(made: Story) -> list[tuple]:
    timings = made.run().timings
    return [tuple(pair) for pair in timings[["rank", "rank_worst"]].itertuples(index=False)]


def test_rows_timed_in_turns_are_ranked():
    jax = Contender("jax", "cpu", "float32")
    assert ranks(story_of(NUMPY, jax, TORCH, seconds=seconds_of({NUMPY: 3e-3, jax: 1e-3, TORCH: 2e-3}))) == [
        (3, 3),
        (1, 1),
        (2, 2),
    ]
    assert ranks(story_of(NUMPY, jax, TORCH, seconds=seconds_of({NUMPY: 1e-3, jax: 1e-3, TORCH: 2e-3}))) == [
        (1, 2),
        (1, 2),
        (3, 3),
    ]


def test_accelerator_is_ranked_with_the_host():
    assert ranks(story_of(NUMPY, CUPY, TORCH)) == [(3, 3), (1, 1), (2, 2)]


def test_incomparable_rows_are_ranked_separately():
    double = Contender("torch", "cpu", "float64")
    one_thread = Contender("torch", "cpu", "float32", 1)
    assert ranks(story_of(NUMPY, double, one_thread)) == [(1, 1)] * 3
    assert ranks(story_of(NUMPY, TORCH, workers={TORCH: {"precision": "tf32"}})) == [(1, 1)] * 2
    made = story_of(NUMPY, TORCH, plan_options={"shapes": (SMALL, LARGE), "phases": ("forward", "step")})
    assert ranks(made) == [(2, 2), (1, 1)] * 4


def test_row_without_a_time_has_no_rank():
    lost = Cell(TORCH, SMALL, "step")
    first, second = ranks(Story(plan_of_cells(), outcomes={lost: Outcome("timeout", "too slow")}))
    assert first == (1, 1)
    assert all(pd.isna(rank) for rank in second)


def test_single_pass_leaves_all_ranks_open():
    assert ranks(story_of(NUMPY, TORCH, passes=1, complete=False)) == [(1, 2), (1, 2)]


NOISE = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}


def noisy(cell: Cell, pass_number: int) -> float:
    return 1e-3 * (NOISE[pass_number] if cell.contender == TORCH else 1)


def adaptive_plan(contenders=(NUMPY, TORCH), **others):
    return plan_of_cells(contenders, time_budget=60.0, **others)


def undecided(made: Story) -> set[str]:
    return made.run().undecided


def test_clear_verdicts_are_decided():
    assert undecided(Story(adaptive_plan())) == set()
    assert undecided(Story(adaptive_plan(), seconds=lambda cell, pass_number: 1e-3)) == set()


def test_both_cells_of_an_unclear_pair_are_undecided():
    plan = adaptive_plan()
    assert undecided(Story(plan, seconds=noisy)) == {cell.key for cell in plan.cells}


def test_only_unclear_cells_are_undecided():
    jax = Contender("jax", "cpu", "float32")
    plan = adaptive_plan((NUMPY, TORCH, jax))

    def seconds(cell: Cell, pass_number: int) -> float:
        return 20e-3 if cell.contender == NUMPY else noisy(cell, pass_number)

    assert undecided(Story(plan, seconds=seconds)) == {cell.key for cell in plan.cells[1:]}


def test_unclear_but_precise_cells_are_decided():
    assert undecided(Story(adaptive_plan(precision=0.9), seconds=noisy)) == set()
    assert undecided(Story(adaptive_plan(precision=0.9, passes=1), seconds=noisy)) != set(), "one pass has no interval"


def test_larger_minimum_effect_decides_unclear_cells():
    def slower_torch(cell: Cell, pass_number: int) -> float:
        return settled(cell, pass_number) * (2.06 if cell.contender == TORCH else 1) * (1 + 0.02 * (pass_number % 2))

    def noisy(cell: Cell, pass_number: int) -> float:
        return (slower_torch if cell.contender == TORCH else settled)(cell, pass_number)

    stories = {effect: Story(adaptive_plan(min_effect=effect), seconds=noisy) for effect in (0.04, 0.2)}
    assert {effect: row(made, TORCH)["verdict"] for effect, made in stories.items()} == {0.04: "unclear", 0.2: "same"}
    assert [len(undecided(made)) for made in stories.values()] == [2, 0]


def test_failed_or_lone_cells_are_not_undecided():
    lost = Cell(TORCH, SMALL, "step")
    assert undecided(Story(adaptive_plan(), seconds=noisy, outcomes={lost: Outcome("timeout", "too slow")})) == set()
    assert undecided(Story(adaptive_plan((TORCH,)), seconds=noisy)) == set()
    assert undecided(Story(adaptive_plan(), passes=0, complete=False)) == set()


def test_unclear_accelerator_is_undecided_with_its_host_baseline():
    numpy, cupy = Contender("numpy", "cpu", "float32", 2), Contender("cupy", "cuda", "float32", 1)
    plan = adaptive_plan((numpy, cupy))

    def seconds(cell: Cell, pass_number: int) -> float:
        return 1e-3 * (NOISE[pass_number] if cell.contender == cupy else 1)

    assert undecided(Story(plan, seconds=seconds)) == {cell.key for cell in plan.cells}


def test_adaptive_run_has_wider_intervals():
    plans = (replace(plan, passes=7) for plan in (plan_of_cells(), adaptive_plan()))  # five had only one look
    once, often = (row(Story(plan), NUMPY) for plan in plans)
    assert often["seconds"] == once["seconds"]
    assert often["seconds_low"] < once["seconds_low"] < once["seconds_high"] < often["seconds_high"]


def test_samples_are_in_the_order_of_measurement():
    run_records = story().records()
    samples = Run.of(run_records).samples
    blocks = [record for record in run_records if isinstance(record, Block)]
    assert list(samples["seconds"]) == [second for block in blocks for second in block.seconds]
    assert list(samples["sample"]) == [1, 2, 3, 4, 5] * len(blocks)
    assert set(samples["implementation"]) == {"numpy", "torch"}
    first = samples.iloc[0]
    assert (first["run"], first["pass"], first["process"], first["round"]) == (story().name, 1, 1, 1)
    assert (first["N"], first["D_in"], first["H"], first["D_out"], first["phase"]) == (64, 1000, 100, 10, "forward")
    assert (first["threads"], first["inner"], first["position"]) == (2, INNER, 1)


def test_medians_of_samples_give_the_time():
    samples = Run.of(records()).samples
    torch_steps = samples[(samples["implementation"] == "torch") & (samples["phase"] == "step")]
    medians = torch_steps.groupby("pass")["seconds"].median()
    assert math.isclose(estimate(medians).value, row(story(), TORCH)["seconds"])


def test_columns_of_samples_have_their_dtypes():
    for run_records in (records(), records(passes=0, complete=False)):
        samples = Run.of(run_records).samples
        assert list(samples.columns) == [
            *("run", "pass", "process", "round", "position", "implementation", "device", "dtype", "threads"),
            *("N", "D_in", "H", "D_out", "phase", "inner", "sample", "seconds"),
        ]
        assert samples["seconds"].dtype == np.float64
        assert samples["pass"].dtype == samples["sample"].dtype == pd.Int64Dtype()
        assert isinstance(samples["implementation"].dtype, pd.CategoricalDtype)


def test_samples_have_the_thread_limit_that_was_set():
    torch = Contender("torch", "cpu", "float32", 1)
    assert set(story_of(torch, busy={torch: 1.9}).run().samples["threads"]) == {1}


def test_records_are_grouped_by_cell():
    made = story()
    cells = made.run().cells
    assert list(cells) == [cell.key for cell in made.plan.cells]
    numpy = cells[Cell(NUMPY, SMALL, "step").key]
    assert (len(numpy.blocks), len(numpy.workers), len(numpy.prepared), len(numpy.left)) == (10, 5, 5, 5)
    assert numpy.busy == 1.0
    assert [len(seconds) for seconds in numpy.samples_by_pass.values()] == [10] * 5
    missing = cells[Cell(CUPY, SMALL, "step").key]
    assert missing.failed is not None
    assert math.isnan(missing.busy)


def test_head_is_the_first_record():
    assert isinstance(Run.of(records()).head, RunStarted)
