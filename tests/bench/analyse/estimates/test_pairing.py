"""Tests of ratios paired within rounds."""

from __future__ import annotations

from math import exp, log
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.estimates import pairing
from bench.analyse.estimates.pairing import paired
from bench.analyse.estimates.statistics import UNKNOWN, confidence_after, estimate, median_error
from bench.plan.looks import Spending
from tests.bench.made import steady

SECONDS = st.floats(0.1, 10)
BLOCKS = st.dictionaries(st.integers(1, 8), st.dictionaries(st.integers(1, 5), SECONDS, max_size=5), max_size=8)


def by_the_formula(bases, others, spending):
    """The ratio of one pair, a pass and a round after the other."""
    ratios, within = [], []
    for number in sorted(bases.keys() & others.keys()):
        logs = [
            log(bases[number][each] / others[number][each]) for each in bases[number].keys() & others[number].keys()
        ]
        if logs:
            ratios.append(exp(median(logs)))
            within.append(median_error(logs))
    return estimate(ratios, within, confidence_after(len(ratios), spending))


def same(ratio, expected):
    """Whether two estimates agree in every bit."""
    return repr((ratio, ratio.deviations)) == repr((expected, expected.deviations))


@steady
@given(st.lists(st.tuples(BLOCKS, BLOCKS), max_size=5), st.sampled_from(Spending))
def test_many_pairs_are_paired_like_each_alone(pairs, spending):
    ratios = paired(pairs, spending)
    assert all(same(ratio, by_the_formula(*pair, spending)) for ratio, pair in zip(ratios, pairs, strict=True))


def test_pairs_that_are_too_many_at_once_are_paired_in_parts(monkeypatch):
    cells = [{1: {1: 1.0 + cell, 2: 2.0}, 2: {1: 3.0}} for cell in range(5)]
    pairs = [(first, second) for first in cells for second in cells]
    at_once = paired(pairs)
    monkeypatch.setattr(pairing, "MOST_AT_ONCE", 12)
    assert [*map(repr, paired(pairs))] == [*map(repr, at_once)]


def test_passes_and_rounds_of_both_are_used():
    bases = {1: {1: 2.0, 2: 4.0, 3: 9.0}, 2: {1: 2.0}, 3: {1: 8.0}, 4: {1: 2.0}}
    others = {1: {1: 1.0, 2: 2.0}, 2: {1: 1.0, 2: 77.0}, 4: {2: 1.0}, 5: {1: 1.0}}
    (ratio,) = paired([(bases, others)])
    assert (ratio.value, ratio.low, ratio.high, ratio.passes) == (2.0, 2.0, 2.0, 2)


def test_ratio_without_common_rounds_is_unknown():
    assert paired([({1: {1: 1.0}}, {1: {2: 1.0}, 2: {1: 1.0}})]) == [UNKNOWN]
    assert paired([({}, {})]) == [UNKNOWN]
    assert paired([]) == []


@steady
@given(st.lists(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=4), max_size=7))
def test_swapped_ratio_is_the_inverse(times):
    first = {p: {r: pair[0] for r, pair in enumerate(row)} for p, row in enumerate(times)}
    second = {p: {r: pair[1] for r, pair in enumerate(row)} for p, row in enumerate(times)}
    ratio, inverse = paired([(first, second), (second, first)])
    expected = [1 / inverse.value, 1 / inverse.high, 1 / inverse.low]
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx(expected, rel=1e-6, nan_ok=True)
