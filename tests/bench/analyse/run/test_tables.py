import math
from dataclasses import replace

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


def row(told: Story, contender: Contender, shape: Shape = SMALL, phase: str = "step") -> pd.Series:
    """The one row of a cell."""
    place = told.plan.cells.index(Cell(contender, shape, phase))
    return told.run().timings.iloc[place]


def two(*contenders: Contender, **others) -> Story:
    return Story(plan_of_cells(contenders, **others.pop("asked", {})), **others)


def test_the_columns_of_timings_and_their_order():
    assert list(Run.of(records()).timings.columns) == COLUMNS == columns.names(columns.TIMINGS)


def test_the_columns_of_timings_have_their_dtypes_whatever_happened():
    empty = Story(plan_of_cells(), passes=0, complete=False)
    for told in (story(), empty):
        timings = told.run().timings
        for name in COLUMNS:
            if name in TEXT:
                assert isinstance(timings[name].dtype, pd.StringDtype), name
            elif name in WHOLE:
                assert timings[name].dtype == pd.Int64Dtype(), name
            elif name in REAL:
                assert timings[name].dtype == np.float64, name
            else:
                assert isinstance(timings[name].dtype, pd.CategoricalDtype), name


def test_phases_are_ordered_as_they_are_in_a_step():
    phase = Run.of(records()).timings["phase"].dtype
    assert phase.ordered
    assert list(phase.categories) == ["forward", "backward", "update", "step", "train"]


def test_there_is_one_row_for_each_cell_of_the_plan_in_its_order_whatever_happened():
    told = story()
    timings = told.run().timings
    rows = timings[["implementation", "device", "dtype", "N", "D_in", "H", "D_out", "phase"]].astype(str)
    cells = [(cell.contender, cell.shape, cell.phase) for cell in told.plan.cells]
    assert [tuple(values) for values in rows.itertuples(index=False)] == [
        (c.implementation, c.device, c.dtype, str(s.N), str(s.D_in), str(s.H), str(s.D_out), phase)
        for c, s, phase in cells
    ]
    assert timings["status"].value_counts().to_dict() == {
        **dict.fromkeys(timings["status"].cat.categories, 0),
        "ok": 6,
        "unavailable": 4,
        "wrong": 2,
    }
    assert set(timings["run"]) == {told.name}


def test_a_time_is_the_mean_of_the_passes_medians_with_its_interval():
    told = row(story(), NUMPY)
    medians = [settled(Cell(NUMPY, SMALL, "step"), pass_number) for pass_number in range(1, 6)]
    expected = estimate(medians)
    assert (told["seconds"], told["seconds_low"], told["seconds_high"]) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert told["seconds_floor"] == pytest.approx(expected.value * np.quantile(SPREAD * 2, 0.05))
    assert told["seconds_p95"] == pytest.approx(expected.value * np.quantile(SPREAD * 2, 0.95))
    assert (told["passes"], told["samples"], told["inner"]) == (5, 5 * 2 * 5, INNER)
    assert told["gflops"] == pytest.approx(flops(SMALL, "step") / expected.value / 1e9)


def test_a_train_s_rate_counts_all_its_steps():
    told = Story(plan_of_cells((NUMPY,), phases=("train",), steps=10), seconds=lambda cell, pass_number: 0.01)
    assert row(told, NUMPY, phase="train")["gflops"] == pytest.approx(10 * 25_984_000 / 0.01 / 1e9)


def test_a_row_carries_what_makes_it_comparable():
    told = row(story(), NUMPY)
    assert (told["backend"], told["backend_version"], told["interpreter"]) == ("numpy", "1.2.3", "CPython 3.11.7")
    assert (told["device"], told["device_name"], told["source"]) == ("cpu", "Model Processor", "abc1234")
    assert (told["dtype"], told["precision"], told["threads"]) == ("float32", "highest", 2)


def test_a_class_of_one_s_own_is_its_own_source():
    mine = Contender("mine:Net", "cpu", "float32")
    assert row(two(mine), mine)["source"] == "mine:Net"


def test_what_it_costs_to_get_there_is_the_median_of_the_passes():
    told = row(story(workers={NUMPY: {"import_seconds": 0.75}}), NUMPY)
    assert (told["import_seconds"], told["setup_seconds"], told["first_call_seconds"]) == (0.75, 0.001, 0.002)


def test_the_import_of_the_first_process_has_a_column_of_its_own():
    told = two()
    records = [
        replace(record, import_seconds=9.0) if isinstance(record, WorkerStarted) and record.pass_number == 1 else record
        for record in told.records()
    ]
    timings = Run.of(records).timings
    assert timings["import_seconds_first"].tolist() == [9.0] * len(timings)
    assert timings["import_seconds"].tolist() == [0.25] * len(timings)


def test_the_error_is_the_one_that_used_most_of_its_tolerance():
    told = row(story(), NUMPY)
    assert (told["error"], told["tolerance"]) == (2.0**-20 * 5, 2.0**-12)


def test_peak_memory_is_the_process_s_on_the_host_and_the_device_s_on_an_accelerator():
    told = two(NUMPY, CUPY)
    assert row(told, NUMPY)["peak_bytes"] == 200 * 2**20
    assert row(told, CUPY)["peak_bytes"] == 50 * 2**20


def test_peak_memory_nobody_counted_is_missing():
    told = [replace(record, host_bytes=None) if isinstance(record, Left) else record for record in two(NUMPY).records()]
    assert Run.of(told).timings["peak_bytes"].isna().all()


def test_a_wrong_cell_has_no_time_but_its_error_and_who_it_was():
    told = row(story(), TORCH, LARGE)
    assert (told["status"], told["error"], told["tolerance"]) == ("wrong", 0.25, 0.001)
    assert told["reason"].startswith("w1 after update")
    assert told[NO_TIME].isna().all()


def test_an_unavailable_cell_has_its_reason_and_nothing_measured():
    told = row(story(), CUPY)
    assert told["status"] == "unavailable"
    assert told["reason"].startswith("CuPy is not installed")
    assert told[NO_TIME].isna().all()
    assert told[["backend", "backend_version", "device_name", "precision", "import_seconds", "error"]].isna().all()


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "timeout", "crashed"])
def test_a_cell_that_fails_in_its_third_pass_has_no_time(status):
    lost = Cell(TORCH, SMALL, "step")
    told = Story(plan_of_cells(), outcomes={lost: Outcome(status, "it went away", pass_number=3)})
    assert any(isinstance(record, Block) and record.cell == lost.key for record in told.records())
    found = row(told, TORCH)
    assert (found["status"], found["reason"]) == (status, "it went away")
    assert found[NO_TIME].isna().all()
    assert row(told, NUMPY)["status"] == "ok"


def test_cells_that_were_never_visited_are_not_run():
    told = story(passes=0, complete=False)
    timings = told.run().timings
    assert len(timings) == len(told.plan.cells)
    assert set(timings["status"]) == {"not_run"}
    assert set(timings["reason"]) == {"the run ended before this cell's first block"}
    assert timings[NO_TIME].isna().all(axis=None)


def test_cells_that_were_prepared_but_had_no_block_are_not_run():
    whole = two(NUMPY, TORCH).records()
    cut = whole[: next(i for i, record in enumerate(whole) if isinstance(record, Entered))]
    assert any(isinstance(record, Prepared) for record in cut)
    timings = Run.of(cut).timings
    assert list(timings["status"]) == ["not_run", "not_run"]
    assert timings["backend"].iloc[0] == "numpy"


def test_a_run_cut_off_after_a_pass_has_what_was_measured_and_no_verdict_on_it():
    told = row(two(NUMPY, TORCH, passes=1, complete=False), TORCH)
    assert (told["status"], told["passes"]) == ("ok", 1)
    assert told["speedup"] == pytest.approx(2.0)
    assert told[["seconds_low", "seconds_high", "speedup_low", "speedup_high"]].isna().all()
    assert told["verdict"] == "unclear"


def test_a_resumed_run_is_one_run():
    whole = two(NUMPY, TORCH).records()
    resumed = [*whole[:20], RunResumed("2026-01-02T04:00:00+00:00", []), *whole[20:]]
    pd.testing.assert_frame_equal(Run.of(resumed).timings, Run.of(whole).timings)


def test_only_a_run_that_got_to_its_end_is_complete():
    assert Run.of(records()).is_complete
    assert not Run.of(records(complete=False)).is_complete


def test_a_speed_up_is_over_the_baseline_and_more_is_faster():
    told = row(story(), TORCH)
    assert told["speedup"] == pytest.approx(2.0)
    assert told["speedup_low"] <= told["speedup"] <= told["speedup_high"]
    assert told["verdict"] == "faster"


def test_the_baseline_is_once_as_fast_as_itself_and_has_no_verdict():
    told = row(story(), NUMPY)
    assert (told["speedup"], told["speedup_low"], told["speedup_high"]) == (1.0, 1.0, 1.0)
    assert (told["speedup_floor"], told["speedup_floor_low"], told["speedup_floor_high"]) == (1.0, 1.0, 1.0)
    assert told[["verdict", "verdict_floor"]].isna().all()


@pytest.mark.parametrize(
    ("effects", "verdict"), [((), "faster"), ((("step*torch*", 0.1),), "same"), ((("*", 0.1),), "same")]
)
def test_a_cell_of_a_pattern_has_its_own_minimum_effect(effects, verdict):
    def seconds(cell: Cell, pass_number: int) -> float:
        return 1e-3 * (1.05 if cell.contender == NUMPY else 1)

    told = Story(plan_of_cells((NUMPY, TORCH), min_effects=effects), seconds)
    fast, slow = row(told, TORCH), row(told, NUMPY)
    assert (fast["verdict"], fast["verdict_floor"]) == (verdict, verdict)
    assert (fast["rank"], slow["rank"]) == (1, 2 if verdict == "faster" else 1)


def test_speed_ups_are_paired_within_passes():
    weather = {1: 1.0, 2: 3.0, 3: 0.4, 4: 2.0, 5: 0.7}

    def seconds(cell: Cell, pass_number: int) -> float:
        return 1e-3 * weather[pass_number] * (2 if cell.contender == NUMPY else 1)

    told = row(Story(plan_of_cells(), seconds=seconds), TORCH)
    assert told["seconds_high"] / told["seconds_low"] > 2
    assert (told["speedup_low"], told["speedup_high"]) == pytest.approx((2.0, 2.0))
    assert told["verdict"] == "faster"


def weathered(told: Story, weather) -> list:
    """A run whose machine is so many times slower in each round of a pass, whoever it runs."""
    return [
        replace(record, seconds=[second * weather(record.pass_number, record.round) for second in record.seconds])
        if isinstance(record, Block)
        else record
        for record in told.records()
    ]


def test_speed_ups_are_paired_within_rounds():
    def weather(pass_number: int, turn: int) -> float:
        return 1 + ((pass_number * 7 + turn * 5) % 11) / 3

    told = Story(plan_of_cells(rounds=6), seconds=lambda cell, pass_number: 2e-3 if cell.contender == NUMPY else 1e-3)
    found = Run.of(weathered(told, weather)).timings.iloc[1]
    assert found["seconds_high"] / found["seconds_low"] > 1.3
    assert (found["speedup_low"], found["speedup_high"]) == pytest.approx((2.0, 2.0))
    lame = [record for record in weathered(told, weather) if not (isinstance(record, Block) and record.round == 3)]
    assert Run.of(lame).timings.iloc[1]["speedup"] == pytest.approx(2.0)


def test_rounds_that_only_one_of_them_has_are_no_pairs():
    told = [
        replace(record, seconds=[9.0]) if isinstance(record, Block) and record.round == 2 else record
        for record in two(NUMPY, TORCH).records()
        if not (isinstance(record, Block) and record.round == 2 and "torch" in record.cell)
    ]
    assert Run.of(told).timings.iloc[1]["speedup"] == pytest.approx(2.0)


def interrupted(told: Story, contender: Contender, factor: float) -> list:
    """A run in which a neighbour makes all samples of one contender but each block's fastest take longer."""
    return [
        replace(record, seconds=[min(record.seconds), *(factor * second for second in record.seconds[1:])])
        if isinstance(record, Block) and contender.implementation in record.cell
        else record
        for record in told.records()
    ]


def test_the_floor_tells_what_a_neighbour_hides():
    told = Story(plan_of_cells(rounds=10), seconds=lambda cell, pass_number: 1e-3)
    calm, busy = (Run.of(interrupted(told, TORCH, factor)).timings.iloc[1] for factor in (1.0, 1.5))
    assert (calm["verdict"], calm["verdict_floor"]) == ("same", "same")
    assert (busy["verdict"], busy["verdict_floor"]) == ("slower", "same")
    assert busy["speedup"] == pytest.approx(1 / 1.5)
    assert busy["speedup_floor"] == pytest.approx(1.0)
    assert busy["speedup_floor_low"] <= busy["speedup_floor"] <= busy["speedup_floor_high"]


def test_a_pass_that_only_one_of_them_has_is_no_pair():
    whole = two(NUMPY, TORCH).records()
    lone = [
        replace(record, seconds=[9.0]) if isinstance(record, Block) and record.pass_number == 5 else record
        for record in whole
        if not (isinstance(record, Block) and record.pass_number == 5 and "torch" in record.cell)
    ]
    found = Run.of(lone).timings.iloc[1]
    assert found["passes"] == 4
    assert found["speedup"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("other", "told_of_it"),
    [
        (Contender("torch", "cpu", "float64"), {}),
        (Contender("torch", "cpu", "float32", 1), {}),
        (TORCH, {"precision": "tf32"}),
    ],
)
def test_rows_that_differ_in_dtype_threads_or_precision_share_no_ratio(other, told_of_it):
    told = row(two(NUMPY, other, workers={other: told_of_it}), other)
    assert told["status"] == "ok"
    assert told[SPEEDUP].isna().all()


def test_each_row_has_the_baseline_of_its_own_dtype_and_threads():
    pairs = [(dtype, threads) for dtype in ("float32", "float64") for threads in (1, 2)]
    contenders = [Contender(name, "cpu", *pair) for pair in pairs for name in ("numpy", "torch")]

    def seconds(cell: Cell, pass_number: int) -> float:
        place = pairs.index((cell.contender.dtype, cell.contender.threads))
        return 1e-3 * (2 + place if cell.contender.implementation == "numpy" else 1)

    told = two(*contenders, seconds=seconds)
    for place, pair in enumerate(pairs):
        assert row(told, Contender("torch", "cpu", *pair))["speedup"] == pytest.approx(2 + place)


def test_a_thread_limit_that_did_not_hold_shows_and_costs_the_ratio():
    numpy, torch = Contender("numpy", "cpu", "float32", 1), Contender("torch", "cpu", "float32", 1)
    told = two(numpy, torch, busy={numpy: 1.0, torch: 1.9})
    found = row(told, torch)
    assert (found["status"], found["threads"]) == ("ok", 2)
    assert found["reason"] == "asked to use 1 threads, it kept 1.9 busy"
    assert found[SPEEDUP].isna().all()
    assert found[["rank", "rank_worst"]].isna().all()
    baseline = row(told, numpy)
    assert (baseline["threads"], baseline["reason"]) == (1, "")
    assert (baseline["rank"], baseline["rank_worst"]) == (1, 1)


def test_a_little_more_than_the_limit_is_the_clocks():
    told = row(two(NUMPY, busy={NUMPY: 2.4}), NUMPY)
    assert (told["threads"], told["reason"]) == (2, "")


def test_a_contender_on_an_accelerator_is_compared_with_the_baseline_on_the_host():
    told = row(two(NUMPY, CUPY), CUPY)
    assert told["speedup"] == pytest.approx(4.0)
    assert told["verdict"] == "faster"


def test_a_contender_on_an_accelerator_is_compared_with_the_baseline_there_where_there_is_one():
    torch, cuda = Contender("torch", "cpu", "float32"), Contender("torch", "cuda", "float32")
    times = {torch: 8e-3, cuda: 2e-3, CUPY: 1e-3}
    told = two(torch, cuda, CUPY, asked={"baseline": "torch"}, seconds=lambda cell, pass_number: times[cell.contender])
    assert row(told, CUPY)["speedup"] == pytest.approx(2.0)
    assert row(told, cuda)["speedup"] == 1.0


def test_without_a_baseline_that_has_times_there_are_no_ratios():
    lost = Cell(NUMPY, SMALL, "step")
    for told in (two(TORCH), Story(plan_of_cells(), outcomes={lost: Outcome("timeout", "too slow")})):
        assert row(told, TORCH)["status"] == "ok"
        assert row(told, TORCH)[SPEEDUP].isna().all()


def test_what_is_not_reliably_different_is_unclear_or_the_same():
    noise = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}

    def noisy(cell: Cell, pass_number: int) -> float:
        return 1e-3 * (noise[pass_number] if cell.contender == TORCH else 1)

    assert row(Story(plan_of_cells(), seconds=noisy), TORCH)["verdict"] == "unclear"
    assert row(Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3), TORCH)["verdict"] == "same"


def seconds_of(times):
    return lambda cell, pass_number: times[cell.contender]


def ranks(told: Story) -> list[tuple]:
    timings = told.run().timings
    return [tuple(pair) for pair in timings[["rank", "rank_worst"]].itertuples(index=False)]


def test_each_row_has_its_rank_among_those_that_were_timed_in_turns_with_it():
    jax = Contender("jax", "cpu", "float32")
    assert ranks(two(NUMPY, jax, TORCH, seconds=seconds_of({NUMPY: 3e-3, jax: 1e-3, TORCH: 2e-3}))) == [
        (3, 3),
        (1, 1),
        (2, 2),
    ]
    assert ranks(two(NUMPY, jax, TORCH, seconds=seconds_of({NUMPY: 1e-3, jax: 1e-3, TORCH: 2e-3}))) == [
        (1, 2),
        (1, 2),
        (3, 3),
    ]


def test_a_contender_on_an_accelerator_is_ranked_with_those_on_the_host():
    assert ranks(two(NUMPY, CUPY, TORCH)) == [(3, 3), (1, 1), (2, 2)]


def test_rows_that_differ_in_shape_phase_dtype_threads_or_precision_are_ranked_apart():
    fine = Contender("torch", "cpu", "float64")
    few = Contender("torch", "cpu", "float32", 1)
    assert ranks(two(NUMPY, fine, few)) == [(1, 1)] * 3
    assert ranks(two(NUMPY, TORCH, workers={TORCH: {"precision": "tf32"}})) == [(1, 1)] * 2
    told = two(NUMPY, TORCH, asked={"shapes": (SMALL, LARGE), "phases": ("forward", "step")})
    assert ranks(told) == [(2, 2), (1, 1)] * 4


def test_a_row_without_a_time_has_no_rank_and_takes_none():
    lost = Cell(TORCH, SMALL, "step")
    first, second = ranks(Story(plan_of_cells(), outcomes={lost: Outcome("timeout", "too slow")}))
    assert first == (1, 1)
    assert all(pd.isna(rank) for rank in second)


def test_from_a_single_pass_every_rank_is_open():
    assert ranks(two(NUMPY, TORCH, passes=1, complete=False)) == [(1, 2), (1, 2)]


WILD = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}


def wild(cell: Cell, pass_number: int) -> float:
    return 1e-3 * (WILD[pass_number] if cell.contender == TORCH else 1)


def adaptive_plan(contenders=(NUMPY, TORCH), **others):
    return plan_of_cells(contenders, time_budget=60.0, **others)


def undecided(told: Story) -> set[str]:
    return told.run().undecided


def test_what_is_faster_slower_or_the_same_is_decided():
    assert undecided(Story(adaptive_plan())) == set()
    assert undecided(Story(adaptive_plan(), seconds=lambda cell, pass_number: 1e-3)) == set()


def test_what_is_unclear_is_undecided_with_what_it_was_compared_with():
    plan = adaptive_plan()
    assert undecided(Story(plan, seconds=wild)) == {cell.key for cell in plan.cells}


def test_only_those_that_are_unclear_are_undecided():
    jax = Contender("jax", "cpu", "float32")
    plan = adaptive_plan((NUMPY, TORCH, jax))

    def seconds(cell: Cell, pass_number: int) -> float:
        return 20e-3 if cell.contender == NUMPY else wild(cell, pass_number)

    assert undecided(Story(plan, seconds=seconds)) == {cell.key for cell in plan.cells[1:]}


def test_what_is_unclear_is_decided_once_both_times_are_precise_enough():
    assert undecided(Story(adaptive_plan(precision=0.9), seconds=wild)) == set()
    assert undecided(Story(adaptive_plan(precision=0.9, passes=1), seconds=wild)) != set(), "one pass has no interval"


def test_a_minimum_effect_that_is_asked_for_decides_what_would_be_unclear():
    def apart(cell: Cell, pass_number: int) -> float:
        return settled(cell, pass_number) * (2.06 if cell.contender == TORCH else 1) * (1 + 0.02 * (pass_number % 2))

    def noisy(cell: Cell, pass_number: int) -> float:
        return (apart if cell.contender == TORCH else settled)(cell, pass_number)

    told = {effect: Story(adaptive_plan(min_effect=effect), seconds=noisy) for effect in (0.04, 0.2)}
    assert {effect: row(one, TORCH)["verdict"] for effect, one in told.items()} == {0.04: "unclear", 0.2: "same"}
    assert [len(undecided(one)) for one in told.values()] == [2, 0]


def test_what_failed_or_has_no_one_to_compare_with_is_not_undecided():
    lost = Cell(TORCH, SMALL, "step")
    assert undecided(Story(adaptive_plan(), seconds=wild, outcomes={lost: Outcome("timeout", "too slow")})) == set()
    assert undecided(Story(adaptive_plan((TORCH,)), seconds=wild)) == set()
    assert undecided(Story(adaptive_plan(), passes=0, complete=False)) == set()


def test_an_accelerator_s_verdict_against_the_baseline_on_the_host_can_be_what_is_undecided():
    numpy, cupy = Contender("numpy", "cpu", "float32", 2), Contender("cupy", "cuda", "float32", 1)
    plan = adaptive_plan((numpy, cupy))

    def seconds(cell: Cell, pass_number: int) -> float:
        return 1e-3 * (WILD[pass_number] if cell.contender == cupy else 1)

    assert undecided(Story(plan, seconds=seconds)) == {cell.key for cell in plan.cells}


def test_times_of_a_run_that_stops_when_it_has_seen_enough_have_wider_intervals():
    once, often = (row(Story(plan), NUMPY) for plan in (plan_of_cells(), adaptive_plan()))
    assert often["seconds"] == once["seconds"]
    assert often["seconds_low"] < once["seconds_low"] < once["seconds_high"] < often["seconds_high"]


def test_samples_has_every_sample_in_the_order_of_measurement():
    told = story().records()
    samples = Run.of(told).samples
    blocks = [record for record in told if isinstance(record, Block)]
    assert list(samples["seconds"]) == [second for block in blocks for second in block.seconds]
    assert list(samples["sample"]) == [1, 2, 3, 4, 5] * len(blocks)
    assert set(samples["implementation"]) == {"numpy", "torch"}
    first = samples.iloc[0]
    assert (first["run"], first["pass"], first["process"], first["round"]) == (story().name, 1, 1, 1)
    assert (first["N"], first["D_in"], first["H"], first["D_out"], first["phase"]) == (64, 1000, 100, 10, "forward")
    assert (first["threads"], first["inner"], first["position"]) == (2, INNER, 1)


def test_samples_of_a_pass_have_the_median_that_the_table_is_made_of():
    samples = Run.of(records()).samples
    mine = samples[(samples["implementation"] == "torch") & (samples["phase"] == "step")]
    medians = mine.groupby("pass")["seconds"].median()
    assert math.isclose(estimate(medians).value, row(story(), TORCH)["seconds"])


def test_the_columns_of_samples_and_their_dtypes_also_where_there_are_none():
    for told in (records(), records(passes=0, complete=False)):
        samples = Run.of(told).samples
        assert list(samples.columns) == [
            *("run", "pass", "process", "round", "position", "implementation", "device", "dtype", "threads"),
            *("N", "D_in", "H", "D_out", "phase", "inner", "sample", "seconds"),
        ]
        assert samples["seconds"].dtype == np.float64
        assert samples["pass"].dtype == samples["sample"].dtype == pd.Int64Dtype()
        assert isinstance(samples["implementation"].dtype, pd.CategoricalDtype)


def test_the_limit_that_was_set_is_in_samples_even_where_it_did_not_hold():
    torch = Contender("torch", "cpu", "float32", 1)
    assert set(two(torch, busy={torch: 1.9}).run().samples["threads"]) == {1}


def test_the_records_of_each_cell_are_gathered_under_its_key():
    told = story()
    held = told.run().cells
    assert list(held) == [cell.key for cell in told.plan.cells]
    numpy = held[Cell(NUMPY, SMALL, "step").key]
    assert (len(numpy.blocks), len(numpy.workers), len(numpy.prepared), len(numpy.left)) == (10, 5, 5, 5)
    assert numpy.busy == 1.0
    assert [len(seconds) for seconds in numpy.samples_by_pass.values()] == [10] * 5
    missing = held[Cell(CUPY, SMALL, "step").key]
    assert missing.failed is not None
    assert math.isnan(missing.busy)


def test_a_journal_s_first_record_says_what_was_asked():
    assert isinstance(Run.of(records()).head, RunStarted)
