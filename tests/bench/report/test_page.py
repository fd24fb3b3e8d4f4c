import pandas as pd

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
