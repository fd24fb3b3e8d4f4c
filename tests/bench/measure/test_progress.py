from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.progress import GUESS, KINDS, Tally
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, TORCH, plan_of_cells, steady

PLAN = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE), ("forward", "step"), passes=3, rounds=4)
NOTHING: dict[tuple[int, str], int] = {}


def moment(tally: Tally):
    return tally.progress(1, "step", "N64", "numpy")


def test_a_new_run_has_every_request_before_it():
    assert Tally(PLAN, NOTHING, []).left == {"start": 2 * 3, "prepare": 2 * 2 * 3, "block": 8 * 3 * 4, "ceiling": 0}


def test_before_the_first_answer_it_is_a_guess():
    told = moment(Tally(PLAN, NOTHING, []))
    assert told.done == 0.0
    assert told.seconds_left == pytest.approx(6 * GUESS["start"] + 12 * GUESS["prepare"] + 96 * GUESS["block"])


def test_a_moment_says_where_the_run_is():
    told = Tally(PLAN, NOTHING, []).progress(2, "step", "N64-D1000-H100", "numpy-cpu-float32")
    assert (told.passage, told.passes) == (2, 3)
    assert (told.phase, told.shape, told.contender) == ("step", "N64-D1000-H100", "numpy-cpu-float32")


def test_what_is_left_costs_what_its_kind_has_cost_so_far():
    tally = Tally(PLAN, NOTHING, [])
    assert tally.did("start", 2.0) == 2.0
    tally.did("prepare", 1.0)
    tally.did("block", 0.25)
    tally.did("block", 0.75)
    told = moment(tally)
    assert told.seconds_left == pytest.approx(5 * 2.0 + 11 * 1.0 + 94 * 0.5)
    assert told.done == pytest.approx(4.0 / (4.0 + told.seconds_left))


def test_a_run_ends_with_nothing_left():
    tally = Tally(PLAN, NOTHING, [])
    for kind in KINDS:
        for _ in range(tally.left[kind]):
            tally.did(kind, 0.5)
    told = moment(tally)
    assert (told.done, told.seconds_left) == (1.0, 0.0)


def test_a_resumed_run_has_only_its_rest_before_it():
    half = {(passage, cell.key): 4 for passage in (1, 2, 3) for cell in PLAN.cells[:4]}
    assert Tally(PLAN, half, []).left == {"start": 6, "prepare": 12, "block": 4 * 3 * 4, "ceiling": 0}


def test_a_resumed_run_that_has_everything_has_nothing_left():
    every = {(passage, cell.key): 4 for passage in (1, 2, 3) for cell in PLAN.cells}
    assert Tally(PLAN, every, []).left == dict.fromkeys(KINDS, 0)


def test_cells_that_failed_in_an_earlier_part_are_not_before_a_resumed_run():
    torch = [cell.key for cell in PLAN.cells if cell.contender == TORCH]
    blocks = {(1, torch[0]): 2}
    assert Tally(PLAN, blocks, torch).left == {"start": 3, "prepare": 6, "block": 4 * 3 * 4, "ceiling": 0}


def test_a_run_of_which_every_cell_failed_has_nothing_left():
    assert Tally(PLAN, NOTHING, [cell.key for cell in PLAN.cells]).left == dict.fromkeys(KINDS, 0)


def test_cells_that_fail_are_not_visited_in_this_pass_or_a_later_one():
    tally = Tally(PLAN, NOTHING, [])
    torch = [cell for cell in PLAN.cells if cell.contender == TORCH]
    tally.drop(torch, 1)
    assert tally.left["block"] == 4 * 3 * 4
    tally = Tally(PLAN, NOTHING, [])
    tally.drop(torch[:1], 3)
    assert tally.left["block"] == 8 * 3 * 4 - 4


WITH_CEILINGS = replace(PLAN, ceilings=(NUMPY, TORCH, CUPY))


def test_every_pass_with_cells_left_measures_the_ceilings_of_their_places():
    assert Tally(WITH_CEILINGS, NOTHING, []).left["ceiling"] == 2 * 3
    first = {(1, cell.key): 4 for cell in PLAN.cells}
    assert Tally(WITH_CEILINGS, first, []).left["ceiling"] == 2 * 2
    assert Tally(WITH_CEILINGS, NOTHING, [], {TORCH.label}).left["ceiling"] == 3


def test_ceilings_of_a_place_where_every_cell_failed_are_not_awaited():
    tally = Tally(WITH_CEILINGS, NOTHING, [])
    tally.drop(list(PLAN.cells[1:]), 2)
    assert tally.left["ceiling"] == 2 * 3
    tally.drop(list(PLAN.cells[:1]), 2)
    assert tally.left["ceiling"] == 2 * 1


def test_the_cost_of_a_pass_is_what_its_requests_have_cost_on_average():
    tally = Tally(WITH_CEILINGS, NOTHING, [])
    for kind, seconds in {"start": 2.0, "prepare": 0.5, "block": 0.25, "ceiling": 3.0}.items():
        tally.did(kind, seconds)
    assert tally.cost(WITH_CEILINGS, []) == 2 * 2.0 + 4 * 0.5 + 8 * 4 * 0.25 + 2 * 3.0
    few = WITH_CEILINGS.select(PLAN.cells[:1])
    assert tally.cost(replace(few, rounds=2), []) == 2.0 + 0.5 + 2 * 0.25 + 2 * 3.0


def test_the_cost_of_a_pass_is_a_guess_before_the_first_answer():
    guessed = 2 * GUESS["start"] + 4 * GUESS["prepare"] + 8 * 4 * GUESS["block"]
    assert Tally(PLAN, NOTHING, []).cost(PLAN, []) == pytest.approx(guessed)


def test_a_pass_without_cells_that_did_not_fail_costs_nothing():
    assert Tally(WITH_CEILINGS, NOTHING, []).cost(WITH_CEILINGS, {cell.key for cell in PLAN.cells}) == 0.0


events = st.one_of(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 1e3)),
    st.tuples(st.integers(1, PLAN.passes), st.integers(0, len(PLAN.cells))),
)


@steady
@given(st.lists(events, max_size=150))
def test_whatever_happens_the_share_done_is_a_share_and_nothing_is_owed(happened):
    tally = Tally(PLAN, NOTHING, [])
    for kind, amount in happened:
        if isinstance(kind, str):
            tally.did(kind, amount)
        else:
            tally.drop(list(PLAN.cells[:amount]), kind)
        told = moment(tally)
        assert 0.0 <= told.done <= 1.0
        assert told.seconds_left >= 0.0
        assert min(tally.left.values()) >= 0
