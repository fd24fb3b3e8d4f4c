from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.progress import FIRST, Tally
from bench.measure.records import Ceiling, Failed
from bench.measure.state import State
from tests.bench.fakes import FakeClock
from tests.bench.made import CUPY, LARGE, NUMPY, SMALL, TORCH, plan_of_cells, steady

PLAN = plan_of_cells((NUMPY, TORCH), (SMALL, LARGE), ("forward", "train"), passes=3, rounds=4)
WITH_CEILINGS = replace(PLAN, ceilings=(NUMPY, TORCH, CUPY))
NEW = {
    "first start": 2,
    "first prepare": 2 * 2,
    "first enter": 8,
    "start": 2 * 2,
    "prepare": 2 * 2 * 2,
    "enter": 8 * 2,
    "block": 4 * 4 * 3,
    "train": 4 * 4 * 3,
}
"""The requests left in a new run of the plan: those of its first pass, and again of the two others."""


def after(*cells, blocks=(), ceilings=()) -> State:
    """Return the state after each of the cells was prepared and entered, with blocks by pass and cell."""
    keys = [cell.key for cell in cells]
    return State(Counter(dict(blocks)), dict.fromkeys(keys, (1, 1)), verified=set(keys), ceilings=set(ceilings))


def blocks_of(*passes, plan=PLAN) -> dict[tuple[int, str], int]:
    return {(pass_number, cell.key): plan.rounds for pass_number in passes for cell in plan.cells}


def lose(tally: Tally, cells, pass_number=1) -> None:
    tally.state.take(Failed(pass_number, [cell.key for cell in cells], "crashed", "why"))
    tally.drop()


def left(tally: Tally) -> dict[str, int]:
    """Return the kinds of requests of which some are left, with their number."""
    return {kind: count for kind, count in tally.left.items() if count}


def progress_of(tally: Tally):
    return tally.progress(1, "step", "N64", "numpy")


def test_new_run_has_every_request_left():
    assert left(Tally(PLAN, State())) == NEW


def test_time_left_is_guessed_before_the_first_answer():
    tally = Tally(PLAN, State(), FakeClock())
    progress = progress_of(tally)
    assert progress.done == 0.0
    assert progress.seconds_left == pytest.approx(sum(count * tally.guess[kind] for kind, count in NEW.items()))


def test_guess_of_a_block_grows_with_its_samples_up_to_a_limit():
    blocks = [Tally(replace(PLAN, samples=samples), State()).guess["block"] for samples in (1, 6, 12, 20, 100)]
    assert blocks[0] < blocks[1] < blocks[2] < blocks[3] == blocks[4]


def test_progress_says_where_the_run_is():
    progress = Tally(PLAN, State()).progress(2, "step", "N64-D1000-H100", "numpy-cpu-float32")
    assert (progress.pass_number, progress.passes) == (2, 3)
    assert (progress.phase, progress.shape, progress.contender) == ("step", "N64-D1000-H100", "numpy-cpu-float32")


SECONDS = {kind: 2.0**-position for position, kind in enumerate(NEW)}
"""The time of a request of each kind."""


def did(tally: Tally, clock: FakeClock, kind: str, seconds: float) -> None:
    clock.spend(seconds)
    tally.did(kind, seconds)


def test_time_left_is_estimated_by_kind():
    clock = FakeClock()
    tally = Tally(PLAN, State(), clock)
    for kind, seconds in SECONDS.items():
        did(tally, clock, kind, 0.5 * seconds)
        did(tally, clock, kind, 1.5 * seconds)
    progress = progress_of(tally)
    assert tally.left["block"] == NEW["block"] - 2
    expected = sum(count * SECONDS[kind] for kind, count in left(tally).items())
    assert progress.seconds_left == pytest.approx(expected)
    assert progress.done == pytest.approx(clock() / (clock() + expected))


def test_later_requests_are_estimated_by_the_first_of_their_kind():
    for repeated, first in FIRST.items():
        clock = FakeClock()
        tally = Tally(PLAN, State(), clock)
        did(tally, clock, first, 3 * tally.guess[first])
        did(tally, clock, "block", 100.0)
        few = dict.fromkeys(tally.left, 0) | {repeated: 10}
        assert tally._seconds(few) == pytest.approx(10 * 3 * tally.guess[repeated])


def test_time_between_requests_is_expected_again():
    clock = FakeClock()
    tally = Tally(PLAN, State(), clock)
    for kind, seconds in SECONDS.items():
        did(tally, clock, kind, seconds)
    without = progress_of(tally).seconds_left
    clock.spend(clock() / 2)
    assert progress_of(tally).seconds_left == pytest.approx(1.5 * without)


def test_run_ends_with_nothing_left():
    clock = FakeClock()
    tally = Tally(PLAN, State(), clock)
    for pass_number in (1, 2, 3):
        tally.begin(pass_number)
        for kind, count in tally.left_in_pass.items():
            for _ in range(count):
                did(tally, clock, kind, 0.5)
        tally.state.blocks.update(blocks_of(pass_number))
        tally.state.verified.update(cell.key for cell in PLAN.cells)
        tally.state.calibrated.update({cell.key: (1, 1) for cell in PLAN.cells})
    progress = progress_of(tally)
    assert (progress.done, progress.seconds_left) == (1.0, 0.0)


def test_resumed_run_has_only_its_rest_left():
    half = {(pass_number, cell.key): 4 for pass_number in (1, 2, 3) for cell in PLAN.cells[:4]}  # every forward
    resumed = Tally(PLAN, after(*PLAN.cells[:4], blocks=half))
    assert left(resumed) == {"start": 6, "first prepare": 4, "prepare": 8, "first enter": 4, "enter": 8, "train": 48}
    assert left(Tally(PLAN, after(*PLAN.cells, blocks=half))) == {"start": 6, "prepare": 12, "enter": 12, "train": 48}


def test_complete_run_has_nothing_left():
    assert left(Tally(PLAN, after(*PLAN.cells, blocks=blocks_of(1, 2, 3)))) == {}


def test_resumed_run_leaves_out_failed_cells():
    torch = [cell.key for cell in PLAN.cells if cell.contender == TORCH]
    state = State(Counter({(1, torch[0]): 2}), failed=dict.fromkeys(torch))
    assert left(Tally(PLAN, state)) == {kind: count // 2 for kind, count in NEW.items()}


def test_run_whose_cells_all_failed_has_nothing_left():
    assert left(Tally(PLAN, State(failed=dict.fromkeys(cell.key for cell in PLAN.cells)))) == {}


def test_both_sides_of_a_cell_are_calibrated_once():
    sides = [replace(NUMPY, variant=side) for side in ("base", "head")]
    assert left(Tally(plan_of_cells(sides, passes=1), State()))["first enter"] == 1


def test_failed_cells_are_left_out_of_all_passes():
    tally = Tally(PLAN, State())
    lose(tally, [cell for cell in PLAN.cells if cell.contender == TORCH])
    assert left(tally) == {kind: count // 2 for kind, count in NEW.items()}
    tally = Tally(PLAN, after(*PLAN.cells, blocks=blocks_of(1, 2)))
    tally.begin(3)
    lose(tally, PLAN.cells[:1], 3)
    assert left(tally) == {"start": 2, "prepare": 4, "enter": 7, "block": 4 * 4 - 4, "train": 16}


def test_failed_cell_leaves_the_requests_of_others():
    tally = Tally(PLAN, State())
    lose(tally, PLAN.cells[:1])
    cell = {"first enter": 1, "enter": 2, "block": 4 * 3}
    assert left(tally) == {kind: count - cell.get(kind, 0) for kind, count in NEW.items()}


def test_ceilings_are_left_in_passes_with_cells_left():
    assert left(Tally(WITH_CEILINGS, State()))["ceiling"] == 2 * 3
    done = [(1, NUMPY.label), (1, TORCH.label)]
    assert left(Tally(WITH_CEILINGS, after(blocks=blocks_of(1), ceilings=done)))["ceiling"] == 2 * 2
    assert left(Tally(WITH_CEILINGS, State(without_ceilings={TORCH.label})))["ceiling"] == 3


def test_ceilings_are_left_out_where_every_cell_failed():
    tally = Tally(WITH_CEILINGS, State())
    tally.state.take(Ceiling(1, 1, NUMPY.label))
    tally.did("ceiling", 1.0)
    assert tally.left["ceiling"] == 5
    lose(tally, PLAN.cells[1:])
    assert tally.left["ceiling"] == 5
    lose(tally, PLAN.cells[:1])
    assert tally.left["ceiling"] == 0


def test_cost_is_the_average_of_past_requests():
    clock = FakeClock()
    tally = Tally(WITH_CEILINGS, State(), clock)
    seconds = SECONDS | {"ceiling": 3.0}
    for kind in seconds:
        did(tally, clock, kind, seconds[kind])

    def price(**counts) -> float:
        return sum(count * seconds[kind.replace("_", " ")] for kind, count in counts.items())

    first = price(first_start=2, first_prepare=4, first_enter=8, block=16, train=16, ceiling=2)
    repeated = price(start=2, prepare=4, enter=8, block=16, train=16, ceiling=2)
    assert tally.cost(WITH_CEILINGS) == pytest.approx(first)
    assert tally.cost(WITH_CEILINGS, 3) == pytest.approx(first + 2 * repeated)
    few = replace(WITH_CEILINGS.select(PLAN.cells[:1]), rounds=2)
    assert tally.cost(few) == pytest.approx(price(first_start=1, first_prepare=1, first_enter=1, block=2, ceiling=2))


def test_cost_ignores_requests_already_answered():
    tally = Tally(PLAN, after(*PLAN.cells, blocks=blocks_of(1)), FakeClock())
    assert tally.cost(PLAN, 2) == pytest.approx(2 * tally.cost(PLAN))


def test_pass_of_failed_cells_costs_nothing():
    failed = dict.fromkeys(cell.key for cell in PLAN.cells)
    assert Tally(WITH_CEILINGS, State(failed=failed)).cost(WITH_CEILINGS) == 0.0


events = st.one_of(
    st.tuples(st.sampled_from([*NEW, "ceiling"]), st.floats(0, 1e3)),
    st.tuples(st.integers(1, PLAN.passes), st.integers(0, len(PLAN.cells))),
)


@steady
@given(st.lists(events, max_size=150))
def test_progress_stays_within_its_bounds(sequence):
    clock = FakeClock()
    tally = Tally(PLAN, State(), clock)
    for kind, amount in sequence:
        if isinstance(kind, str):
            did(tally, clock, kind, amount)
        else:
            lose(tally, PLAN.cells[:amount], kind)
        progress = progress_of(tally)
        assert 0.0 <= progress.done <= 1.0
        assert progress.seconds_left >= 0.0
        assert min(tally.left.values()) >= 0
