import pandas as pd
import pytest

from bench.report import page


def test_a_table_has_its_cells_as_they_are():
    text = page.table(pd.DataFrame({"name": ["a", "b"], "number": ["1.50", "007"]}))
    head, rule, *lines = text.splitlines()
    assert [part.strip() for part in head.strip("|").split("|")] == ["name", "number"]
    assert set(rule) <= set("|:-")
    assert [[part.strip() for part in line.strip("|").split("|")] for line in lines] == [["a", "1.50"], ["b", "007"]]


def test_facts_are_what_and_its_value_and_a_bar_in_one_is_escaped():
    text = page.facts({"seed": 7, "options": "-k a|b"})
    assert "| what    | value" in text
    assert r"-k a\|b" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b [5.2, 9.0]", "a_b [5.2, 9.0]"),
        ("[x](http://a)", "[x\\](http://a)"),
        ("![x][y]", "![x\\][y]"),
        ("<b> &lt; a & b", "&lt;b> &amp;lt; a & b"),
        ("a|b`c`\\", "a\\|b\\`c\\`\\\\"),
    ],
)
def test_other_people_s_words_are_shown_as_they_are(text, expected):
    assert page.escaped(text) == expected


@pytest.mark.parametrize("text", ["a`b", "`", "<b>", "a\\|b"])
def test_what_could_end_code_or_its_cell_is_shown_as_words(text):
    assert page.code(text) == page.escaped(text)
    assert page.code("numpy") == "`numpy`"


def test_a_sentence_s_code_stays_code():
    assert page.sentence("`a` of <b>") == "`a` of &lt;b>"
