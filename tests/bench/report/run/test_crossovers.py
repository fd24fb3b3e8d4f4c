import re

import pytest

from bench.plan.cells import Contender, Shape
from bench.report.run import crossovers
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells

JAX = Contender("jax", "cpu", "float32")
FACTORS = {"numpy": lambda N: 1.0, "torch": lambda N: (N / 200) ** -0.3, "jax": lambda N: 1.5}
JITTER = {"numpy": (1, 1, 1, 1, 1), "torch": (1, 1.01, 0.99, 1.004, 0.996), "jax": (1.01, 1, 1, 0.99, 1)}
ALONG_N = [Shape(N, 1000, 100) for N in (64, 512)]


def told(contenders=(NUMPY, TORCH, JAX), shapes=ALONG_N, **others):
    def seconds(cell, pass_number):
        name = cell.contender.implementation
        return 1e-6 * cell.shape.N * FACTORS[name](cell.shape.N) * JITTER[name][pass_number - 1]

    return Story(plan_of_cells(contenders, shapes, **others), seconds).run()


def test_who_overtakes_whom_is_a_row_and_the_rest_a_line():
    text = crossovers.section(told())
    assert text.startswith("## Where the winner changes\n")
    assert "### Along N, 64 to 512" in text
    assert re.search(r"\| torch +\| numpy +\| 200 \[1\d\d, 2\d\d\] +\|", text)
    assert "- always slower: jax" in text


def test_an_axis_with_one_size_is_not_mentioned():
    assert "Along H" not in crossovers.section(told())


@pytest.mark.parametrize("made", [told(shapes=ALONG_N[:1]), told(passes=0)], ids=["one shape", "no pass"])
def test_with_nothing_to_compare_there_is_no_section(made):
    assert crossovers.section(made) == ""
    assert crossovers.terminal_lines(made) == []


def test_a_contender_s_other_settings_are_named_where_there_are_several():
    shapes = [Shape(N, D_in, 100) for N in (64, 512) for D_in in (1000, 2000, 4000)]
    text = crossovers.section(told(shapes=shapes))
    assert re.search(r"\(D_in=1000 H=100\)<br>200 \[.*\] \(D_in=2000 H=100\)<br>and 1 more", text)
    assert "- always slower: jax\n" in text


def test_without_a_baseline_pairs_still_change_places():
    text = crossovers.section(told(baseline="cupy"))
    assert "torch" in text
    assert "Against" not in text


def test_the_baseline_may_be_the_one_that_is_always_faster():
    assert "- always slower: jax" in crossovers.section(told((JAX, NUMPY)))
    assert "- always faster: numpy" in crossovers.section(told((JAX, NUMPY), baseline="jax"))


def test_from_one_pass_it_cannot_tell():
    assert "- cannot tell: torch, jax" in crossovers.section(told(passes=1))


def test_a_terminal_has_a_sentence_for_each_change():
    (line,) = crossovers.terminal_lines(told())
    assert re.fullmatch(r"torch overtakes numpy in step at N = 200 \[1\d\d, 2\d\d\]", line)


def test_a_terminal_has_four_lines_at_most():
    contenders = [Contender(name, "cpu", "float32", threads) for threads in range(1, 8) for name in ("numpy", "torch")]
    lines = crossovers.terminal_lines(told(contenders))
    assert len(lines) == 4
    assert lines[-1] == "and 4 more pairs change places: see the report"
