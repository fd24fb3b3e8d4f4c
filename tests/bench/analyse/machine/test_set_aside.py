"""Tests of setting rounds aside, from made calibrations in which some rounds were disturbed and took longer."""

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
    """Return equal blocks, except in the first `hit` rounds of each pass: there the reference was disturbed in even
    passes and all the others in odd ones, and took longer by a factor that differs from pass to pass."""
    plan = replace(calibrate.plan_of("numpy", threads, 1), rounds=ROUNDS, passes=5)

    def was_disturbed(block: Block) -> bool:
        return block.round <= hit and ("~reference]" in block.cell) == (block.pass_number % 2 == 0)

    def seconds(cell, pass_number):
        return 1e-3 * (1 + calibrate.VARIANTS[cell.contender.variant])

    records = Story(plan, seconds=seconds, passes=passes).records()
    delayed = [
        replace(record, seconds=[(1.5 + record.pass_number / 10) * second for second in record.seconds])
        if isinstance(record, Block) and was_disturbed(record)
        else record
        for record in records
    ]
    return disturbed(delayed, others=0.4, where=was_disturbed)


def sides(records: list[Record]) -> tuple[list[Block], list[Block]]:
    """Return the blocks of the reference, and of the contender that is slowed by 1 %."""
    blocks = [record for record in records if isinstance(record, Block)]
    reference, slowed = (
        [block for block in blocks if block.cell.endswith(f"~{name}]")] for name in ("reference", "+1%")
    )
    return reference, slowed


def test_setting_disturbed_rounds_aside_removes_their_noise():
    [result] = set_aside.trial(Run.of(calibration()))
    assert result["set_aside"] == 0.5
    assert result["typical"]["all"]["noise"] > 0.01
    for name in set_aside.QUANTITIES:
        assert result[name]["kept"]["noise"] == pytest.approx(0, abs=1e-9)
        rates = {effect["slowdown"]: effect["detected"] for effect in result[name]["kept"]["detected"]}
        rates.pop(0.02)  # at the minimum effect itself, rounding decides
        assert rates == {0.0: 0, 0.01: 0, 0.03: 1, 0.05: 1, 0.1: 1}
    assert {effect["detected"] for effect in result["typical"]["all"]["detected"] if effect["slowdown"] == 0.03} != {1}


def test_quiet_calibration_is_unchanged():
    [result] = set_aside.trial(Run.of(calibration(hit=0)))
    assert result["set_aside"] == 0
    assert result["passes"] == PASSES
    for name in set_aside.QUANTITIES:
        assert result[name]["kept"] == result[name]["all"]
    assert shown.text([result]) == "1 thread, disturbed rounds set aside: there were none"


def test_at_most_the_most_disturbed_half_is_set_aside():
    records = [
        replace(record, waited_seconds=record.round / 10, others_seconds=record.round / 10)
        if isinstance(record, Block)
        else record
        for record in calibration(hit=ROUNDS)
    ]
    for all_rounds, kept_rounds in set_aside._pairs(*sides(records), rounds=ROUNDS):
        assert [block.round for block, _ in all_rounds] == [1, 2, 3, 4, 5, 6]
        assert [block.round for block, _ in kept_rounds] == [1, 2, 3]
    [result] = set_aside.trial(Run.of(records))
    assert result["set_aside"] == 0.5


def test_incomplete_pass_does_not_count():
    records = calibration()
    last_block = max(index for index, record in enumerate(records) if isinstance(record, Block))
    [result] = set_aside.trial(Run.of(records[:last_block] + records[last_block + 1 :]))
    assert result["passes"] == PASSES - 1


def test_too_few_passes_give_only_the_noise():
    [result] = set_aside.trial(Run.of(calibration(passes=4)))
    for name in set_aside.QUANTITIES:
        for rounds in ("all", "kept"):
            assert result[name][rounds]["noise"] is not None
            assert result[name][rounds]["detected"] is None
            assert result[name][rounds]["resolution"] is None
    assert "too few passes to say what is found" in shown.text([result])


def test_calibration_without_counts_sets_nothing_aside():
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
