import math
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.statistics import UNKNOWN
from bench.analyse.run.comparable import Terms
from bench.analyse.run.ranking import Pair, Timed, compare, ranks, undecided
from bench.plan.looks import Spending
from tests.bench.made import steady

CALM = (1.0, 1.001, 0.999, 1.0005, 0.9995, 1.0)
NOISY = (1.0, 1.4, 0.7, 1.2, 0.8, 1.1)
OPPOSITE = {"faster": "slower", "slower": "faster", "same": "same", "unclear": "unclear"}


def timed(key: str, seconds: float, noise=CALM, group="g", half_width: float = 0.05) -> Timed:
    """Return a cell with two rounds in each of six passes."""
    terms = Terms("cpu", "float32", "highest", 2, 2, variant=group)
    blocks = {pass_number: dict.fromkeys((1, 2), seconds * factor) for pass_number, factor in enumerate(noise)}
    return Timed(key, terms, blocks, half_width)


def ranked(*cells: Timed) -> dict[str, tuple[int, int]]:
    return ranks(cells, compare(cells))


def verdicts_of(*cells: Timed) -> dict[tuple[str, str], str]:
    return {(pair.first.key, pair.second.key): pair.verdict for pair in compare(cells)}


def test_all_pairs_within_a_group_are_compared():
    cells = [timed("a", 1.0), timed("b", 2.0), timed("c", 1.0, group="h"), timed("d", 3.0), timed("e", 1.0, group="h")]
    assert verdicts_of(*cells) == {
        ("a", "b"): "faster",
        ("a", "d"): "faster",
        ("b", "d"): "faster",
        ("c", "e"): "same",
    }


def test_ratio_is_how_many_times_faster_the_first_is():
    [pair] = compare([timed("a", 1.0), timed("b", 4.0)])
    assert pair.ratio.value == pytest.approx(4.0)
    assert verdicts_of(timed("b", 4.0), timed("a", 1.0)) == {("b", "a"): "slower"}


def test_shared_noise_does_not_hide_a_difference():
    assert verdicts_of(timed("a", 1.0, NOISY), timed("b", 1.05, NOISY)) == {("a", "b"): "faster"}
    assert verdicts_of(timed("a", 1.0, NOISY), timed("b", 1.05)) == {("a", "b"): "unclear"}


def test_larger_minimum_effect_of_a_pair_counts():
    first, second = timed("a", 1.0), timed("b", 1.05)
    effects = [(0.02, 0.02), (0.1, 0.1), (0.02, 0.1), (0.1, 0.02)]
    pairs = [[replace(first, min_effect=a), replace(second, min_effect=b)] for a, b in effects]
    assert [compare(pair)[0].verdict for pair in pairs] == ["faster", "same", "same", "same"]


def test_adaptive_ratios_have_more_confidence():
    cells = [timed("a", 1.0, NOISY), timed("b", 2.0)]
    [fixed], [adaptive_pair] = compare(cells), compare(cells, Spending.AT_LOOK)
    assert adaptive_pair.ratio.confidence > fixed.ratio.confidence


def test_different_contenders_have_different_ranks():
    assert ranked(timed("c", 3.0), timed("a", 1.0), timed("b", 2.0)) == {"a": (1, 1), "b": (2, 2), "c": (3, 3)}


def test_similar_contenders_share_ranks():
    assert ranked(timed("a", 1.0), timed("b", 1.0), timed("c", 2.0)) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    assert ranked(timed("a", 1.0), timed("b", 1.1, NOISY), timed("c", 4.0)) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}


def test_contender_between_two_others_spans_their_ranks():
    assert ranked(timed("a", 1.0), timed("x", 1.015), timed("b", 1.03)) == {"a": (1, 2), "x": (1, 3), "b": (2, 3)}


def test_lone_contender_is_first():
    assert ranked(timed("a", 1.0)) == {"a": (1, 1)}
    assert ranked() == {}


def test_contender_without_common_pass_can_have_any_rank():
    other_pass = replace(timed("x", 1.0), blocks={99: {1: 1.0}}, half_width=math.inf)
    assert ranked(timed("a", 1.0), timed("b", 2.0), other_pass) == {"a": (1, 2), "b": (2, 3), "x": (1, 3)}


def test_single_pass_leaves_all_ranks_open():
    assert ranked(timed("a", 1.0, (1.0,)), timed("b", 9.0, (1.0,))) == {"a": (1, 2), "b": (1, 2)}


names = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True)


@st.composite
def verdicts_between(draw) -> tuple[list[Timed], list[Pair]]:
    """Generate any verdicts, including contradictory ones."""
    cells = [timed(name, 1.0) for name in draw(names)]
    verdict = st.sampled_from([*OPPOSITE])
    return cells, [Pair(first, second, UNKNOWN, draw(verdict)) for first, second in combinations(cells, 2)]


@steady
@given(verdicts_between())
def test_ranks_are_ordered_and_within_range(judged):
    cells, pairs = judged
    ranked_cells = ranks(cells, pairs)
    assert set(ranked_cells) == {cell.key for cell in cells}
    assert all(1 <= best <= worst <= len(cells) for best, worst in ranked_cells.values())


@steady
@given(verdicts_between())
def test_order_within_pairs_does_not_matter(judged):
    cells, pairs = judged
    swapped = [Pair(pair.second, pair.first, UNKNOWN, OPPOSITE[pair.verdict]) for pair in pairs]
    assert ranks(cells, swapped) == ranks(cells, pairs)


@steady
@given(verdicts_between(), st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_names(judged, random):
    cells, pairs = judged
    keys = [cell.key for cell in cells]
    shuffled = list(keys)
    random.shuffle(shuffled)
    new_keys = dict(zip(keys, shuffled, strict=True))
    renamed = {cell.key: timed(new_keys[cell.key], 1.0) for cell in cells}
    renamed_ranks = ranks(
        [renamed[cell.key] for cell in cells],
        [Pair(renamed[pair.first.key], renamed[pair.second.key], UNKNOWN, pair.verdict) for pair in pairs],
    )
    assert renamed_ranks == {new_keys[key]: rank for key, rank in ranks(cells, pairs).items()}


@steady
@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_order_of_contenders_does_not_matter(steps, random):
    cells = [timed(str(index), 1.1**step) for index, step in enumerate(steps)]
    shuffled = list(cells)
    random.shuffle(shuffled)
    ranks_in_order = ranked(*cells)
    assert ranked(*shuffled) == ranks_in_order
    for index, step in enumerate(steps):  # without noise a rank is a count
        behind, ahead = sum(other_step < step for other_step in steps), sum(other_step > step for other_step in steps)
        assert ranks_in_order[str(index)] == (1 + behind, len(steps) - ahead)


def pair(verdict: str, *half_widths: float) -> Pair:
    first, second = (timed(key, 1.0, half_width=width) for key, width in zip("ab", half_widths, strict=True))
    return Pair(first, second, UNKNOWN, verdict)


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (pair("unclear", 0.02, 0.001), {"a", "b"}),
        (pair("unclear", 0.001, math.inf), {"a", "b"}),
        (pair("unclear", 0.01, 0.005), set()),
        (pair("faster", 0.5, 0.5), set()),
        (pair("same", 0.5, 0.5), set()),
    ],
)
def test_unclear_and_imprecise_pair_is_undecided(judged, expected):
    assert undecided([judged], precision=0.01) == expected


@pytest.mark.parametrize(("reach", "is_decided"), [(1.005, True), (1.02, False)])
def test_ratio_that_is_precise_is_an_answer_however_close_to_the_edge(reach, is_decided):
    first, second = timed("a", 1.0, half_width=0.2), timed("b", 1.0, half_width=0.3)
    pair = Pair(first, second, replace(UNKNOWN, value=0.98, low=0.98 / reach, high=0.98 * reach, passes=9), "unclear")
    assert (undecided([pair], precision=0.01) == set()) is is_decided


def test_a_cell_is_undecided_for_any_of_its_pairs():
    a, b, c = timed("a", 1.0), timed("b", 1.0), timed("c", 1.0)
    pairs = [Pair(a, b, UNKNOWN, "faster"), Pair(a, c, UNKNOWN, "faster"), Pair(b, c, UNKNOWN, "unclear")]
    assert undecided(pairs, precision=0.01) == {"b", "c"}
    assert undecided([], precision=0.01) == set()
