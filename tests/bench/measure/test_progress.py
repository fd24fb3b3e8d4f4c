import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.progress import GUESS, KINDS, Tally
from tests.bench.made import LARGE, NUMPY, SMALL, TORCH, plan_of_cells, steady

PLAN = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE), ("forward", "step"), passes=3, rounds=4)
NOTHING: dict[tuple[int, str], int] = {}


def moment(tally: Tally):
    return tally.progress(1, "step", "N64", "numpy")


def test_a_new_run_has_every_request_before_it():
    assert Tally(PLAN, NOTHING, []).left == {"start": 2 * 3, "prepare": 2 * 2 * 3, "block": 8 * 3 * 4}


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
    assert Tally(PLAN, half, []).left == {"start": 6, "prepare": 12, "block": 4 * 3 * 4}


def test_a_resumed_run_that_has_everything_has_nothing_left():
    every = {(passage, cell.key): 4 for passage in (1, 2, 3) for cell in PLAN.cells}
    assert Tally(PLAN, every, []).left == dict.fromkeys(KINDS, 0)


def test_cells_that_failed_in_an_earlier_part_are_not_before_a_resumed_run():
    torch = [cell.key for cell in PLAN.cells if cell.contender == TORCH]
    blocks = {(1, torch[0]): 2}
    assert Tally(PLAN, blocks, torch).left == {"start": 3, "prepare": 6, "block": 4 * 3 * 4}


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
