from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan import looks
from bench.plan.looks import Spending
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
    [(1, 1.0), (4, 1.0), (5, 1 / 4), (6, 1 / 4), (7, 3 / 16), (9, 3 / 16), (10, 9 / 64), (14, 27 / 256)],
)
def test_shares_of_looks_decrease(passes, share):
    assert looks.share(passes) == pytest.approx(share)


@pytest.mark.parametrize(
    ("passes", "share"), [(1, 1.0), (5, 1.0), (6, 3 / 4), (7, 3 / 4), (8, 9 / 16), (10, 9 / 16), (14, 27 / 64)]
)
def test_the_last_look_spends_what_the_looks_before_it_left(passes, share):
    assert looks.share(passes, Spending.AT_END) == pytest.approx(share)


def test_a_run_that_is_looked_at_once_spends_all():
    assert {looks.share(passes, Spending.WHOLE) for passes in range(1, 100)} == {1.0}


@steady
@given(st.integers(1, 5000))
def test_a_run_spends_all_and_no_more_whenever_it_ends(passes):
    before = [looks.share(look) for look in range(1, passes) if looks.is_look(look)]
    assert sum(before) + looks.share(passes, Spending.AT_END) == pytest.approx(1.0)
    assert looks.share(passes) <= looks.share(passes, Spending.AT_END), "what was decided at a look stays so"


def test_of_several_looks_the_last_one_ends_the_run():
    spendings = dict(looks.spendings([5, 7, 10]))
    assert spendings == {5: Spending.AT_LOOK, 7: Spending.AT_LOOK, 10: Spending.AT_END}
    assert [looks.of_ended(False), looks.of_ended(True)] == [Spending.WHOLE, Spending.AT_END]
