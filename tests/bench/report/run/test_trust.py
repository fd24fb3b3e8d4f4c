from dataclasses import replace

import pytest

from bench.analyse.run.run import Run
from bench.measure import journal
from bench.measure.adaptive import DECIDED, OUT_OF_TIME
from bench.measure.records import PassChosen, Record, RunEnded, RunStarted
from bench.plan.cells import Contender
from bench.report.run import markdown, trust
from tests.bench.made import NUMPY, TORCH, Story, plan_of_cells, records, write_journal
from tests.bench.sides import compared

WILD = (1.0, 1.3, 0.8, 1.1, 0.9, 1.05, 0.95)
CALIBRATION = {
    "started": "2026-01-01T00:00:00+00:00",
    "settings": [
        {
            "threads": 2,
            "designs": [
                {"passes": 5, "rounds": 2, "resolution": 0.03},
                {"passes": 8, "rounds": 2, "resolution": 0.02},
                {"passes": 12, "rounds": 2, "resolution": None},
            ],
        }
    ],
}


def calibrated(run: Story | list[Record], calibration=CALIBRATION) -> list[Record]:
    first, *rest = run.records() if isinstance(run, Story) else run
    assert isinstance(first, RunStarted)
    return [replace(first, calibration=calibration), *rest]


def test_uncalibrated_machine_has_a_hint():
    [line] = trust.lines(Run.of(records()))
    assert line == trust.UNCALIBRATED
    assert "`python -m bench calibrate`" in line


def test_calibrated_machine_has_the_resolution():
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(passes=8)))))
    assert line == "on this machine, 8 passes of 2 rounds on 2 threads resolve 2 %"
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(passes=5)))))
    assert line == "on this machine, 5 passes of 2 rounds on 2 threads resolve 3 %"  # the smallest tried beyond 2 %
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(passes=5, min_effect=0.01)))))
    assert line.startswith("on this machine, 5 passes of 2 rounds on 2 threads resolve 3 %; smaller changes, beyond")
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(passes=12)))))
    assert "do not resolve even 10 %" in line


def test_min_effect_is_compared_with_the_resolution():
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(passes=5, min_effect=0.05)))))
    assert line == "on this machine, 5 passes of 2 rounds on 2 threads resolve 3 %"


def test_calibration_is_of_the_host_alone():
    gpu = Contender("torch", "cuda", "float32", 2)
    assert trust.lines(Run.of(calibrated(Story(plan_of_cells([gpu]))))) == []
    assert len(trust.lines(Run.of(calibrated(Story(plan_of_cells([NUMPY, gpu])))))) == 1


def test_adaptive_run_has_the_resolution_of_adaptive_runs():
    effects = [{"slowdown": slowdown, "detected": rate} for slowdown, rate in ((0.02, 0.1), (0.05, 0.96), (0.1, 1.0))]
    known = {**CALIBRATION, "settings": [{**CALIBRATION["settings"][0], "auto": effects}]}
    line = trust.lines(Run.of(calibrated(Story(plan_of_cells(time_budget=60.0)), known)))[0]
    assert line.startswith("on this machine, as many passes as needed on 2 threads resolve 5 %; smaller changes, ")


def of_families(*cells: int) -> dict:
    families = [
        {"measure": measure, "cells": count, "passes": passes, "rounds": 2, "resolution": 0.03 if count == 1 else 0.05}
        for count in cells
        for measure in ("floor", "typical")
        for passes in (5, None)
    ]
    return {**CALIBRATION, "settings": [{**CALIBRATION["settings"][0], "families": families, "auto": []}]}


def many(count: int) -> list[Contender]:
    return [NUMPY, *(Contender(f"b{number}", "cpu", "float32") for number in range(count))]


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (1, "resolve 3 %"),
        (6, "resolve 5 % in one of 6 cells; smaller changes, beyond the 2 % asked for, may be missed: add passes"),
        (12, "resolve 5 % in one of 10 cells; smaller changes, beyond the 2 % asked for, may be missed: add passes"),
    ],
)
@pytest.mark.parametrize("budget", [None, 60.0])
def test_resolution_counts_the_judged_cells(judged, expected, budget):
    plan = plan_of_cells(many(judged), time_budget=budget)
    line = trust.lines(Run.of(calibrated(Story(plan), of_families(1, 10))))[0]
    assert line.endswith(f"on 2 threads {expected}")


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (Story(plan_of_cells(many(6))), "resolve 5 % in one of 6 cells"),
        (compared(), "resolve 3 % in one of 2 cells"),
    ],
    ids=["contenders", "two sides"],
)
def test_contenders_use_typical_times_and_sides_use_floors(run, expected):
    known = of_families(1, 10)
    for family in known["settings"][0]["families"]:
        family["resolution"] = {"typical": 0.05, "floor": 0.03}[family["measure"]]
    assert expected in trust.lines(Run.of(calibrated(run, known)))[0]


def test_calibration_of_one_cell_says_so_for_many():
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(many(4))))))
    assert line.endswith("resolve 3 % in a run of one cell (this one judges 4: calibrate again)")


@pytest.mark.parametrize("design", [{"passes": 4}, {"rounds": 1}])
def test_design_that_was_not_calibrated_says_so(design):
    [line] = trust.lines(Run.of(calibrated(Story(plan_of_cells(**design)))))
    assert line.startswith("the calibration of 2026-01-01T00:00:00+00:00 does not tell what ")


def test_each_thread_limit_has_its_own_line():
    contenders = [Contender(name, "cpu", "float32", threads) for name in ("numpy", "torch") for threads in (2, 1)]
    first, second = trust.lines(Run.of(calibrated(Story(plan_of_cells(contenders)))))
    assert "on 2 threads resolve 3 %" in first
    assert "does not tell what 5 passes of 2 rounds on 1 threads resolve" in second


def adaptive(passes: int = 5, reason: str | None = DECIDED, few: int = 0, **others) -> list[Record]:
    """The records of an adaptive run, of which the last `few` passes had only torch."""
    plan = plan_of_cells(time_budget=60.0)
    run_records = Story(plan, passes=passes, complete=False, **others).records()
    keys = [cell.key for cell in plan.cells]
    chosen = [
        PassChosen(pass_number, keys[1:] if pass_number > passes - few else keys, 2)
        for pass_number in range(1, passes + 1)
    ]
    ended = [] if reason is None else [RunEnded(True, 60.0, reason)]
    return [run_records[0], *chosen, *run_records[1:], *ended]


def wild(cell, pass_number: int) -> float:
    return 1e-3 * (WILD[(pass_number - 1) % len(WILD)] if cell.contender == TORCH else 1.0)


def test_ending_has_the_number_of_passes():
    assert trust.lines(Run.of(adaptive()))[1:] == [f"5 passes, then {DECIDED} (± 1 % would be precise enough)"]


def test_ending_has_the_range_of_passes():
    [_, line] = trust.lines(Run.of(adaptive(passes=7, few=2)))
    assert line.startswith(f"5 to 7 passes a cell, then {DECIDED}")


def test_confirming_passes_are_not_counted():
    run_records = adaptive(passes=7)
    keys = [cell.key for cell in plan_of_cells().cells]
    confirming = {6: PassChosen(6, keys[1:], 2, confirming=True), 7: PassChosen(7, keys[1:], 2, confirming=True)}
    run_records = [
        confirming.get(record.pass_number, record) if isinstance(record, PassChosen) else record
        for record in run_records
    ]
    assert trust.lines(Run.of(run_records))[1].startswith(f"5 passes, then {DECIDED}")


def test_run_out_of_time_counts_undecided_cells():
    [_, line] = trust.lines(Run.of(adaptive(passes=7, reason=OUT_OF_TIME, seconds=wild)))
    assert line.startswith(f"7 passes, then {OUT_OF_TIME}; 2 of 2 cells are still undecided (")


def test_run_without_a_look_decides_nothing():
    [_, line] = trust.lines(Run.of(adaptive(passes=2, reason=OUT_OF_TIME, seconds=wild)))
    assert "; fewer than five passes decide nothing (" in line


def test_run_that_was_cut_off_says_so():
    [_, line] = trust.lines(Run.of(adaptive(passes=6, reason=None)))
    assert line.startswith("6 passes, then the run was cut off")


def test_resumed_run_has_its_last_reason():
    run_records = adaptive(passes=6, reason=OUT_OF_TIME)
    interrupted = [run_records[0], RunEnded(False, 1.0), *run_records[1:]]
    assert f"6 passes, then {OUT_OF_TIME}" in trust.lines(Run.of(interrupted))[1]


def test_run_without_passes_has_no_ending():
    plan = plan_of_cells((NUMPY,), time_budget=60.0)
    assert trust.lines(Story(plan, passes=0, complete=False).run()) == [trust.UNCALIBRATED]


@pytest.mark.parametrize(
    ("calibration", "field"),
    [({"settings": []}, "started"), ({"started": "x", "settings": [None]}, "settings.0"), ({}, "started")],
)
def test_invalid_calibration_in_a_journal_gives_a_line(calibration, field, tmp_path):
    write_journal(tmp_path, calibrated(records(), calibration))
    run_records = journal.read(tmp_path)
    [line] = trust.lines(Run.of(run_records))
    assert line.startswith(f"the journal has no sound calibration: {field}: ")
    assert "not calibrated" in line
    assert "## How far to trust it" in markdown.report(Run.of(run_records))
