"""The tables of columns in results/README.md are made of the columns' declarations."""

import os
from pathlib import Path

import pytest

from bench.analyse.run.columns import SAMPLES, TIMINGS
from bench.report.columns import table
from tests.bench.made import UPDATE, story

README = Path(__file__).parents[3] / "results" / "README.md"


@pytest.mark.parametrize(("name", "columns"), [("timings.csv", TIMINGS), ("samples.csv.gz", SAMPLES)])
def test_readme_has_the_table_of_columns(name, columns):
    begin, end = f"<!-- columns of {name} -->\n\n", f"\n\n<!-- end of {name} -->"
    before, _, rest = README.read_text(encoding="utf-8").partition(begin)
    shown, _, after = rest.partition(end)
    if os.environ.get(UPDATE) == "1":
        shown = table(columns)
        README.write_text(before + begin + shown + end + after, encoding="utf-8")
    assert shown == table(columns), f"results/README.md is out of date; {UPDATE}=1 rewrites it"


@pytest.mark.parametrize("columns", [TIMINGS, SAMPLES])
def test_every_column_has_a_meaning(columns):
    assert all(column.meaning for column in columns)
    assert len({column.name for column in columns}) == len(columns)


def test_columns_hold_only_their_listed_values():
    timings = story().run().timings
    for column in (column for column in TIMINGS if column.values):
        assert set(timings[column.name].dropna()) <= set(column.values)
