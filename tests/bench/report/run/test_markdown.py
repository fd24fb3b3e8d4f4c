import re
from dataclasses import replace
from itertools import groupby

import pytest

from bench.analyse.run.run import Run
from bench.measure.records import Block, Reference, RunEnded
from bench.plan.cells import Cell, Contender
from bench.report.run import markdown
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
    "How far to trust it",
    "Start-up and break-even",
    "Threads",
    "What failed, and why",
    "Settings",
    "Machine and versions",
    "How it was measured",
]


def page(**others) -> str:
    return markdown.report(Run.of(records(**others)))


def sections(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def tables_of(text: str) -> list[list[str]]:
    """The tables of a page, as lists of lines."""
    grouped = groupby(text.splitlines(), key=lambda line: line.startswith("|"))
    return [list(lines) for is_table, lines in grouped if is_table]


def columns(line: str) -> int:
    """The number of separators that GitHub sees: those that are not escaped."""
    return len(re.findall(r"(?<!\\)\|", line))


def test_report_is_the_golden_one():
    assert same_as_golden("report.md", page())


def test_same_journal_gives_the_same_page():
    assert page() == page()


def test_page_has_every_section():
    assert sections(page()) == EVERY_SECTION


def test_title_has_run_machine_and_outcome():
    text = page()
    assert text.startswith(f"# relubench: {story().name}\n")
    assert "Grid `made` on Model Processor, 2 processors: 12 cells (6 ok, 4 unavailable, 2 wrong)." in text


@pytest.mark.parametrize(
    "story",
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
def test_tables_are_well_formed(story):
    for lines in tables_of(markdown.report(story.run())):
        assert len({columns(line) for line in lines}) == 1
        assert len(lines) >= 3
        assert re.fullmatch(r"\|(:?-+:?\|)+", lines[1])


def test_bar_in_a_reason_is_escaped():
    failed = section(page(), "What failed, and why")
    assert r"off by \|a - b\| = 0.25" in failed
    assert {columns(line) for lines in tables_of(failed) for line in lines} == {5}


def test_bar_in_options_is_escaped():
    run_records = records()
    run_records[0] = replace(run_records[0], options=["bench/", "-k", "numpy|torch"])
    settings = section(markdown.report(Run.of(run_records)), "Settings")
    assert {columns(line) for lines in tables_of(settings) for line in lines} == {3}
    assert r"numpy\|torch" in settings


def test_run_that_was_cut_off_says_how_to_resume():
    text = page(passes=2, complete=False)
    assert "**This run was cut off.**" in text
    assert f"`pytest bench/ --benchmark-only --resume {story().name}`" in text
    assert "cut off" not in page()


def test_stopped_run_was_cut_off():
    run_records = [replace(record, complete=False) if isinstance(record, RunEnded) else record for record in records()]
    assert "**This run was cut off.**" in markdown.report(Run.of(run_records))


def test_run_without_times_has_a_page():
    text = page(passes=0, complete=False)
    assert sections(text) == [
        "How far to trust it",
        "What failed, and why",
        "Settings",
        "Machine and versions",
        "How it was measured",
    ]
    assert "12 cells (12 not_run)" in text


def test_fastest_is_alone_in_its_line():
    fastest = section(page(), "Fastest")
    line = r"1 \*\*torch\*\* [\d.]+ µs<br>2 numpy +"
    assert re.search(rf"N=64 D_in=1000 H=100 +\| {line}\| {line}\|", fastest)
    assert re.search(r"N=512 D_in=1000 H=100 +\| 1 \*\*numpy\*\* [\d.]+ ms +\|", fastest)


def test_ties_with_the_fastest_share_its_line():
    noise = {1: 1.0, 2: 1.3, 3: 0.8, 4: 1.1, 5: 0.9}
    story = Story(
        plan_of_cells(),
        seconds=lambda cell, pass_number: 1e-3 * (noise[pass_number] if cell.contender == TORCH else 0.99),
    )
    assert "| 1 **numpy** 990 µs 1–2, torch 1–2 |" in section(markdown.report(story.run()), "Fastest")


def test_single_pass_gives_only_ties():
    fastest = section(markdown.report(Story(plan_of_cells(passes=1)).run()), "Fastest")
    assert re.search(r"\| 1 \*\*torch\*\* [\d.]+ µs 1–2, numpy 1–2 \|", fastest)


def test_each_dtype_has_its_own_fastest():
    contenders = [Contender(name, "cpu", dtype) for dtype in ("float32", "float64") for name in ("numpy", "torch")]
    fastest = section(markdown.report(Story(plan_of_cells(contenders)).run()), "Fastest")
    float32, float64 = re.search(r"H=100 +\| (.+?) +\|", fastest)[1].split("<br><br>")
    assert float32.startswith("1 **torch, float32** ")
    assert float32.endswith("<br>2 numpy, float32")
    assert float64.startswith("1 **torch, float64** ")


def test_each_thread_limit_has_its_own_fastest():
    contenders = [Contender(name, "cpu", "float32", threads) for threads in (1, 2) for name in ("numpy", "torch")]
    times = dict(zip(contenders, (3e-3, 4e-3, 2e-3, 1e-3), strict=True))
    story = Story(plan_of_cells(contenders), seconds=lambda cell, pass_number: times[cell.contender])
    fastest = section(markdown.report(story.run()), "Fastest")
    one_thread, two_threads = re.search(r"H=100 +\| (.+?) +\|", fastest)[1].split("<br><br>")
    assert one_thread == "1 **numpy, 1 threads** 3.00 ms<br>2 torch, 1 threads"
    assert two_threads == "1 **torch, 2 threads** 1.00 ms<br>2 numpy, 2 threads"


def test_contenders_are_sorted_by_best_rank_then_time():
    names = [Contender(name, "cpu", "float32") for name in ("numpy", "torch", "jax", "numba", "slow")]
    times = dict(zip(names, (1.015e-3, 1e-3, 1.03e-3, 2e-3, 3e-3), strict=True))
    story = Story(plan_of_cells(names), seconds=lambda cell, pass_number: times[cell.contender])
    fastest = section(markdown.report(story.run()), "Fastest")
    assert "| 1 **torch** 1.00 ms 1–2, numpy 1–3<br>2 jax 2–3<br>4 numba<br>5 slow |" in fastest


def test_disagreement_of_typical_time_and_floor_is_shown():
    run_records = [
        replace(record, seconds=[min(record.seconds), *(1.5 * second for second in record.seconds[1:])])
        if isinstance(record, Block) and "torch" in record.cell
        else record
        for record in Story(plan_of_cells(rounds=10), seconds=lambda cell, pass_number: 1e-3).records()
    ]
    text = markdown.report(Run.of(run_records))
    assert "### Where typical time and floor disagree" in section(text, "Speed-up over numpy")
    assert re.search(r"\| torch +\| N=64 D_in=1000 H=100 +\| step +\| slower 0.67× .*\| same 1.00×", text)
    assert "### Where typical time and floor disagree" not in page()


def test_page_says_how_far_to_trust_it():
    assert "- not calibrated: " in section(page(), "How far to trust it")


def test_adaptive_run_says_so():
    text = markdown.report(Story(plan_of_cells(time_budget=60.0)).run())
    assert "| 5 or more × 2 × 5 at most" in section(text, "Settings")
    method = section(text, "How it was measured")
    assert "In each pass every contender had a fresh process" in method
    assert "Intervals are 95 %, over all the looks at the run together, with" in method
    assert "In each of 5 passes" in section(page(), "How it was measured")


def test_page_has_the_min_effect_of_the_plan():
    text = markdown.report(Story(plan_of_cells(min_effect=0.05)).run())
    assert "▲ faster, ▼ slower by more than 5 %" in section(text, "Speed-up over numpy")
    assert "wholly beyond (or within) 5 % and survives" in section(text, "How it was measured")


@pytest.mark.parametrize(("factor", "mark"), [(2.0, "▲ 2.00×"), (0.5, "▼ 0.50×"), (1.0, "= 1.00×")])
def test_speed_up_has_the_mark_of_its_verdict(factor, mark):
    story = Story(plan_of_cells(), seconds=lambda cell, pass_number: 1e-3 / (factor if cell.contender == TORCH else 1))
    assert mark in section(markdown.report(story.run()), "Speed-up over numpy")


def test_without_a_step_the_first_phase_is_shown():
    text = markdown.report(Run.of(Story(plan_of_cells(phases=("update", "forward"))).records()))
    assert "## Update time" in text
    assert "## Step time" not in text


def test_exceeded_thread_limit_is_shown():
    torch = Contender("torch", "cpu", "float32", 1)
    text = markdown.report(Run.of(Story(plan_of_cells((torch,)), busy={torch: 1.9}).records()))
    assert "asked to use 1 threads, it kept 1.9 busy" in section(text, "What failed, and why")
    assert re.search(r"torch-cpu-float32 +\| 1 +\| 1.90", section(text, "Threads"))


def test_accelerator_is_named():
    text = markdown.report(Run.of(Story(plan_of_cells((NUMPY, CUPY))).records()))
    assert "on Model Processor, 2 processors, Model Accelerator: 2 cells (2 ok)." in text
    assert re.search(r"accelerators +\| Model Accelerator", text)


def test_run_without_failures_has_no_such_section():
    assert "What failed, and why" not in sections(markdown.report(Story(plan_of_cells()).run()))


def test_failures_are_counted_in_cells():
    failures = section(page(), "What failed, and why")
    assert re.search(r"\| cupy +\| unavailable +\| CuPy is .* \| 4 +\|", failures)
    assert re.search(r"\| torch +\| wrong +\| w1 .* \| 2 +\|", failures)


def test_breakdown_adds_up_to_the_run():
    run_records = records()
    spent = markdown.breakdown(Run.of(run_records))
    assert spent["whole run"] == 60.0
    assert sum(seconds for name, seconds in spent.items() if name != "whole run") == pytest.approx(60.0)
    blocks = [record for record in run_records if isinstance(record, Block)]
    assert spent["timed"] == pytest.approx(sum(sum(block.seconds) * block.inner for block in blocks))
    assert spent["imports"] == pytest.approx(0.5 * 2 * 5)
    assert spent["failing"] == pytest.approx(0.125 * 2)
    shared = Reference("N64-D1000-H100", "float32", "highest", 100, "", 2.5)
    assert markdown.breakdown(Run.of([*run_records, shared]))["float64 references"] == 2.5


def test_reference_that_was_not_shared_is_said():
    failed = [
        Reference(shape, "float32", "highest", 0, "crashed: OSError: No space left on device", 2.5)
        for shape in ("N64-D1000-H100", "N64-D1000-H200")
    ]
    line = (
        "> **Contenders computed float64 references of their own instead of a shared one: "
        "crashed: OSError: No space left on device.**"
    )
    assert line in markdown.report(Run.of([*records(), *failed]))
    assert "instead of a shared one" not in markdown.report(Run.of(records()))


def test_cell_that_fails_late_has_no_time():
    lost = Cell(TORCH, SMALL, "step")
    story = Story(plan_of_cells(shapes=(SMALL, LARGE)), outcomes={lost: Outcome("timeout", "too slow", pass_number=3)})
    text = markdown.report(story.run())
    assert re.search(r"\| torch +\| timeout +\| too slow +\| 1 +\|", text)
    assert re.search(r"\| torch +\| — +\| [\d.]+ ms", section(text, "Step time"))
