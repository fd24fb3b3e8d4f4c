"""The table that is shown while a run goes on: when, and that nothing is lost where it fails."""

from __future__ import annotations

import pytest

from bench.glue.interim import Interim
from bench.measure.progress import Progress


def blocks(places, seconds_left):
    """Return the progress before blocks of (pass, shape)."""
    return [Progress(number, None, "step", shape, "numpy-cpu-float32", 0.0, seconds_left) for number, shape in places]


def shown_before(places, table=lambda: "a table", seconds_left=60.0):
    """Return the number of tables shown before each block, and their texts."""
    texts, counts, passed_on = [], [], []
    interim = Interim(passed_on.append, lambda make: texts.append(make()), table, "A")
    for progress in blocks(places, seconds_left):
        interim(progress)
        counts.append(len(texts))
    assert passed_on == blocks(places, seconds_left)
    return counts, texts


def test_the_first_table_comes_when_the_first_shape_was_visited():
    assert shown_before([(1, "A"), (1, "A"), (1, "B"), (1, "B"), (1, "C")])[0] == [0, 0, 1, 1, 1]


def test_another_comes_with_each_pass_and_none_when_the_shape_is_visited_again():
    places = [(1, "A"), (1, "B"), (2, "B"), (2, "A"), (2, "B"), (3, "A")]
    assert shown_before(places)[0] == [0, 1, 2, 2, 2, 3]


def test_a_run_of_one_shape_shows_one_after_its_first_pass():
    assert shown_before([(1, "A"), (1, "A"), (2, "A"), (3, "A")])[0] == [0, 0, 1, 2]


def test_a_run_that_ends_soon_shows_none():
    assert shown_before([(1, "A"), (1, "B"), (2, "A")], seconds_left=10.0)[0] == [0, 0, 0]


def test_an_error_is_shown_once_and_progress_goes_on():
    def fails():
        raise ZeroDivisionError("of something")

    counts, texts = shown_before([(1, "A"), (1, "B"), (2, "A"), (3, "A")], fails)
    assert counts == [0, 1, 1, 1]
    assert "ZeroDivisionError" in texts[0]
    assert "\n" not in texts[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_not_swallowed(error):
    def interrupted():
        raise error

    with pytest.raises(error):
        shown_before([(1, "A"), (1, "B")], interrupted)
