"""Calibrations that never happened, in which some rounds were disturbed and took longer for it."""

import random
from dataclasses import replace

import pytest

from bench.analyse import set_aside
from bench.measure import calibrate
from bench.measure.records import Block, Record
from bench.report import set_aside as shown
from tests.bench.made import Story, disturbed

PASSES = 12
HIT = 0.2
"""The share of blocks that are disturbed."""
DELAY = 1.5
"""What a disturbed block takes, times its usual."""


def calibration(hit: float = HIT, threads: tuple[int, ...] = (1,), seed: int = 0) -> list[Record]:
    """Every block is even but for those that were disturbed, which are `hit` of all."""
    plan = replace(calibrate.plan_of("numpy", threads, 1), rounds=6, passes=5)

    def seconds(cell, passage):
        return 1e-3 * (1 + calibrate.VARIANTS[cell.contender.variant])

    told = Story(plan, seconds=seconds, passes=PASSES).records()
    draw = random.Random(seed)
    chosen = {id(record) for record in told if isinstance(record, Block) and draw.random() < hit}
    places = {
        (record.passage, record.round, record.cell)
        for record in told
        if isinstance(record, Block) and id(record) in chosen
    }
    slowed = [
        replace(record, seconds=[DELAY * draw.uniform(1, 2) * second for second in record.seconds])
        if id(record) in chosen
        else record
        for record in told
    ]
    return disturbed(slowed, others=0.4, where=lambda block: (block.passage, block.round, block.cell) in places)


def test_what_was_disturbed_is_set_aside_and_with_it_its_noise():
    [result] = set_aside.trial(calibration())
    assert result["set_aside"] == pytest.approx(1 - (1 - HIT) ** 2, abs=0.1)  # either side's is both sides'
    assert result["typical"]["all"]["noise"] > 0.01
    for name in set_aside.QUANTITIES:
        assert result[name]["kept"]["noise"] == pytest.approx(0, abs=1e-9)
        rates = {one["slowdown"]: one["detected"] for one in result[name]["kept"]["detected"]}
        rates.pop(0.02)  # the minimum effect itself, of which rounding decides
        assert rates == {0.0: 0, 0.01: 0, 0.03: 1, 0.05: 1, 0.1: 1}


def test_a_quiet_calibration_comes_to_the_same_either_way():
    [result] = set_aside.trial(calibration(hit=0.0))
    assert result["set_aside"] == 0
    assert result["passes"] == PASSES
    for name in set_aside.QUANTITIES:
        assert result[name]["kept"] == result[name]["all"]
    assert shown.text([result]) == "1 thread, disturbed rounds set aside: there were none"


def test_passes_with_too_few_rounds_left_count_neither_way():
    [result] = set_aside.trial(calibration(hit=0.6))
    assert result["passes"] < 5 < result["passes_measured"]
    for name in set_aside.QUANTITIES:
        for way in ("all", "kept"):
            assert result[name][way]["detected"] is None
            assert result[name][way]["resolution"] is None
    assert "too few passes to say what is found" in shown.text([result])


def test_a_calibration_without_counts_has_nothing_to_set_aside():
    plain = [
        replace(record, processor_seconds=None, others_seconds=None, stolen_seconds=None)
        if isinstance(record, Block)
        else record
        for record in calibration()
    ]
    [result] = set_aside.trial(plain)
    assert result["set_aside"] == 0


def test_each_thread_limit_has_its_own_lines():
    results = set_aside.trial(calibration(threads=(1, 2)))
    lines = shown.text(results).splitlines()
    assert [line.split(",")[0] for line in lines] == ["1 thread", "1 thread", "2 threads", "2 threads"]
    assert all("with disturbed rounds set aside (" in line for line in lines)
    assert "the noise of a pass's typical time is " in lines[1]
    assert "false alarms are 0 % instead of " in lines[1]
