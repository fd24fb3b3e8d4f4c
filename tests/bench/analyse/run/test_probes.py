"""Passes that only probe have the limits of those that measured all, changed by as much as their probes tell."""

from dataclasses import replace

import pytest

from bench.analyse.estimates.statistics import UNKNOWN
from bench.analyse.run.ceilings import closeness, drift
from bench.analyse.run.run import Run
from bench.measure.records import Calls, Ceiling
from bench.plan.cells import Cell
from bench.report.run import ceilings as shown
from tests.bench.made import NUMPY, SMALL, TORCH, Story, plan_of_cells

MIB = 2**20
FULL = (1, 5)


def run(pace=lambda pass_number: 1.0, bandwidth=lambda pass_number: 1.0, calls=(), passes=6):
    """A run of passes of which FULL measure all ceilings and the others one product and one copy."""
    records = Story(replace(plan_of_cells((NUMPY, TORCH), passes=passes), ceilings=(NUMPY, TORCH))).records()
    ceilings = []
    for number in range(1, passes + 1):
        for contender, faster in ((NUMPY, 1), (TORCH, 2)):
            products = {"8x8x8": 1e11 * faster * pace(number)}
            copies = {str(MIB): 4e10 * faster * bandwidth(number)}
            if number in FULL:
                products |= {"64x64x64": 1.5e11 * faster * pace(number)}
                copies |= {str(128 * MIB): 1e10 * bandwidth(number)}
            label, is_probe = contender.label, number not in FULL
            ceilings.append(Ceiling(1, number, label, products, copies, probe=is_probe))
    return Run.of([*records[:-1], *ceilings, *calls, records[-1]])


def test_probed_passes_have_the_limits_of_the_full_ones():
    by_pass = run().limits[NUMPY.place]
    assert list(by_pass) == [1, 2, 3, 4, 5, 6]
    assert [limits.product.rate for limits in by_pass.values()] == [pytest.approx(3e11)] * 6
    assert by_pass[2].streams.keys() == by_pass[1].streams.keys() == {MIB, 128 * MIB}
    assert (by_pass[3].product.by, by_pass[3].streams[MIB].by) == ("torch", "torch")


def test_limits_of_a_probed_pass_change_with_its_probes():
    by_pass = run(lambda number: 0.8 if number == 3 else 1.0, lambda number: 0.5 if number == 4 else 1.0).limits[
        NUMPY.place
    ]
    assert by_pass[3].product.rate == pytest.approx(0.8 * 3e11)
    assert by_pass[4].streams[128 * MIB].rate == pytest.approx(0.5 * 1e10)
    assert by_pass[2].product.rate == by_pass[4].product.rate == pytest.approx(3e11)


def test_full_pass_that_was_slower_does_not_slow_the_probed_ones():
    by_pass = run(lambda number: 0.5 if number == 1 else 1.0).limits[NUMPY.place]
    assert by_pass[1].product.rate == pytest.approx(0.5 * 3e11)
    assert by_pass[2].product.rate == pytest.approx(3e11)


def test_drift_is_seen_by_probes_alone():
    moved = drift(run(lambda number: 0.8 if number == 3 else 1.0))
    assert [(each.pass_number, each.what, round(each.change, 6)) for each in moved] == [(3, "products", -0.2)]


def test_run_that_ended_before_a_probe_has_limits_of_what_it_measured():
    assert list(run(passes=1).limits[NUMPY.place]) == [1]
    assert list(run(passes=2).limits[NUMPY.place]) == [1, 2]


def test_call_binds_where_it_takes_half_of_the_time_and_no_limit_does():
    cell, limits = Cell(NUMPY, SMALL, "step"), run().limits[NUMPY.place]
    seconds = dict.fromkeys(limits, 1.0)
    assert closeness(cell, seconds, {}, limits, 10, call=0.6).bound == "call"
    assert closeness(cell, seconds, {}, limits, 10, call=0.4).bound == "overhead"
    least = limits[1].compute_seconds(cell, 10)
    assert closeness(cell, dict.fromkeys(limits, least), {}, limits, 10, call=least).bound == "compute"
    assert closeness(cell, {}, {}, limits, 10, call=1.0).fraction is UNKNOWN


def test_calls_are_the_median_of_their_passes_and_stand_in_the_report():
    calls = [
        Calls(1, number, NUMPY.label, {"step": seconds}) for number, seconds in zip((1, 5), (1e-6, 3e-6), strict=True)
    ]
    failed = Calls(2, 1, TORCH.label, reason="crashed: it cannot")
    made = run(calls=[*calls, failed])
    assert made.call_seconds == {NUMPY: {"step": pytest.approx(2e-6)}}
    assert "### A call without work" in shown.section(made)
    assert "| 2.00 µs" in shown.section(made)
    assert "### A call without work" not in shown.section(run())


def test_cell_as_quick_as_its_call_is_bound_by_it():
    usual = run()
    slow = float(usual.timings["seconds"].iloc[0])
    made = run(calls=[Calls(1, 1, NUMPY.label, {"step": 0.6 * slow})])
    assert list(usual.timings["bound"]) != list(made.timings["bound"])
    assert made.timings["bound"].iloc[0] == "call"
