"""Calibrations that never happened, in which some rounds were disturbed and took longer for it."""

from dataclasses import replace

import pytest

from bench.analyse.machine import set_aside
from bench.analyse.run.run import Run
from bench.measure import calibrate
from bench.measure.records import Block, Record
from bench.report.machine import set_aside as shown
from tests.bench.made import Story, disturbed

PASSES, ROUNDS = 12, 6


def calibration(hit: int = 3, threads: tuple[int, ...] = (1,), passes: int = PASSES) -> list[Record]:
    """Even blocks, but for the first `hit` rounds of each pass, in which the reference was disturbed in even passes and
    all the others in odd ones, and took longer by a factor that differs from pass to pass."""
    plan = replace(calibrate.plan_of("numpy", threads, 1), rounds=ROUNDS, passes=5)

    def was_hit(block: Block) -> bool:
        return block.round <= hit and ("~reference]" in block.cell) == (block.pass_number % 2 == 0)

    def seconds(cell, pass_number):
        return 1e-3 * (1 + calibrate.VARIANTS[cell.contender.variant])

    told = Story(plan, seconds=seconds, passes=passes).records()
    delayed = [
        replace(record, seconds=[(1.5 + record.pass_number / 10) * second for second in record.seconds])
        if isinstance(record, Block) and was_hit(record)
        else record
        for record in told
    ]
    return disturbed(delayed, others=0.4, where=was_hit)


def sides(records: list[Record]) -> tuple[list[Block], list[Block]]:
    """The blocks of the reference, and of the one that is slowed by 1 %."""
    blocks = [record for record in records if isinstance(record, Block)]
    reference, slowed = (
        [block for block in blocks if block.cell.endswith(f"~{name}]")] for name in ("reference", "+1%")
    )
    return reference, slowed


def test_what_was_disturbed_is_set_aside_and_with_it_its_noise():
    [result] = set_aside.trial(Run.of(calibration()))
    assert result["set_aside"] == 0.5
    assert result["typical"]["all"]["noise"] > 0.01
    for name in set_aside.QUANTITIES:
        assert result[name]["kept"]["noise"] == pytest.approx(0, abs=1e-9)
        rates = {one["slowdown"]: one["detected"] for one in result[name]["kept"]["detected"]}
        rates.pop(0.02)  # the minimum effect itself, of which rounding decides
        assert rates == {0.0: 0, 0.01: 0, 0.03: 1, 0.05: 1, 0.1: 1}
    assert {one["detected"] for one in result["typical"]["all"]["detected"] if one["slowdown"] == 0.03} != {1}


def test_a_quiet_calibration_comes_to_the_same_either_way():
    [result] = set_aside.trial(Run.of(calibration(hit=0)))
    assert result["set_aside"] == 0
    assert result["passes"] == PASSES
    for name in set_aside.QUANTITIES:
        assert result[name]["kept"] == result[name]["all"]
    assert shown.text([result]) == "1 thread, disturbed rounds set aside: there were none"


def test_no_more_than_half_of_a_pass_is_set_aside_the_most_disturbed_rounds_first():
    told = [
        replace(record, waited_seconds=record.round / 10, others_seconds=record.round / 10)
        if isinstance(record, Block)
        else record
        for record in calibration(hit=ROUNDS)
    ]
    for both, kept in set_aside._pairs(*sides(told), rounds=ROUNDS):
        assert [block.round for block, _ in both] == [1, 2, 3, 4, 5, 6]
        assert [block.round for block, _ in kept] == [1, 2, 3]
    [result] = set_aside.trial(Run.of(told))
    assert result["set_aside"] == 0.5


def test_a_pass_that_was_cut_off_does_not_count():
    told = calibration()
    last = max(place for place, record in enumerate(told) if isinstance(record, Block))
    [result] = set_aside.trial(Run.of(told[:last] + told[last + 1 :]))
    assert result["passes"] == PASSES - 1


def test_fewer_passes_than_a_trial_has_tell_the_noise_alone():
    [result] = set_aside.trial(Run.of(calibration(passes=4)))
    for name in set_aside.QUANTITIES:
        for way in ("all", "kept"):
            assert result[name][way]["noise"] is not None
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
    [result] = set_aside.trial(Run.of(plain))
    assert result["set_aside"] == 0


def test_each_thread_limit_has_its_own_lines():
    results = set_aside.trial(Run.of(calibration(threads=(1, 2))))
    lines = shown.text(results).splitlines()
    assert [line.split(",")[0] for line in lines] == ["1 thread", "1 thread", "2 threads", "2 threads"]
    assert all("with disturbed rounds set aside (" in line for line in lines)
    assert "the noise of a pass's typical time is " in lines[1]
    assert "false alarms are 0 % instead of " in lines[1]
