import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates.statistics import UNKNOWN
from bench.analyse.run.comparable import Terms
from bench.analyse.run.ranking import Pair, Timed, compare, ranks, undecided
from tests.bench.made import steady

CALM = (1.0, 1.001, 0.999, 1.0005, 0.9995, 1.0)
WILD = (1.0, 1.4, 0.7, 1.2, 0.8, 1.1)
TURNED = {"faster": "slower", "slower": "faster", "same": "same", "unclear": "unclear"}


def timed(key: str, seconds: float, weather=CALM, group="g", half_width: float = 0.05) -> Timed:
    """With two rounds in each of six passes."""
    terms = Terms("cpu", "float32", "highest", 2, 2, variant=group)
    return Timed(key, terms, {p: {1: seconds * w, 2: seconds * w} for p, w in enumerate(weather)}, half_width)


def ranked(*some: Timed) -> dict[str, tuple[int, int]]:
    return ranks(some, compare(some))


def verdicts_of(*some: Timed) -> dict[tuple[str, str], str]:
    return {(pair.first.key, pair.second.key): pair.verdict for pair in compare(some)}


def test_every_two_of_a_group_are_compared_and_of_different_groups_none():
    some = [timed("a", 1.0), timed("b", 2.0), timed("c", 1.0, group="h"), timed("d", 3.0), timed("e", 1.0, group="h")]
    assert verdicts_of(*some) == {
        ("a", "b"): "faster",
        ("a", "d"): "faster",
        ("b", "d"): "faster",
        ("c", "e"): "same",
    }


def test_a_pair_s_ratio_is_how_many_times_faster_the_first_is():
    [pair] = compare([timed("a", 1.0), timed("b", 4.0)])
    assert pair.ratio.value == pytest.approx(4.0)
    assert verdicts_of(timed("b", 4.0), timed("a", 1.0)) == {("b", "a"): "slower"}


def test_weather_that_both_have_does_not_hide_a_difference():
    assert verdicts_of(timed("a", 1.0, WILD), timed("b", 1.05, WILD)) == {("a", "b"): "faster"}
    assert verdicts_of(timed("a", 1.0, WILD), timed("b", 1.05)) == {("a", "b"): "unclear"}


def test_a_minimum_effect_that_is_asked_for_is_heeded():
    one, other = timed("a", 1.0), timed("b", 1.05)
    asked = [(0.02, 0.02), (0.1, 0.1), (0.02, 0.1), (0.1, 0.02)]
    pairs = [[replace(one, min_effect=mine), replace(other, min_effect=theirs)] for mine, theirs in asked]
    assert [compare(two)[0].verdict for two in pairs] == ["faster", "same", "same", "same"]


def test_an_adaptive_run_s_ratios_have_more_confidence():
    two = [timed("a", 1.0, WILD), timed("b", 2.0)]
    [once], [often] = compare(two), compare(two, adaptive=True)
    assert often.ratio.confidence > once.ratio.confidence


def test_contenders_that_are_told_apart_have_ranks_of_their_own():
    assert ranked(timed("c", 3.0), timed("a", 1.0), timed("b", 2.0)) == {"a": (1, 1), "b": (2, 2), "c": (3, 3)}


def test_contenders_that_cannot_be_told_apart_share_their_ranks():
    assert ranked(timed("a", 1.0), timed("b", 1.0), timed("c", 2.0)) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    assert ranked(timed("a", 1.0), timed("b", 1.1, WILD), timed("c", 4.0)) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}


def test_who_is_like_both_of_two_that_differ_spans_the_ranks_of_both():
    assert ranked(timed("a", 1.0), timed("x", 1.015), timed("b", 1.03)) == {"a": (1, 2), "x": (1, 3), "b": (2, 3)}


def test_a_contender_alone_is_first():
    assert ranked(timed("a", 1.0)) == {"a": (1, 1)}
    assert ranked() == {}


def test_who_shares_no_pass_with_the_others_may_have_any_rank():
    elsewhere = replace(timed("x", 1.0), blocks={99: {1: 1.0}}, half_width=math.inf)
    assert ranked(timed("a", 1.0), timed("b", 2.0), elsewhere) == {"a": (1, 2), "b": (2, 3), "x": (1, 3)}


def test_from_a_single_pass_no_one_is_behind():
    assert ranked(timed("a", 1.0, (1.0,)), timed("b", 9.0, (1.0,))) == {"a": (1, 2), "b": (1, 2)}


names = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True)


@st.composite
def verdicts_between(draw) -> tuple[list[Timed], list[Pair]]:
    """Any verdicts, also such as contradict each other."""
    some = [timed(name, 1.0) for name in draw(names)]
    told = st.sampled_from([*TURNED])
    return some, [Pair(one, two, UNKNOWN, draw(told)) for at, one in enumerate(some) for two in some[at + 1 :]]


@steady
@given(verdicts_between())
def test_the_best_rank_is_no_worse_than_the_worst_and_both_are_among_the_contenders(found):
    some, pairs = found
    told = ranks(some, pairs)
    assert set(told) == {one.key for one in some}
    assert all(1 <= best <= worst <= len(some) for best, worst in told.values())


@steady
@given(verdicts_between())
def test_it_does_not_matter_which_of_a_pair_is_the_first(found):
    some, pairs = found
    turned = [Pair(pair.second, pair.first, UNKNOWN, TURNED[pair.verdict]) for pair in pairs]
    assert ranks(some, turned) == ranks(some, pairs)


@steady
@given(verdicts_between(), st.randoms(use_true_random=False))
def test_other_names_for_the_same_contenders_only_rename_the_ranks(found, random):
    some, pairs = found
    keys = [one.key for one in some]
    shuffled = list(keys)
    random.shuffle(shuffled)
    other = dict(zip(keys, shuffled, strict=True))
    renamed = {one.key: timed(other[one.key], 1.0) for one in some}
    told = ranks(
        [renamed[one.key] for one in some],
        [Pair(renamed[pair.first.key], renamed[pair.second.key], UNKNOWN, pair.verdict) for pair in pairs],
    )
    assert told == {other[key]: rank for key, rank in ranks(some, pairs).items()}


@steady
@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_the_contenders_does_not_matter(steps, random):
    some = [timed(str(place), 1.1**step) for place, step in enumerate(steps)]
    shuffled = list(some)
    random.shuffle(shuffled)
    told = ranked(*some)
    assert ranked(*shuffled) == told
    for place, step in enumerate(steps):  # without noise a rank is a count
        behind, ahead = sum(other < step for other in steps), sum(other > step for other in steps)
        assert told[str(place)] == (1 + behind, len(steps) - ahead)


def pair(verdict: str, one: float, other: float) -> Pair:
    return Pair(timed("a", 1.0, half_width=one), timed("b", 1.0, half_width=other), UNKNOWN, verdict)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (pair("unclear", 0.02, 0.001), {"a", "b"}),
        (pair("unclear", 0.001, math.inf), {"a", "b"}),
        (pair("unclear", 0.01, 0.005), set()),
        (pair("faster", 0.5, 0.5), set()),
        (pair("same", 0.5, 0.5), set()),
    ],
)
def test_a_pair_is_undecided_while_it_is_unclear_and_either_time_is_not_precise(told, expected):
    assert undecided([told], precision=0.01) == expected


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
