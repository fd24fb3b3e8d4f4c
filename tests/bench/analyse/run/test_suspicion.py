"""Tests of times that cannot be true."""

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
    """Return the journal of a run in which one contender takes `factor` times as long as usual."""

    def seconds(cell, pass_number):
        return settled(cell, pass_number) * (factor if cell.contender == faked else 1)

    plan = plan_of_cells((NUMPY, TORCH), phases=phases, ceilings=(NUMPY,), **others)
    records = Story(plan, seconds).records()
    ceilings = [
        Ceiling(1, pass_number, NUMPY.label, {"512x512x512": product}, {"1000000": 1e12}, {"1000000": 1e12})
        for pass_number in range(1, plan.passes + 1)
    ]
    return [*records[:-1], *ceilings, records[-1]]


def rows(records) -> pd.DataFrame:
    return Run.of(records).timings.set_index("implementation")


def test_time_above_ceiling_is_suspect_without_rank():
    row = rows(journal(1e-3)).loc["torch"]
    assert (row["status"], row["verdict"], row["verdict_floor"]) == ("ok", "suspect", "suspect")
    assert "takes 205 ns, but at this machine's best compute rate it takes 26 µs at least" in row["reason"]
    assert pd.isna(row["rank"])
    assert pd.isna(row["speedup"])
    assert row["seconds"] == pytest.approx(205e-9, rel=0.01)


def test_other_cells_are_ranked_without_the_suspect():
    timings = rows(journal(1e-3))
    assert timings.loc["numpy", "rank"] == timings.loc["numpy", "rank_worst"] == 1


def test_suspect_baseline_has_no_speedups():
    timings = rows(journal(1e-3, faked=NUMPY))
    assert timings.loc["numpy", "verdict"] == "suspect"
    assert pd.isna(timings.loc["torch", "verdict"])
    assert pd.isna(timings.loc["torch", "speedup"])


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.15])
def test_times_near_the_ceiling_are_trusted(factor):
    timings = rows(journal(factor))
    assert timings["verdict"].isna().tolist() == [True, False]
    assert timings.loc["torch", "verdict"] == "faster"


def test_single_pass_is_suspect_only_far_above_ceiling():
    assert rows(journal(0.08, passes=1)).loc["torch", "verdict"] == "unclear"
    assert rows(journal(0.001, passes=1)).loc["torch", "verdict"] == "suspect"


def test_training_quicker_than_its_steps_is_suspect():
    timings = Run.of(journal(1.0, ("step", "train"), product=1e18, steps=1000, shapes=(LARGE,))).timings
    trained = timings[timings["phase"] == "train"]
    assert set(trained["verdict"]) == {"suspect"}
    assert trained["reason"].str.contains("but its 1000 steps take").any()
    assert suspicion.trusted(timings).sum() == 2


def test_training_of_two_passes_is_trusted():
    assert suspicion.trusted(
        Run.of(journal(1.0, ("step", "train"), product=1e18, steps=20_000, passes=2)).timings
    ).all()


@pytest.mark.parametrize("steps", [1, 100, 190])
def test_training_that_saves_calls_is_trusted(steps):
    assert suspicion.trusted(Run.of(journal(1.0, ("step", "train"), product=1e18, steps=steps)).timings).all()


def test_suspect_is_named_on_pages():
    records = journal(1e-3)
    page = terminal.page(Run.of(records))
    assert "Suspect, and compared with nothing:\ntorch: step takes 205 ns, but" in page
    report = markdown.report(Run.of(records))
    assert "| torch" in report
    assert "| suspect | takes 205 ns, but" in " ".join(report.split())


def test_suspect_is_kept_in_the_csv(tmp_path):
    folder = write_journal(tmp_path / "runs" / "one", journal(1e-3))
    write_files(folder, tmp_path)
    tables = loading.load_run(folder / "timings.csv")
    assert tables.timings["verdict"].astype("string").tolist()[1] == "suspect"


def test_history_keeps_suspect_without_a_time():
    entry = entries.entry_of(Run.of(journal(1e-3)))
    assert [cell.status for cell in entry.untimed] == ["suspect"]
    assert len(entry.timed) == 1
