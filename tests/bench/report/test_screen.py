"""Lines and tables for screens of all kinds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.screen import LEAST_WIDTH, Screen

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
WORDS = "other processes took 0.4 % of the processors (± 3 ms)"


def table_on(screen):
    table = screen.table()
    table.add_column("name", overflow="fold", min_width=4)
    table.add_column("time", no_wrap=True, justify="right")
    table.add_row(screen.cell("a_long_name", "green"), screen.cell("1.23 ms"))
    return table


def test_lines_are_plain_without_colour():
    assert Screen().line(WORDS, "bold red") == Screen().sentence(WORDS, "green") == WORDS
    assert "\x1b" not in Screen().drawn(table_on(Screen()))


def test_lines_have_colour_where_the_screen_has():
    line = Screen(has_colour=True).line("a", "green")
    assert line.startswith("\x1b[")
    assert ESCAPE.sub("", line) == "a"
    assert "\x1b[32ma_long_name\x1b[0m" in Screen(has_colour=True).drawn(table_on(Screen(has_colour=True)))


def test_what_a_terminal_would_obey_is_an_escape():
    assert Screen(has_colour=True).line("\x1b[31ma") == "\\x1b[31ma"
    assert "\\x1b" in Screen().cell("\x1b[31ma").plain


def test_missing_characters_are_spelt_in_others():
    screen = Screen(encoding="ascii")
    assert screen.line("1–2 × 3 µs") == "1-2 x 3 us"
    assert screen.drawn(table_on(screen)).isascii()


@given(st.integers(LEAST_WIDTH, 120))
def test_sentences_are_broken_between_words(width):
    lines = Screen(width).sentence(WORDS).split("\n")
    assert all(len(line) <= width for line in lines)
    assert " ".join(line.strip() for line in lines) == WORDS
    assert not any(line.startswith(("  %", "  ms", "  3 ms")) for line in lines)


@pytest.mark.parametrize("width", [None, 100, 5])
def test_line_is_never_broken(width):
    assert Screen(width).line(WORDS) == WORDS


def test_table_is_folded_but_its_numbers_are_not():
    assert Screen().fits(table_on(Screen()))
    assert Screen().drawn(table_on(Screen())).splitlines()[1:] == ["-" * 20, "a_long_name  1.23 ms"]
    assert Screen(20).fits(table_on(Screen(20)))
    for width in (14, 3):
        narrow = Screen(width)
        assert not narrow.fits(table_on(narrow))
        lines = narrow.drawn(table_on(narrow)).splitlines()
        assert "1.23 ms" in lines[2]
        assert "".join(line.split()[0] for line in lines[2:]) == "a_long_name"
