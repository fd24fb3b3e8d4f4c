"""Tests of calibrations, from journals with known slowdowns, with and without noise."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.analyse.machine import calibration
from bench.analyse.machine.calibration import Effect
from bench.analyse.machine.families import Series
from bench.analyse.run import resolution
from bench.analyse.run.run import Run
from bench.measure import calibrate
from bench.plan.cells import Cell, Contender
from tests.bench.made import Outcome, Story, plan_of_cells

Noise = Callable[[np.random.Generator], float]
"""Returns the noise of the log of one contender's time in one pass."""
KEYS = {"slowdown", "trials", "detected", "detected_low", "detected_high", "coverage", "passes", "false_alarms"}
SECONDS, PASSES, ROUNDS = 1e-3, 8, 6


def made(passes: int, noise: Noise, seed: int = 1, threads=(1,), rounds: int = ROUNDS, **others) -> Story:
    """Return a calibration in which each contender has the slowdown of its variant, and noise."""
    plan = replace(calibrate.plan_of("numpy", threads, 7), cpus=2, passes=PASSES, rounds=rounds)
    draw = np.random.default_rng(seed)
    logs = {(cell, pass_number): noise(draw) for cell in plan.cells for pass_number in range(1, passes + 1)}

    def seconds(cell: Cell, pass_number: int) -> float:
        return SECONDS * (1 + calibrate.VARIANTS[cell.contender.variant]) * math.exp(logs[cell, pass_number])

    return Story(plan, seconds=seconds, passes=passes, **others)


def calm(draw: np.random.Generator) -> float:
    return draw.normal(0, 1e-4)


def stormy(draw: np.random.Generator) -> float:
    return draw.normal(0, 0.3)


def analysed(in_turns: Story, back_to_back: Story | None = None):
    in_a_row = back_to_back or replace(in_turns, passes=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return calibration.analyse(in_turns.run(), in_a_row.run())


@pytest.fixture(scope="module")
def result():
    return analysed(made(24, calm, threads=(1, 2)))


def test_calm_machine_finds_slowdowns_above_minimum_effect(result):
    detected = {effect["slowdown"]: effect["detected"] for effect in result["effects"]}
    assert (detected[0.03], detected[0.05], detected[0.10]) == (1.0, 1.0, 1.0)
    assert (detected[0.0], detected[0.01]) == (0.0, 0.0)
    assert result["resolution"] == 0.03


def test_calm_machine_intervals_contain_slowdowns(result):
    assert np.mean([effect["coverage"] for effect in result["effects"]]) > 0.85


def test_constant_slowdown_is_always_in_its_interval():
    def seconds(cell: Cell, pass_number: int) -> float:
        wave = 1e-4 * (-1) ** pass_number if cell.contender.variant != calibrate.REFERENCE else 0.0  # 0 over all eight
        return SECONDS * (1 + calibrate.VARIANTS[cell.contender.variant]) * math.exp(wave)

    result = analysed(replace(made(8, calm), seconds=seconds))
    assert [effect["coverage"] for effect in result["effects"]] == [1.0] * 6
    assert [effect["detected"] for effect in result["effects"] if effect["slowdown"] >= 0.03] == [1.0] * 3
    assert result["resolution"] == 0.03


def test_result_has_effects_and_settings(result):
    assert [effect["slowdown"] for effect in result["effects"]] == [0.0, 0.01, 0.02, 0.03, 0.05, 0.10]
    assert all(effect.keys() == KEYS for effect in result["effects"])
    assert {effect["trials"] for effect in result["effects"]} == {24 // PASSES}
    assert (result["implementation"], result["min_effect"]) == ("numpy", 0.02)
    assert result["shape"] == {"N": 64, "D_in": 1000, "H": 100, "D_out": 10}
    assert (result["passes"], result["rounds"], result["samples"]) == (PASSES, ROUNDS, calibrate.SAMPLES)
    for effect in result["effects"]:
        assert 0 <= effect["detected_low"] <= effect["detected"] <= effect["detected_high"] <= 1
        assert 0 <= effect["coverage"] <= 1


def test_result_is_json_without_nan(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_each_thread_limit_has_a_result(result):
    assert [setting["threads"] for setting in result["settings"]] == [1, 2]
    assert result["effects"] == result["settings"][0]["effects"]
    assert result["resolution"] == result["settings"][0]["resolution"]
    assert {setting["passes_measured"] for setting in result["settings"]} == {24}


def test_adaptive_run_finds_the_same_with_fewer_passes(result):
    auto = {effect["slowdown"]: effect for effect in result["settings"][0]["auto"]}
    assert [auto[slowdown]["detected"] for slowdown in (0.0, 0.03, 0.05, 0.10)] == [0.0, 1.0, 1.0, 1.0]
    assert auto[0.10]["passes"] == 5.0
    assert auto[0.02]["passes"] > 5.0, "at the minimum effect itself the verdict stays unclear"


def test_designs_within_the_measured_passes_and_rounds_have_a_resolution(result):
    few = result["settings"][0]["designs"]
    many = analysed(made(8, calm, rounds=18))["settings"][0]["designs"]
    for designs, passes, rounds in ((few, 24, ROUNDS), (many, 8, 18)):
        expected = [design for design in calibration.DESIGNS if design[0] <= passes and design[1] <= rounds]
        assert [(design["passes"], design["rounds"]) for design in designs] == expected != []
        assert {design["resolution"] for design in designs} == {0.03}


def test_trials_are_random_sets_of_passes():
    first_are_slow = np.log(np.where(np.arange(40) < 20, 1.2, 1.0)) + 1e-4 * np.arange(40) % 7
    series = Series(0.0, first_are_slow, np.zeros(40))
    verdicts = []

    def judge(series: Series, chosen: np.ndarray) -> calibration.Judged:
        verdicts.append(tuple(np.sort(chosen)))
        return "slower" if series.logs[chosen].mean() > 0.09 else "unclear", True, len(chosen)

    slowed = calibration.effect(series, 10, judge)
    assert 0.2 < slowed.detected < 0.8
    assert len(set(verdicts)) > calibration.SETS / 2


def test_families_are_calibrated_by_floors_and_typical_times(result):
    families = result["settings"][0]["families"]
    usual = [family for family in families if (family["passes"], family["rounds"]) == (5, ROUNDS)]
    assert [(family["measure"], family["cells"]) for family in usual] == [
        (measure, cells) for measure in ("floor", "typical") for cells in (1, 10, 40, 100)
    ]
    for family in usual:
        rates = {effect["slowdown"]: effect["detected"] for effect in family["effects"]}
        assert (rates[0.0], rates[0.03], rates[0.10]) == (0.0, 1.0, 1.0)
        assert {effect["false_alarms"] for effect in family["effects"]} == {0.0}
        assert family["resolution"] == 0.03
    assert {family["cells"] for family in families if family["passes"] is None} == {1, 10, 40, 100}


@pytest.mark.parametrize("measure", ["floor", "typical"])
def test_series_is_the_median_of_used_rounds(measure):
    blocks, others = np.array([[0.01, 0.03, 0.5, 0.5], [0.02, 0.04, 0.5, 0.5]]), np.ones((2, 4))
    both = (blocks, others) if measure == "floor" else (others, blocks)
    series = calibration.Ratios(0.0, *both, [], 1.0).series(measure, 2)
    assert series.logs == pytest.approx([0.02, 0.03])
    assert series.errors == pytest.approx([calibration.median_error(row[:2]) for row in blocks])


def test_noise_above_all_slowdowns_resolves_nothing():
    result = analysed(made(24, stormy))
    assert result["resolution"] is None
    assert all(effect["detected"] < 0.5 for effect in result["effects"])
    assert {design["resolution"] for design in result["settings"][0]["designs"]} == {None}
    json.dumps(result, allow_nan=False)


def test_faster_counts_as_false_alarm():
    def unslowed_variant_is_faster(cell: Cell, pass_number: int) -> float:
        return SECONDS * (0.9 if cell.contender.variant == "+0%" else 1.0) * (1 + 1e-4 * pass_number)

    result = analysed(replace(made(8, calm), seconds=unslowed_variant_is_faster))
    assert result["effects"][0]["detected"] == 1.0


def test_absent_slowdown_is_not_covered():
    result = analysed(replace(made(8, calm), seconds=lambda cell, pass_number: SECONDS))
    assert [effect["coverage"] for effect in result["effects"][1:]] == [0.0] * 5
    assert [effect["detected"] for effect in result["effects"]] == [0.0] * 6


def test_one_pass_back_to_back_is_a_trial(result):
    naive = result["settings"][0]["back_to_back"]
    assert [effect["trials"] for effect in naive] == [1] * 6
    assert naive[0]["detected"] == 0.0


def test_incomplete_pass_is_left_out():
    records = made(9, calm).records()
    last_block = max(index for index, record in enumerate(records) if type(record).__name__ == "Block")
    result = calibration.analyse(Run.of(records[:last_block]), made(1, calm).run())
    assert result["settings"][0]["passes_measured"] == 8


@pytest.mark.parametrize("which", ["in turns", "back to back"])
def test_contender_without_times_raises_its_reason(which):
    complete = made(8, calm)
    outcomes = {cell: Outcome("crashed", "it went away") for cell in complete.plan.cells[3:4]}
    broken = replace(complete, outcomes=outcomes)
    with pytest.raises(ValueError, match=r"^numpy: crashed: it went away$"):
        analysed(*((broken, complete) if which == "in turns" else (complete, broken)))


def effect(slowdown: float, detected: float) -> Effect:
    return Effect(slowdown, 3, detected, 0.0, 1.0, 0.95, 8.0)


@pytest.mark.parametrize(
    ("detected", "expected"),
    [
        ({0.0: 0.01, 0.01: 0.2, 0.02: 0.5, 0.03: 0.96, 0.05: 1.0}, 0.03),
        ({0.0: 0.0, 0.01: 0.95, 0.02: 1.0}, 0.01),
        ({0.0: 0.0, 0.01: 1.0, 0.02: 0.9, 0.03: 1.0}, 0.03),
        ({0.0: 0.0, 0.01: 0.9, 0.02: 0.94}, None),
        ({0.0: 1.0}, None),
        ({}, None),
        ({0.0: 0.0, 0.01: math.nan}, None),
    ],
)
def test_resolution_is_smallest_slowdown_with_all_larger_found(detected, expected):
    effects = [effect(slowdown, rate) for slowdown, rate in detected.items()]
    assert calibration.resolution(effects) == expected
    assert calibration.resolution(effects[::-1]) == expected


DESIGNS = [(5, 4, None), (5, 18, 0.05), (8, 18, 0.03), (12, 18, 0.02)]
CALIBRATED = {
    "settings": [
        {
            "threads": 1,
            "designs": [dict(zip(("passes", "rounds", "resolution"), design, strict=True)) for design in DESIGNS],
        }
    ]
}


@pytest.mark.parametrize(
    ("threads", "designs", "coarsest"),
    [
        ((1,), {1: 0.03}, 0.03),
        ((1, 2), {1: 0.03, 2: 0.05}, 0.05),
        ((1, 2), {1: 0.03, 2: None}, 0.1),  # not even 10 %, rather than what calm threads resolve
        ((1, 2), {1: 0.03}, 0.03),
        ((2,), {1: 0.03}, None),
    ],
)
def test_run_resolution_is_the_coarsest_of_its_thread_limits(threads, designs, coarsest):
    settings = [
        {"threads": thread_limit, "designs": [{"passes": 5, "rounds": 2, "resolution": resolved}]}
        for thread_limit, resolved in designs.items()
    ]
    plan = plan_of_cells([Contender("numpy", "cpu", "float32", thread_limit) for thread_limit in threads])
    run_started = replace(Story(plan).records()[0], calibration={"settings": settings})
    assert resolution.of_run(Run.of([run_started])) == coarsest


@pytest.mark.parametrize(
    ("threads", "passes", "rounds", "covered", "resolved"),
    [
        (1, 5, 18, True, 0.05),
        (1, 10, 40, True, 0.03),
        (1, 8, 17, True, None),
        (1, 99, 99, True, 0.02),
        (1, 4, 18, False, None),
        (1, 5, 3, False, None),
        (2, 8, 18, False, None),
    ],
)
def test_resolution_is_that_of_the_largest_design_within_the_run(threads, passes, rounds, covered, resolved):
    assert resolution.covers(CALIBRATED, threads, passes, rounds) is covered
    assert resolution.resolves(CALIBRATED, threads, passes, rounds) == resolved


def family(cells: int, passes: int | None, resolution: float | None, measure: str = "typical", rounds: int = 5):
    return {"measure": measure, "cells": cells, "passes": passes, "rounds": rounds, "resolution": resolution}


@pytest.mark.parametrize(
    ("cells", "measure", "tried", "resolved"),
    [
        (1, "typical", 1, 0.03),
        (2, "typical", 10, 0.05),
        (10, "typical", 10, 0.05),
        (11, "typical", 40, 0.1),
        (500, "typical", 40, 0.1),  # the most that was tried
        (11, "floor", 40, None),
        (1, "floor", 1, 0.02),
    ],
)
def test_resolution_is_that_of_a_run_with_no_fewer_cells(cells, measure, tried, resolved):
    families = [family(1, 5, 0.03), family(10, 5, 0.05), family(40, 5, 0.1), family(40, 5, None, "floor")]
    calibrated = {"settings": [{"threads": 1, "families": families, "designs": [family(1, 5, 0.02, "floor")]}]}
    assert resolution.tried_cells(calibrated, 1, cells) == tried
    assert resolution.covers(calibrated, 1, 5, 5, cells, measure)
    assert resolution.resolves(calibrated, 1, 5, 5, cells, measure) == resolved
    assert not resolution.covers(calibrated, 1, 4, 5, cells, measure)
    assert not resolution.covers(calibrated, 2, 5, 5, cells, measure)


def test_resolution_of_adaptive_run_depends_on_cells():
    auto = [{"slowdown": 0.03, "detected": 1.0}]
    families = [family(1, None, 0.03), family(40, None, 0.05), family(40, 5, 0.1)]
    calibrated = {"settings": [{"threads": 1, "families": families, "designs": [], "auto": auto}]}
    assert resolution.of_adaptive(calibrated, 1, 30, "typical") == 0.05
    assert resolution.of_adaptive({"settings": [{"threads": 1, "designs": [], "auto": auto}]}, 1, 30) == 0.03
