"""Times that cannot be true win nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.analyse.run import loading, suspicion
from bench.analyse.run.run import Run
from bench.history import entries
from bench.measure.records import Ceiling, Record
from bench.report.run import markdown, terminal
from tests.bench.made import LARGE, NUMPY, TORCH, Story, plan_of_cells, settled, write_files, write_journal


def journal(factor=1.0, phases=("step",), faked=TORCH, product=1e12, **others) -> list[Record]:
    """Of a run in which one contender takes `factor` times as long as it would."""

    def seconds(cell, pass_number):
        return settled(cell, pass_number) * (factor if cell.contender == faked else 1)

    plan = plan_of_cells((NUMPY, TORCH), phases=phases, ceilings=(NUMPY,), **others)
    records = Story(plan, seconds).records()
    made = [
        Ceiling(1, pass_number, NUMPY.label, {"512x512x512": product}, {"1000000": 1e12}, {"1000000": 1e12})
        for pass_number in range(1, plan.passes + 1)
    ]
    return [*records[:-1], *made, records[-1]]


def rows(records) -> pd.DataFrame:
    return Run.of(records).timings.set_index("implementation")


def test_a_time_above_the_ceiling_is_suspect_with_both_times_and_has_no_rank():
    row = rows(journal(1e-3)).loc["torch"]
    assert (row["status"], row["verdict"], row["verdict_floor"]) == ("ok", "suspect", "suspect")
    assert "takes 205 ns, but at this machine's best compute rate it takes 26 µs at least" in row["reason"]
    assert pd.isna(row["rank"])
    assert pd.isna(row["speedup"])
    assert row["seconds"] == pytest.approx(205e-9, rel=0.01)


def test_the_others_are_ranked_without_it():
    told = rows(journal(1e-3))
    assert told.loc["numpy", "rank"] == told.loc["numpy", "rank_worst"] == 1


def test_nothing_is_judged_against_a_suspect_baseline():
    told = rows(journal(1e-3, faked=NUMPY))
    assert told.loc["numpy", "verdict"] == "suspect"
    assert pd.isna(told.loc["torch", "verdict"])
    assert pd.isna(told.loc["torch", "speedup"])


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.15])
def test_times_below_the_ceiling_and_near_it_are_believed(factor):
    told = rows(journal(factor))
    assert told["verdict"].isna().tolist() == [True, False]
    assert told.loc["torch", "verdict"] == "faster"


def test_a_single_pass_is_suspect_only_far_above_the_ceiling():
    assert rows(journal(0.08, passes=1)).loc["torch", "verdict"] == "unclear"
    assert rows(journal(0.001, passes=1)).loc["torch", "verdict"] == "suspect"


def test_a_training_quicker_than_its_steps_is_suspect():
    told = Run.of(journal(1.0, ("step", "train"), product=1e18, steps=1000, shapes=(LARGE,))).timings
    trained = told[told["phase"] == "train"]
    assert set(trained["verdict"]) == {"suspect"}
    assert trained["reason"].str.contains("but its 1000 steps take").any()
    assert suspicion.trusted(told).sum() == 2


def test_two_passes_do_not_show_what_a_step_takes():
    assert suspicion.trusted(
        Run.of(journal(1.0, ("step", "train"), product=1e18, steps=20_000, passes=2)).timings
    ).all()


@pytest.mark.parametrize("steps", [1, 100, 190])
def test_a_training_that_saves_what_calls_cost_is_believed(steps):
    assert suspicion.trusted(Run.of(journal(1.0, ("step", "train"), product=1e18, steps=steps)).timings).all()


def test_a_suspect_is_named_wherever_it_is_shown():
    records = journal(1e-3)
    page = terminal.page(Run.of(records))
    assert "Suspect, and compared with nothing:\ntorch: step takes 205 ns, but" in page
    report = markdown.report(Run.of(records))
    assert "| torch" in report
    assert "| suspect | takes 205 ns, but" in " ".join(report.split())


def test_a_table_that_is_read_again_has_the_suspect(tmp_path):
    folder = write_journal(tmp_path / "runs" / "one", journal(1e-3))
    write_files(folder, tmp_path)
    again = loading.load_run(folder / "timings.csv")
    assert again.timings["verdict"].astype("string").tolist()[1] == "suspect"


def test_history_keeps_a_suspect_without_a_time():
    entry = entries.entry_of(Run.of(journal(1e-3)))
    assert [one.status for one in entry.untimed] == ["suspect"]
    assert len(entry.timed) == 1
