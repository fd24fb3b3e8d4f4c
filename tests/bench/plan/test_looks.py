from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import looks
from tests.bench.made import steady


def test_the_looks_are_after_5_passes_and_then_ever_further_apart():
    first = list(islice(looks.looks(), 9))
    assert first == [5, 7, 10, 14, 19, 27, 38, 53, 74]
    assert first[0] == looks.FIRST


def test_only_those_are_looks():
    few = set(islice(looks.looks(), 12))
    assert [passes for passes in range(1, 200) if looks.is_look(passes)] == sorted(few & set(range(200)))


def test_nothing_is_a_look_before_there_is_a_pass():
    assert not any(looks.is_look(passes) for passes in range(1, looks.FIRST))


@pytest.mark.parametrize(
    ("passes", "share"),
    [(1, 1.0), (4, 1.0), (5, 1 / 2), (6, 1 / 2), (7, 1 / 6), (9, 1 / 6), (10, 1 / 12), (14, 1 / 20), (19, 1 / 30)],
)
def test_each_look_may_spend_less_than_the_one_before(passes, share):
    assert looks.share(passes) == pytest.approx(share)


def test_the_shares_of_any_number_of_looks_are_no_more_than_the_whole():
    spent = [looks.share(passes) for passes in islice(looks.looks(), 25)]
    assert sum(spent) == pytest.approx(1 - 1 / 26)


@steady
@given(st.integers(5, 5000))
def test_a_run_that_ends_between_two_looks_has_not_spent_more_than_the_whole(passes):
    before = [looks.share(at) for at in range(1, passes) if looks.is_look(at)]
    assert sum(before) + looks.share(passes) <= 1 + 1e-12
