"""What a run with unclear verdicts is said to need."""

from dataclasses import replace

import pytest

from bench.analyse.run.deciding import Outlook
from bench.analyse.run.run import Run
from bench.measure.records import RunEnded
from bench.plan.cells import Contender
from bench.report.run import terminal, undecided
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, records

RUN = "results/runs/one"


def with_outlook(monkeypatch, contenders=(NUMPY, TORCH), story=None, **changes):
    values = {
        "verdicts": 24,
        "unclear": 7,
        "passes": 8,
        "further": 3,
        "decided": 5,
        "beyond": 0,
        "seconds": 100.0,
        **changes,
    }
    monkeypatch.setattr(undecided, "outlook", lambda *of: Outlook(**values))
    return undecided.advice((story or Story(plan_of_cells(contenders))).run(), RUN)


def test_decided_run_needs_nothing():
    assert undecided.advice(Story(plan_of_cells()).run(), RUN) is None
    assert undecided.advice(Run.of(records(passes=0)), RUN) is None


def test_run_that_was_cut_off_has_to_go_on_first():
    assert undecided.advice(Run.of(records(complete=False, passes=2)), RUN) is None


def test_further_passes_have_their_cost_and_the_command(monkeypatch):
    advice = with_outlook(monkeypatch)
    assert advice.sentence == (
        "unclear: 7 of 24 verdicts on step; 3 more passes (about 1 min 40 s) would probably decide 5 of them:"
    )
    assert advice.command == f"pytest bench/ --benchmark-only --resume {RUN} --passes 8"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decided": 7}, "decide all of them:"),
        ({"unclear": 1, "decided": 1}, "decide it:"),
        ({"passes": 6, "further": 1}, "; 1 more pass (about"),
        (
            {"beyond": 2},
            "decide 5 of them (2 would take more than 50, or a calmer machine or `--threads 1`):",
        ),
    ],
)
def test_sentence_counts(monkeypatch, changes, words):
    assert words in with_outlook(monkeypatch, **changes).sentence


def test_what_passes_cannot_decide_has_no_command(monkeypatch):
    advice = with_outlook(monkeypatch, beyond=7, decided=0, passes=5)
    assert advice.sentence.endswith("; 50 passes would not decide them, but a calmer machine or `--threads 1` may")
    assert advice.command == ""


def test_one_thread_is_not_advised_to_those_who_have_it(monkeypatch):
    one = [Contender(name, "cpu", "float32", 1) for name in ("numpy", "torch")]
    assert "--threads" not in with_outlook(monkeypatch, one, beyond=7, decided=0, passes=5).sentence


def test_run_that_chose_its_passes_needs_a_longer_budget(monkeypatch):
    advice = with_outlook(monkeypatch, story=Story(plan_of_cells(time_budget=60.0)))
    assert advice.sentence.endswith("; 3 more passes (about 1 min 40 s) would probably decide 5 of them:")
    assert advice.command == f"pytest bench/ --benchmark-only --resume {RUN} --time-budget 3m"


def test_fewer_than_five_passes_are_too_few():
    story = Story(plan_of_cells(passes=2), complete=False)
    advice = undecided.advice(Run.of([*story.records(), RunEnded(True, 20.0)]), RUN)
    assert advice.sentence == ("2 passes are too few for a verdict, which needs 5; 3 more take about 30 s:")
    assert advice.command.endswith("--passes 5")


def test_page_has_the_sentence_and_the_command(monkeypatch):
    monkeypatch.setattr(undecided, "outlook", lambda *of: Outlook(24, 7, 8, 3, 5, 0, 40.0))
    run = Story(replace(plan_of_cells(), passes=5)).run()
    lines = terminal.page(run, folder=RUN).splitlines()
    at = lines.index("unclear: 7 of 24 verdicts on step; 3 more passes (about 40 s) would probably decide 5 of them:")
    assert lines[at + 1] == f"  pytest bench/ --benchmark-only --resume {RUN} --passes 8"
    assert f"--resume {run.name} --passes 8" in terminal.page(run)
