"""Texts of any kind on one line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.measure.worker.one_line import MOST_CHARACTERS, one_line
from tests.bench.made import steady


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("  as it is ", "as it is"),
        ("first\nsecond\r\nthird\rfourth\u2028fifth\x0bsixth", "first second third fourth fifth sixth"),
        ("a\tb    c", "a b c"),
        ("\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        ("null \x00, bell \x07, delete \x7f", "null \\x00, bell \\x07, delete \\x7f"),
        ("turned \u202e around", "turned \\u202e around"),
        ("half \udc80", "half \\udc80"),
        ("µ × ± | ` é 漢", "µ × ± | ` é 漢"),
    ],
)
def test_words_are_kept_on_one_line(text, line):
    assert one_line(text) == line


def test_long_text_keeps_its_beginning_and_end():
    line = one_line("what happened " + "x" * 10_000 + " where", most=60)
    assert len(line) <= 60
    assert line.startswith("what happened xxx")
    assert " … " in line
    assert line.endswith("xxx where")


@steady
@given(st.text(st.characters(), max_size=3 * MOST_CHARACTERS))
@example("\x1b\x1b[0m[0m")
@example("\x00" * MOST_CHARACTERS)
def test_any_text_becomes_one_printable_line(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= MOST_CHARACTERS
    assert one_line(line) == line
    line.encode("utf-8")
