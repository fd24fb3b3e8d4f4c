from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import looks
from tests.bench.made import steady


def test_looks_start_at_5_passes_and_grow_apart():
    first = list(islice(looks.looks(), 9))
    assert first == [5, 7, 10, 14, 19, 27, 38, 53, 74]
    assert first[0] == looks.FIRST


def test_is_look_agrees_with_looks():
    few = set(islice(looks.looks(), 12))
    assert [passes for passes in range(1, 200) if looks.is_look(passes)] == sorted(few & set(range(200)))


def test_no_look_comes_before_the_first():
    assert not any(looks.is_look(passes) for passes in range(1, looks.FIRST))


@pytest.mark.parametrize(
    ("passes", "share"),
    [(1, 1.0), (4, 1.0), (5, 1 / 2), (6, 1 / 2), (7, 1 / 6), (9, 1 / 6), (10, 1 / 12), (14, 1 / 20), (19, 1 / 30)],
)
def test_shares_of_looks_decrease(passes, share):
    assert looks.share(passes) == pytest.approx(share)


def test_shares_sum_to_less_than_one():
    spent = [looks.share(passes) for passes in islice(looks.looks(), 25)]
    assert sum(spent) == pytest.approx(1 - 1 / 26)


@steady
@given(st.integers(5, 5000))
def test_a_run_ending_between_looks_spends_at_most_one(passes):
    earlier = [looks.share(look) for look in range(1, passes) if looks.is_look(look)]
    assert sum(earlier) + looks.share(passes) <= 1 + 1e-12
