import re
from dataclasses import replace
from itertools import groupby

import pytest

from bench.measure.records import Block, RunEnded
from bench.plan.cells import Cell, Contender
from bench.report import markdown
from tests.bench.made import (
    CUPY,
    LARGE,
    NUMPY,
    SMALL,
    TORCH,
    Outcome,
    Story,
    plan_of_cells,
    records,
    same_as_golden,
    story,
)

MANY = [
    Contender(name, "cpu", dtype, threads)
    for name in ("numpy", "jax")
    for dtype in ("float32", "float64")
    for threads in (1, 2)
]
EVERY_SECTION = [
    "Fastest",
    "Step time",
    "Speed-up over numpy",
    "What it costs to get there",
    "Threads",
    "What failed, and why",
    "What was asked",
    "Machine and versions",
    "How it was measured",
]


def page(**others) -> str:
    return markdown.report(records(**others))


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def tables_of(text: str) -> list[list[str]]:
    """The lines of each table."""
    grouped = groupby(text.splitlines(), key=lambda line: line.startswith("|"))
    return [list(lines) for is_table, lines in grouped if is_table]


def columns(line: str) -> int:
    """Separators that GitHub sees: those that are not escaped."""
    return len(re.findall(r"(?<!\\)\|", line))


def test_the_report_is_the_golden_one():
    assert same_as_golden("report.md", page())


def test_the_same_journal_gives_the_same_page():
    assert page() == page()


def test_a_page_has_every_section_that_has_something_to_say():
    assert sections(page()) == EVERY_SECTION


def test_the_title_says_which_run_on_what_and_how_it_came_out():
    text = page()
    assert text.startswith(f"# relubench: {story().name}\n")
    assert "Grid `made` on Model Processor, 2 processors: 12 cells (6 ok, 4 unavailable, 2 wrong)." in text


@pytest.mark.parametrize(
    "told",
    [
        story(),
        story(passes=1, complete=False),
        story(passes=0, complete=False),
        Story(plan_of_cells((NUMPY, CUPY))),
        Story(plan_of_cells((TORCH,), phases=("forward",))),
        Story(plan_of_cells(MANY)),
    ],
    ids=["whole", "one pass", "nothing", "accelerator", "no baseline", "dtypes and threads"],
)
def test_every_table_is_well_formed(told):
    for lines in tables_of(markdown.report(told.records())):
        assert len({columns(line) for line in lines}) == 1
        assert len(lines) >= 3
        assert re.fullmatch(r"\|(:?-+:?\|)+", lines[1])


def test_a_reason_with_a_bar_does_not_break_its_table():
    failed = section(page(), "What failed, and why")
    assert r"off by \|a - b\| = 0.25" in failed
    assert {columns(line) for lines in tables_of(failed) for line in lines} == {5}


def test_options_with_a_bar_do_not_break_their_table():
    told = records()
    told[0] = replace(told[0], options=["bench/", "-k", "numpy|torch"])
    asked = section(markdown.report(told), "What was asked")
    assert {columns(line) for lines in tables_of(asked) for line in lines} == {3}
    assert r"numpy\|torch" in asked


def test_a_run_that_was_cut_off_says_so_and_how_to_go_on():
    text = page(passes=2, complete=False)
    assert "**This run was cut off.**" in text
    assert f"`pytest bench/ --benchmark-only --resume {story().name}`" in text
    assert "cut off" not in page()


def test_a_run_that_was_stopped_was_cut_off_too():
    told = [replace(record, complete=False) if isinstance(record, RunEnded) else record for record in records()]
    assert "**This run was cut off.**" in markdown.report(told)


def test_a_run_without_a_single_time_is_still_a_page():
    text = page(passes=0, complete=False)
    assert sections(text) == [
        "What failed, and why",
        "What was asked",
        "Machine and versions",
        "How it was measured",
    ]
    assert "12 cells (12 not_run)" in text


def test_the_fastest_is_named_alone_where_the_others_are_slower():
    found = section(page(), "Fastest")
    assert re.search(r"N=64 D_in=1000 H=100 +\| \*\*torch\*\* [\d.]+ µs +\| \*\*torch\*\* [\d.]+ µs +\|", found)
    assert re.search(r"N=512 D_in=1000 H=100 +\| \*\*numpy\*\*", found)


def test_whoever_cannot_be_told_apart_from_the_fastest_is_named_with_it():
    noise = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}
    told = Story(
        plan_of_cells(),
        seconds=lambda cell, passage: 1e-3 * (noise[passage] if cell.contender == TORCH else 0.99),
    )
    assert re.search(r"\*\*numpy\*\* 990 µs \(or torch\)", section(markdown.report(told.records()), "Fastest"))


def test_from_one_pass_nobody_can_be_told_apart():
    found = section(markdown.report(Story(plan_of_cells(passes=1)).records()), "Fastest")
    assert "**torch**" in found
    assert "(or numpy)" in found


def test_each_dtype_has_its_own_fastest():
    contenders = [Contender(name, "cpu", dtype) for dtype in ("float32", "float64") for name in ("numpy", "torch")]
    found = section(markdown.report(Story(plan_of_cells(contenders)).records()), "Fastest")
    assert "**torch, float32**" in found
    assert "<br>**torch, float64**" in found


@pytest.mark.parametrize(("factor", "mark"), [(2.0, "▲ 2.00×"), (0.5, "▼ 0.50×"), (1.0, "= 1.00×")])
def test_a_speed_up_has_its_verdict_s_mark(factor, mark):
    told = Story(plan_of_cells(), seconds=lambda cell, passage: 1e-3 / (factor if cell.contender == TORCH else 1))
    assert mark in section(markdown.report(told.records()), "Speed-up over numpy")


def test_without_a_step_the_first_phase_is_shown():
    text = markdown.report(Story(plan_of_cells(phases=("update", "forward"))).records())
    assert "## Update time" in text
    assert "## Step time" not in text


def test_a_thread_limit_that_did_not_hold_is_told():
    torch = Contender("torch", "cpu", "float32", 1)
    text = markdown.report(Story(plan_of_cells((torch,)), busy={torch: 1.9}).records())
    assert "asked to use 1 threads, it kept 1.9 busy" in section(text, "What failed, and why")
    assert re.search(r"torch-cpu-float32 +\| 1 +\| 1.90", section(text, "Threads"))


def test_an_accelerator_is_named():
    text = markdown.report(Story(plan_of_cells((NUMPY, CUPY))).records())
    assert "on Model Processor, 2 processors, Model Accelerator: 2 cells (2 ok)." in text
    assert re.search(r"accelerators +\| Model Accelerator", text)


def test_nothing_failed_where_everything_is_ok():
    assert "What failed, and why" not in sections(markdown.report(Story(plan_of_cells()).records()))


def test_a_failure_is_counted_in_cells():
    found = section(page(), "What failed, and why")
    assert re.search(r"\| cupy +\| unavailable +\| CuPy is .* \| 4 +\|", found)
    assert re.search(r"\| torch +\| wrong +\| w1 .* \| 2 +\|", found)


def test_where_the_time_went_adds_up_to_the_whole_run():
    told = records()
    spent = markdown.breakdown(told)
    assert spent["whole run"] == 60.0
    assert sum(seconds for what, seconds in spent.items() if what != "whole run") == pytest.approx(60.0)
    blocks = [record for record in told if isinstance(record, Block)]
    assert spent["timed"] == pytest.approx(sum(sum(block.seconds) * block.inner for block in blocks))
    assert spent["imports"] == pytest.approx(0.5 * 2 * 5)
    assert spent["failing"] == pytest.approx(0.125 * 2)


def test_a_cell_that_fails_late_is_told_among_the_failures_alone():
    lost = Cell(TORCH, SMALL, "step")
    told = Story(plan_of_cells(shapes=(SMALL, LARGE)), outcomes={lost: Outcome("timeout", "too slow", passage=3)})
    text = markdown.report(told.records())
    assert re.search(r"\| torch +\| timeout +\| too slow +\| 1 +\|", text)
    assert re.search(r"\| torch +\| — +\| [\d.]+ ms", section(text, "Step time"))
