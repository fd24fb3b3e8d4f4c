"""Tests of disturbances, from blocks with made counts."""

import math
from dataclasses import replace

import pytest

from bench.analyse.run.disturbance import (
    DISTURBED,
    FEW_BLOCKS,
    Disturbance,
    disturbed_rounds,
    is_unsteady,
    of_cell,
    of_run,
    reason_of,
    says_unsteady,
)
from bench.analyse.run.run import Run
from bench.measure.records import Block
from tests.bench.made import NUMPY, TORCH, Story, disturbed, plan_of_cells

OWN, OTHER = (cell.key for cell in plan_of_cells().cells)


def run_of(*blocks):
    """Return a run with these blocks alone."""
    return Run.of([Story(plan_of_cells()).records()[0], *blocks])


def block(
    others: float | None = 0.0,
    stolen: float | None = 0.0,
    available: float | None = 1.0,
    waited: float | None = -1.0,
    cell: str = "cell",
    **numbers: int,
) -> Block:
    """Return a block whose process `waited`, by default as long as others used the processors."""
    position = {"number": 1, "pass_number": 1, "round": 1, "position": 1, **numbers}
    return Block(
        **position,
        cell=cell,
        inner=1,
        seconds=[1.0],
        cpu_per_wall=1.0,
        rewarm_seconds=0.0,
        wall_seconds=1.0,
        processor_seconds=available,
        waited_seconds=others if waited == -1.0 else waited,
        others_seconds=others,
        stolen_seconds=stolen,
        switches=8,
    )


def test_shares_are_of_all_blocks_processor_time():
    taken = of_cell([block(others=0.5, available=1.0), block(others=0.0, stolen=0.75, available=3.0)])
    assert taken == Disturbance(others=0.125, stolen=0.1875, switches=4.0, blocks=1.0)
    assert taken.share == 0.3125


def test_blocks_without_counts_are_unknown():
    assert of_cell([]) is None
    assert of_cell([block(others=None)]) is None
    assert of_cell([block(available=None)]) is None
    assert of_cell([block(waited=None)]) is None
    assert of_run(run_of()) is None


def test_blocks_without_counts_are_left_out():
    assert of_cell([block(others=0.25), block(others=None)]).others == 0.25
    assert of_cell([block(stolen=0.25), block(stolen=None)]).stolen == 0.25
    assert of_cell([block(stolen=None)]).stolen is None


def test_waiting_for_own_threads_is_no_disturbance():
    blocks = [block(waited=0.1, others=noise) for noise in (-0.01, 0.01, 0.0, 0.0)]
    assert of_cell(blocks).others == 0
    assert of_cell(blocks).blocks == 0
    assert disturbed_rounds(blocks) == {}


def test_others_take_at_most_the_waited_time():
    assert of_cell([block(waited=0.125, others=0.5)]).others == 0.125


def test_own_wait_of_a_cell_is_not_mixed_with_that_of_another():
    own = block(waited=0.5, others=0.0, cell=OWN)
    taken = of_run(run_of(own, block(waited=0.0, others=0.5, cell=OTHER)))
    assert taken == Disturbance(others=0.0, stolen=0.0, switches=8.0, blocks=0.0)
    assert of_run(run_of(own, block(others=0.5, cell=OTHER))) == Disturbance(0.25, 0.0, 8.0, 0.5)


def test_total_share_is_at_most_one():
    assert Disturbance(0.9, 0.8, 0.0, 1.0).share == 1.0
    assert Disturbance(0.25, None, 0.0, 1.0).share == 0.25


@pytest.mark.parametrize(
    ("share", "half_width", "expected"),
    [
        (2 * DISTURBED, 0.5, True),
        (2 * DISTURBED, math.inf, True),
        (2 * DISTURBED, 0.01, False),
        (DISTURBED / 2, 0.5, False),
        (DISTURBED / 2, math.inf, False),
    ],
    ids=["disturbed and wide", "disturbed, one pass", "disturbed but precise", "quiet but wide", "quiet, one pass"],
)
def test_disturbed_cell_with_wide_interval_is_unsteady(share, half_width, expected):
    for taken in (
        Disturbance(share, 0.0, 0.0, 1.0),
        Disturbance(0.0, share, 0.0, 1.0),
        Disturbance(share, None, 0.0, 1.0),
    ):
        assert is_unsteady(taken, half_width, min_effect=0.02) is expected


def test_cell_with_few_disturbed_blocks_is_steady():
    blocks = [block(others=0.9), *[block()] * 9]
    assert of_cell(blocks).is_disturbed
    assert of_cell(blocks).blocks == FEW_BLOCKS
    assert not is_unsteady(of_cell(blocks), 0.5, min_effect=0.02)
    assert is_unsteady(of_cell([block(others=0.9), *blocks]), 0.5, min_effect=0.02)


def test_cell_without_counts_is_not_unsteady():
    assert not is_unsteady(None, math.inf, 0.02)


@pytest.mark.parametrize(
    ("others", "stolen", "cause"),
    [
        (0.3, 0.0, "other processes took"),
        (0.3, None, "other processes took"),
        (0.01, 0.3, "the hypervisor took"),
        (0.04, 0.04, "other processes and the hypervisor took"),
    ],
)
def test_reason_names_the_cause(others, stolen, cause):
    reason = reason_of(Disturbance(others, stolen, 0.0, 1.0))
    assert reason.startswith(f"unsteady: {cause} more than 5 % of its processors")
    assert says_unsteady(reason)
    assert says_unsteady(f"asked to use 1 threads, it kept 1.9 busy; {reason}")


@pytest.mark.parametrize("reason", ["", None, math.nan, "asked to use 1 threads", "the machine is unsteady"])
def test_other_reasons_are_not_unsteady(reason):
    assert not says_unsteady(reason)


def test_round_disturbed_on_either_side_is_set_aside():
    base = [block(others=0.5, pass_number=1, round=1), block(pass_number=1, round=2), block(pass_number=2, round=1)]
    head = [block(pass_number=1, round=1), block(pass_number=1, round=2), block(stolen=0.75, pass_number=2, round=1)]
    assert disturbed_rounds(base, head) == {(1, 1): 0.5, (2, 1): 0.75}
    assert disturbed_rounds(base) == {(1, 1): 0.5}


def test_disturbed_round_has_the_larger_share():
    base, head = [block(others=0.25)], [block(others=0.5)]
    assert disturbed_rounds(base, head) == disturbed_rounds(head, base) == {(1, 1): 0.5}


NOISE = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}


def rows(others: float = 0.0, stolen: float | None = 0.0, **story: object):
    records = Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3 * NOISE[pass_number], **story).records()
    return Run.of(disturbed(records, others, stolen)).timings


def test_unsteady_row_has_shares_and_reason():
    timings = rows(others=0.5, stolen=0.125)
    assert set(timings["others_share"]) == {0.5}
    assert set(timings["steal_share"]) == {0.125}
    assert set(timings["status"]) == {"ok"}
    assert all(map(says_unsteady, timings["reason"]))


def test_quiet_row_has_shares_and_no_reason():
    timings = rows(others=2.0**-6)
    assert set(timings["others_share"]) == {2.0**-6}
    assert set(timings["reason"]) == {""}


def test_row_of_older_journal_has_no_shares():
    timings = Story(plan_of_cells()).run().timings
    assert timings["others_share"].isna().all()
    assert timings["steal_share"].isna().all()
    assert set(timings["reason"]) == {""}


def test_disturbed_but_precise_time_is_steady():
    records = disturbed(Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3).records(), others=0.5)
    records = [replace(record, seconds=[1e-3] * 5) if isinstance(record, Block) else record for record in records]
    assert set(Run.of(records).timings["reason"]) == {""}


def test_unsteady_reason_follows_other_reasons():
    torch = replace(TORCH, threads=1)
    made = Story(
        plan_of_cells((NUMPY, torch)), seconds=lambda cell, pass_number: 1e-3 * NOISE[pass_number], busy={torch: 1.9}
    )
    reason = Run.of(disturbed(made.records(), others=0.5)).timings["reason"].iloc[1]
    assert reason.startswith("asked to use 1 threads, it kept 1.9 busy; unsteady: ")
