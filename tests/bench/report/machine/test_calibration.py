from dataclasses import replace

import pytest

from bench.analyse.machine import calibration
from bench.measure import calibrate
from bench.plan.units import short_percent
from bench.report.machine import calibration as shown
from tests.bench.made import Story


def calibrate_exactly(passes: int = 8, back_to_back: bool = True, threads=(1, 2)):
    """The calibration of a machine on which every slowdown is exact."""
    plan = replace(calibrate.plan_of("numpy", threads, 7), cpus=2, passes=8, rounds=6)
    story = Story(
        plan,
        seconds=lambda cell, pass_number: (
            1e-3 * (1 + calibrate.VARIANTS[cell.contender.variant]) * (1 + 1e-6 * pass_number * len(cell.key))
        ),
        passes=passes,
    )
    return calibration.analyse(story.run(), replace(story, passes=int(back_to_back)).run())


def test_each_thread_limit_has_a_table_of_slowdowns():
    text = shown.text(calibrate_exactly())
    assert text.startswith("numpy step at N=64 D_in=1000 H=100 against itself, slowed by so much, on Model Processor.")
    assert "A trial is 8 passes × 6 rounds × 6 samples; found means that its floor is slower by more than 2 %" in text
    one_thread, two_threads = text.split("\n1 thread: ")[1].split("\n2 threads: ")
    for part in (one_thread, two_threads):
        lines = [line.split()[:2] for line in part.splitlines()]
        assert [line[0] for line in lines if line[1:] == ["%"]] == ["0", "1", "2", "3", "5", "10"]
        assert "Resolution: 3 %, the smallest found in 95 % of trials." in part
        assert "By passes × rounds: 3 × 5: 3 %, 5 × 5: 3 %, 8 × 5: 3 %." in part


def test_unknown_rates_are_dashes():
    text = shown.text(calibrate_exactly(passes=4, threads=(1,)))
    assert "1 thread: 4 passes" in text
    assert text.count("—") == 3 * 6
    assert "Back to back: 1 trials" in text


def family(cells: int, resolution: float | None, *rates: tuple[float, float, float]):
    """The results of runs of so many cells: slowdowns, how often each was found, and other cells' false alarms."""
    effects = [
        {"slowdown": slowdown, "detected": detected, "false_alarms": false_alarms}
        for slowdown, detected, false_alarms in rates
    ]
    design = {"measure": "floor", "cells": cells, "passes": 5, "rounds": 6}
    return {**design, "effects": effects, "resolution": resolution}


def test_families_have_false_alarms_as_share_of_cells():
    result = calibrate_exactly(threads=(1,))
    result["settings"][0]["families"] = [
        family(1, 0.05, (0.0, 0.02, 0.0), (0.05, 0.97, 0.0)),
        family(10, 0.05, (0.0, 0.2, 0.0), (0.05, 0.96, 0.001)),  # the cell that did not change is the worst: 0.2 of 1
        family(40, None, (0.0, 0.2, 0.0), (0.05, 0.5, 0.02)),  # 39 others are
    ]
    text = shown.text(result)
    assert "One cell slower among so many, found in 5 passes × 6 rounds; false alarms are the share of" in text
    rows = [line.split() for line in text.splitlines() if " floors " in line]
    assert rows == [
        ["1", "floors", "97", "%", "2.00", "%", "5", "%"],
        ["10", "floors", "96", "%", "2.00", "%", "5", "%"],
        ["40", "floors", "50", "%", "1.95", "%", ">", "10", "%"],
    ]


def test_calibration_without_families_has_no_table_of_them():
    result = calibrate_exactly(threads=(1,))
    del result["settings"][0]["families"]
    assert "One cell slower among so many" not in shown.text(result)


@pytest.mark.parametrize(("resolution", "asked"), [(0.02, 0.02), (0.01, 0.02), (0.03, 0.02), (0.1, 0.05), (0.1, 0.1)])
def test_sufficient_resolution_has_no_warning(resolution, asked):
    # A change of the minimum effect itself cannot be shown to exceed it: the next larger one can.
    line = shown.sentence(resolution, 1, "8 passes of 18 rounds", asked)
    assert line == f"on this machine, 8 passes of 18 rounds on 1 thread resolve {short_percent(resolution)}"


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [(0.05, "4 threads resolve 5 %; smaller"), (None, "4 threads do not resolve even 10 %; smaller")],
)
def test_insufficient_resolution_says_what_to_do(resolution, expected):
    line = shown.sentence(resolution, 4, "5 passes of 4 rounds", 0.02)
    assert line.startswith(f"on this machine, 5 passes of 4 rounds on {expected}")
    assert line.endswith("changes, beyond the 2 % asked for, may be missed: add passes")
