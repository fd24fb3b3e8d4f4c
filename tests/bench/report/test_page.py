import pandas as pd
import pytest

from bench.report import page


def test_table_does_not_change_its_cells():
    text = page.table(pd.DataFrame({"name": ["a", "b"], "number": ["1.50", "007"]}))
    head, rule, *lines = text.splitlines()
    assert [part.strip() for part in head.strip("|").split("|")] == ["name", "number"]
    assert set(rule) <= set("|:-")
    assert [[part.strip() for part in line.strip("|").split("|")] for line in lines] == [["a", "1.50"], ["b", "007"]]


def test_facts_escape_bars():
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
def test_escaped_words_are_no_markdown(text, expected):
    assert page.escaped(text) == expected


@pytest.mark.parametrize("text", ["a`b", "`", "<b>", "a\\|b"])
def test_code_without_marks_where_they_could_end_early(text):
    assert page.code(text) == page.escaped(text)
    assert page.code("numpy") == "`numpy`"


def test_sentence_keeps_its_code():
    assert page.sentence("`a` of <b>") == "`a` of &lt;b>"
