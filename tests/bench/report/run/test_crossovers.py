import re

import pytest

from bench.plan.cells import Contender, Shape
from bench.report.run import crossovers
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells

JAX = Contender("jax", "cpu", "float32")
FACTORS = {"numpy": lambda N: 1.0, "torch": lambda N: (N / 200) ** -0.3, "jax": lambda N: 1.5}
JITTER = {"numpy": (1, 1, 1, 1, 1), "torch": (1, 1.01, 0.99, 1.004, 0.996), "jax": (1.01, 1, 1, 0.99, 1)}
ALONG_N = [Shape(N, 1000, 100) for N in (64, 512)]


def run_of(contenders=(NUMPY, TORCH, JAX), shapes=ALONG_N, **others):
    def seconds(cell, pass_number):
        name = cell.contender.implementation
        return 1e-6 * cell.shape.N * FACTORS[name](cell.shape.N) * JITTER[name][pass_number - 1]

    return Story(plan_of_cells(contenders, shapes, **others), seconds).run()


def test_crossovers_are_rows_and_other_pairs_lines():
    text = crossovers.section(run_of())
    assert text.startswith("## Where the winner changes\n")
    assert "### Along N, 64 to 512" in text
    assert re.search(r"\| torch +\| numpy +\| 200 \[1\d\d, 2\d\d\] +\|", text)
    assert "- always slower: jax" in text


def test_axis_with_one_size_is_left_out():
    assert "Along H" not in crossovers.section(run_of())


@pytest.mark.parametrize("run", [run_of(shapes=ALONG_N[:1]), run_of(passes=0)], ids=["one shape", "no pass"])
def test_without_two_sizes_or_times_there_is_no_section(run):
    assert crossovers.section(run) == ""
    assert crossovers.terminal_lines(run) == []


def test_crossovers_name_their_other_sizes():
    shapes = [Shape(N, D_in, 100) for N in (64, 512) for D_in in (1000, 2000, 4000)]
    text = crossovers.section(run_of(shapes=shapes))
    assert re.search(r"\(D_in=1000 H=100\)<br>200 \[.*\] \(D_in=2000 H=100\)<br>and 1 more", text)
    assert "- always slower: jax\n" in text


def test_crossovers_do_not_need_the_baseline():
    text = crossovers.section(run_of(baseline="cupy"))
    assert "torch" in text
    assert "Against" not in text


def test_baseline_may_be_always_faster():
    assert "- always slower: jax" in crossovers.section(run_of((JAX, NUMPY)))
    assert "- always faster: numpy" in crossovers.section(run_of((JAX, NUMPY), baseline="jax"))


def test_single_pass_cannot_tell():
    assert "- cannot tell: torch, jax" in crossovers.section(run_of(passes=1))


def test_terminal_has_one_sentence_per_crossover():
    (line,) = crossovers.terminal_lines(run_of())
    assert re.fullmatch(r"torch overtakes numpy in step at N = 200 \[1\d\d, 2\d\d\]", line)


def test_terminal_has_at_most_four_lines():
    contenders = [Contender(name, "cpu", "float32", threads) for threads in range(1, 8) for name in ("numpy", "torch")]
    lines = crossovers.terminal_lines(run_of(contenders))
    assert len(lines) == 4
    assert lines[-1] == "and 4 more pairs change places: see the report"
