import re
from dataclasses import replace

import pytest

from bench.analyse.run import columns
from bench.analyse.run.run import Run
from bench.measure.records import Block
from bench.plan.cells import Contender
from bench.report.run import terminal, trust
from bench.report.screen import PLAIN, Screen
from tests.bench.made import NUMPY, TORCH, Story, disturbed, plan_of_cells, records, same_as_golden


def summary(run_records, screen: Screen = PLAIN) -> str:
    run = Run.of(run_records)
    return terminal.summary(run.timings, run.plan, screen)


def rows_of(text: str) -> list[str]:
    """The lines of the first table below its header."""
    table = text.split("\n\n")[1] if text.startswith("step") else text
    return table.splitlines()[3:]


def test_summary_is_the_golden_one():
    assert same_as_golden("terminal.txt", summary(records()) + "\n")


def test_run_without_cells_has_an_empty_summary():
    assert terminal.summary(columns.table_of([]), plan_of_cells()) == ""


def test_tables_have_the_fastest_first():
    text = summary(records())
    _, small, large, winner, failed = text.split("\n\n")
    assert [line.split()[0] for line in small.splitlines()[3:]] == ["torch", "numpy"]
    assert [line.split()[0] for line in large.splitlines()[3:]] == ["numpy"]
    assert winner == "fastest at N=64 D_in=1000 H=100: torch"
    assert failed.startswith("Not timed:\n")


def test_rows_have_speed_up_and_verdict():
    torch, numpy = rows_of(summary(records()))
    assert "2.00× [" in torch
    assert "faster" in torch
    assert "baseline" in numpy
    assert "faster" not in numpy


def test_untimed_cells_are_grouped_by_reason():
    lines = summary(records()).split("Not timed:\n")[1].splitlines()
    assert len(lines) == 2
    text = "\n".join(lines)
    assert "unavailable, CuPy is not installed: pip install 'relubench[cuda13]' (4 cells)" in text
    assert "wrong, w1 after update is off by |a - b| = 0.25 (2 cells)" in text


def test_single_cell_is_singular():
    text = summary(Story(plan_of_cells((NUMPY,)), passes=0, complete=False).records())
    assert text == "Not timed:\nnumpy: not_run, the run ended before this cell's first block (1 cell)"


def test_run_without_failures_does_not_mention_them():
    assert "Not timed" not in summary(Story(plan_of_cells()).records())


def test_without_a_step_the_first_phase_is_shown():
    text = summary(Story(plan_of_cells(phases=("train", "forward"))).records())
    assert "train time" in text
    assert "forward" not in text


def test_single_pass_has_no_interval_and_no_verdict():
    text = summary(Story(plan_of_cells(passes=1)).records())
    torch, numpy = rows_of(text)
    assert torch.split()[:4] == ["torch", "205", "µs", "2.00×"]
    assert "baseline" in numpy
    for word in ("±", "unclear", "rank", "verdict", "fastest"):
        assert word not in text


def test_two_passes_have_intervals_but_no_verdict():
    text = summary(Story(plan_of_cells(passes=2)).records())
    assert "2.00× [2.00, 2.00]" in text
    assert "rank" not in text
    assert "verdict" not in text


def test_without_a_baseline_there_is_no_ratio():
    [line] = rows_of(summary(Story(plan_of_cells((TORCH,))).records()))
    assert "—" in line
    assert "baseline" not in line


def test_rows_have_ranks_or_ranges():
    jax = Contender("jax", "cpu", "float32")
    times = {NUMPY: 1e-3, TORCH: 1e-3, jax: 2e-3}
    story = Story(plan_of_cells((NUMPY, TORCH, jax)), seconds=lambda cell, pass_number: times[cell.contender])
    compared, table, winners = summary(story.records()).split("\n\n")
    assert compared == "step on cpu (Model Processor) in float32; 2 threads each, as frameworks use by default; " + (
        "speed-ups are over numpy"
    )
    name, header, _, *lines = table.splitlines()
    assert name == "N=64 D_in=1000 H=100"
    assert header.split()[:4] == ["contender", "rank", "step", "time"]
    assert [" ".join(line.split()[:4]) for line in lines][:2] == ["numpy 1–2 tied first", "torch 1–2 tied first"]
    assert lines[2].split()[:3] == ["jax", "3", "2.00"]
    assert winners == "fastest at N=64 D_in=1000 H=100: numpy or torch (a tie: no verdict separates them)"


def test_differing_floor_is_shown_beside_the_verdict():
    run_records = [
        replace(record, seconds=[min(record.seconds), *(1.5 * second for second in record.seconds[1:])])
        if isinstance(record, Block) and "torch" in record.cell
        else record
        for record in Story(plan_of_cells(rounds=10), seconds=lambda cell, pass_number: 1e-3).records()
    ]
    [line] = [line for line in summary(run_records).splitlines() if line.startswith("torch")]
    assert "slower (floor: same)" in line
    assert "floor" not in summary(records())


def test_page_has_summary_and_lines_on_trust():
    text = terminal.page(Run.of(records()))
    assert text.startswith(summary(records()))
    assert trust.UNCALIBRATED in text.removeprefix(summary(records())).splitlines()


def test_run_without_times_has_a_page():
    text = terminal.page(Run.of(records(passes=0, complete=False)))
    assert text.startswith("Not timed:")
    assert trust.UNCALIBRATED in text
    assert "quiet" not in text


def test_names_have_dtype_and_threads():
    contenders = [Contender("numpy", "cpu", dtype, threads) for dtype in ("float32", "float64") for threads in (1, 2)]
    text = summary(Story(plan_of_cells(contenders)).records())
    for dtype in ("float32", "float64"):
        for threads in (1, 2):
            assert f"numpy, {dtype}, {threads} threads" in text


# ── widths and colours ──

CONTENDERS = [Contender(name, "cpu", "float32") for name in ("numpy", "torch", "torch_autograd", "jax")]
WIDE = ["contender", "rank", "step time", "speed-up", "verdict", "GFLOP/s", "of the limit"]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def tied(cell, pass_number: int) -> float:
    """Four contenders of which three are alike, with passes that differ by some percent."""
    deviation = (0.0, 0.05, -0.04, 0.03, -0.05)[(pass_number + len(cell.contender.implementation)) % 5]
    return (2e-3 if cell.contender.implementation == "jax" else 1.45e-3) * (1 + deviation)


def tied_records(contenders=CONTENDERS, **others):
    return disturbed(Story(plan_of_cells(contenders, **others), seconds=tied).records(), others=0.5)


def header_of(text: str) -> list[str]:
    return re.split(r"  +", next(line for line in text.splitlines() if line.startswith("contender")).strip())


@pytest.mark.parametrize("width", [60, 80, 100, 140, None])
@pytest.mark.parametrize("noisy", [False, True])
def test_every_line_is_as_wide_as_the_terminal_at_most(width, noisy):
    text = terminal.page(Run.of(tied_records() if noisy else records()), Screen(width))
    commands = [line for line in text.splitlines() if line.startswith("  pytest ")]
    others = [line for line in text.splitlines() if line not in commands]
    assert max(map(len, others)) <= (width or 1000)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (None, ()),
        (140, ()),
        (110, ()),
        (100, ("GFLOP/s",)),
        (90, ("GFLOP/s", "of the limit")),
        (80, ("GFLOP/s", "of the limit")),
        (60, ("GFLOP/s", "of the limit", "rank")),
    ],
)
def test_least_needed_columns_go_first(width, left_out):
    text = summary(tied_records(), Screen(width))
    assert header_of(text) == [name for name in WIDE if name not in left_out]
    assert text.count(" ms ± ") == 4


def test_narrow_terminal_folds_names_but_no_numbers():
    long_names = [NUMPY, Contender("package.module:AVeryLongName", "cpu", "float32")]
    text = summary(tied_records(long_names), Screen(50))
    assert "package.module:AVeryLongName" not in text.split("\n\n")[1]
    assert text.count(" ms ± ") == 2


def test_file_gets_the_whole_table_without_escapes():
    text = terminal.page(Run.of(tied_records()))
    assert header_of(text) == WIDE
    assert "\x1b" not in text


def test_colours_are_added_to_the_same_text():
    for run_records in (tied_records(), records()):
        plain, coloured = (terminal.page(Run.of(run_records), Screen(80, colour)) for colour in (False, True))
        assert ESCAPE.sub("", coloured) == plain
        assert "\x1b[32m" in coloured
    assert "\x1b[33munclear" in terminal.page(Run.of(tied_records()), Screen(80, True))


def test_other_people_s_words_do_not_colour_a_terminal():
    name = Contender("pkg:\x1b[31mNet", "cpu", "float32")
    assert "\x1b[31m" not in terminal.page(Run.of(tied_records([NUMPY, name])), Screen(80, True))


def test_winners_survive_without_colour():
    text = summary(tied_records(), Screen(80))
    assert text.count(" tied ") == 3
    winners = text.split("fastest at")[1].replace("\n ", "")
    assert winners.endswith("numpy or torch or torch_autograd (a tie: no verdict separates them)")


def test_contender_alone_has_no_winner():
    assert "fastest" not in summary(tied_records([NUMPY]))


def test_each_dtype_has_its_own_winners():
    both = [Contender(name, "cpu", dtype) for dtype in ("float32", "float64") for name in ("numpy", "jax")]
    lines = [line for line in summary(tied_records(both)).splitlines() if line.startswith("fastest")]
    assert lines == [f"fastest at N=64 D_in=1000 H=100: numpy, {dtype}" for dtype in ("float32", "float64")]


def test_header_leaves_out_what_names_have():
    both = [NUMPY, Contender("cupy", "cuda", "float32")]
    assert summary(tied_records(both)).startswith("step in float32; 2 threads each, as frameworks use by default; ")
    one = [Contender("numpy", "cpu", "float32", 1), Contender("torch", "cpu", "float32", 1)]
    assert "; 1 thread each; " in summary(tied_records(one))
    gpus = [Contender(name, "cuda", "float32") for name in ("cupy", "torch")]
    assert summary(tied_records(gpus)).startswith("step on cuda (Model Accelerator) in float32; speed-ups are over")


# ── lines below the tables ──


def test_page_says_how_quiet_the_machine_was():
    quiet = disturbed(Story(plan_of_cells()).records(), others=0.01)
    assert "the machine was quiet: other processes took 1 % of the processors" in terminal.page(Run.of(quiet))
    assert "other processes took 50 %" in terminal.page(Run.of(tied_records()))
    assert "how quiet the machine was is not known" in terminal.page(Run.of(records()))


def test_page_says_why_pytest_benchmark_has_other_medians():
    assert terminal.POOLED in terminal.page(Run.of(records())).splitlines()


def test_calibrated_and_decided_run_is_followed_by_a_recommendation():
    first, *rest = Story(plan_of_cells()).records()
    calibrated = replace(first, calibration={"started": "2026-01-01T00:00:00+00:00", "settings": []})
    [line] = [line for line in terminal.page(Run.of([calibrated, *rest])).splitlines() if line.startswith("next")]
    assert "`python -m bench recommend --N 128 --D-in 1000 --H 100`" in line
    assert "next:" not in terminal.page(Run.of([first, *rest]))


# ── while a run is measured ──


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_first_look_needs_one_pass(passes):
    text = terminal.first_look(Story(plan_of_cells(CONTENDERS), seconds=tied, passes=passes, complete=False).run(), 80)
    assert f"after {passes} of 5 passes" in text
    assert "; verdicts need 5\n" in text.replace("\n  ", " ")
    assert ("±" in text) is (passes > 1)
    assert "unclear" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_first_look_has_verdicts_from_five_passes():
    text = terminal.first_look(Story(plan_of_cells(passes=7), passes=5, complete=False).run())
    assert text.startswith("step so far, after 5 of 7 passes; speed-ups are over numpy\n")
    assert "faster" in text
    assert "fastest" in text


def test_first_look_is_of_the_first_shape():
    text = terminal.first_look(Run.of(records(complete=False)))
    assert "N=64 D_in=1000 H=100" in text
    assert "N=512" not in text


def test_nothing_timed_has_no_first_look():
    assert terminal.first_look(Run.of(records(passes=0, complete=False))) == ""
