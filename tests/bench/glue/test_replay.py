"""Samples reach pytest-benchmark unchanged, and tests know their cells."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from bench.glue import replay
from bench.glue.replay import Outcome, ReplayClock, Samples, marks_of
from bench.measure.client import ROOT
from bench.plan.cells import Cell, Contender, Shape

AWKWARD = [0.1 + 0.2, 1e-9 / 3, 5e-324, 2.0**-1022, math.nextafter(1.0, 2.0), 1 / 3, 123456.789, 3e-7, 3e-7]

REPLAYED = f"""
import pytest
from bench.glue import replay
from bench.glue.replay import Outcome, Samples

AWKWARD = {AWKWARD!r}
HUNDRED = [second / 7919 for second in range(1, 101)]
pytestmark = pytest.mark.benchmark(group="outer", min_rounds=3)


@pytest.fixture
def clock(request):
    return request.node.stash["clock"]


def samples(clock, outcome):
    return Samples(outcome, clock)


def test_awkward(clock, request):
    benchmark = request.getfixturevalue("benchmark")
    samples(clock, Outcome("ok", "", tuple(AWKWARD), {{"seconds": 0.25, "verdict": None}})).replay(benchmark)


@pytest.mark.benchmark(group="inner", warmup=False)
def test_hundred(clock, request):
    benchmark = request.getfixturevalue("benchmark")
    samples(clock, Outcome("ok", "", tuple(HUNDRED))).replay(benchmark)


def test_one(clock, request):
    benchmark = request.getfixturevalue("benchmark")
    samples(clock, Outcome("ok", "", (0.125,))).replay(benchmark)


def test_failed(clock, request):
    benchmark = request.getfixturevalue("benchmark")
    samples(clock, Outcome("wrong", "gradient of w1: error 2, tolerance 1")).replay(benchmark)


def test_skipped(request):
    replay.samples_or_skip(request.node, Outcome("unavailable", "CuPy is not installed"))


def test_unsupported(request):
    replay.samples_or_skip(request.node, Outcome("unsupported", "no cuda"))
"""

CLOCKS = """
import pytest
from bench.glue import replay


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        item.stash["clock"] = replay.ReplayClock()
        for mark in replay.MARKS:
            item.add_marker(mark)
        replay.give_clock(item, item.stash["clock"])
"""


def test_samples_reach_pytest_benchmark_bit_for_bit(pytester):
    pytester.makepyfile(test_replayed=REPLAYED)
    pytester.makeconftest(CLOCKS)
    pytester.makeini(f"[pytest]\npythonpath = {ROOT}")
    result = pytester.runpytest_subprocess("--benchmark-json=out.json", "-rs", "-W", "error")
    result.assert_outcomes(passed=3, failed=1, skipped=2)
    output = result.stdout.str()
    assert "wrong: gradient of w1: error 2, tolerance 1" in output
    assert "unavailable: CuPy is not installed" in output
    assert "unsupported: no cuda" in output
    assert "Traceback" not in output
    report = json.loads((pytester.path / "out.json").read_text())
    benchmarks = {benchmark["name"]: benchmark for benchmark in report["benchmarks"]}
    assert benchmarks.keys() == {"test_awkward", "test_hundred", "test_one"}
    samples = {name: benchmark["stats"]["data"] for name, benchmark in benchmarks.items()}
    assert samples == {"test_awkward": AWKWARD, "test_hundred": [s / 7919 for s in range(1, 101)], "test_one": [0.125]}
    for benchmark in benchmarks.values():
        assert benchmark["stats"]["rounds"] == len(benchmark["stats"]["data"])
        assert benchmark["stats"]["iterations"] == 1
    assert benchmarks["test_awkward"]["group"] == "outer"
    assert benchmarks["test_awkward"]["options"]["min_rounds"] == 3, "the outer marker is merged"
    assert benchmarks["test_hundred"]["group"] == "inner"
    assert benchmarks["test_awkward"]["extra_info"] == {"seconds": 0.25, "verdict": None}


class FakeBenchmark:
    """A benchmark fixture with the part of `pedantic` that a replay uses."""

    def __init__(self, timer):
        self.timer, self.extra_info, self.seconds, self.calls = timer, {}, [], 0

    def pedantic(self, target, setup=None, rounds=1):
        for _ in range(rounds):
            if setup:
                setup()
            before = self.timer()
            target()
            self.calls += 1
            self.seconds.append(self.timer() - before)


def test_each_round_takes_one_sample():
    clock = ReplayClock()
    benchmark = FakeBenchmark(clock)
    Samples(Outcome("ok", "", tuple(AWKWARD), {"passes": 2}), clock).replay(benchmark)
    assert benchmark.seconds == AWKWARD
    assert benchmark.extra_info == {"passes": 2}


def test_without_samples_the_fixture_is_called_once():
    benchmark = FakeBenchmark(ReplayClock())
    Samples(Outcome("ok"), ReplayClock()).replay(benchmark)
    assert (benchmark.calls, benchmark.extra_info) == (1, {})


@pytest.mark.parametrize("status", ["wrong", "crashed", "timeout", "out_of_memory", "not_run"])
def test_failed_cell_fails_with_its_reason_and_runs_nothing(status):
    benchmark = FakeBenchmark(ReplayClock())
    with pytest.raises(pytest.fail.Exception, match=f"^{status}: the reason$"):
        Samples(Outcome(status, "the reason", (1.0,)), ReplayClock()).replay(benchmark)
    assert benchmark.calls == 0


def test_marks_are_phase_implementation_device_and_dtype():
    cell = Cell(Contender("my.module:MyNet", "cuda:1", "float32", 2), Shape(1, 2, 3), "step")
    assert marks_of(cell) == ["step", "my_module_MyNet", "cuda", "float32"]


def item_of(**changes):
    params = {"implementation": "numpy", "device": "cpu", "dtype": "float32", "threads": "all"}
    params |= {"N": 1, "D_in": 2, "H": 3, "D_out": 4}
    settings = {
        "callspec": SimpleNamespace(params=params),
        "originalname": "test_step",
        "name": "test_step[numpy-cpu-float32-N1-D2-H3-O4]",
        "fixturenames": ["samples", "benchmark"],
        "stash": pytest.Stash(),
    }
    return SimpleNamespace(**settings | changes)


def test_item_has_its_cell_and_one_clock():
    item, other_item = item_of(), item_of()
    assert replay.cell_of(item) == Cell(Contender("numpy", "cpu", "float32"), Shape(1, 2, 3, 4), "step")
    assert replay.clock_of(item) is replay.clock_of(item)
    assert replay.clock_of(item) is not replay.clock_of(other_item)
    samples = replay.samples_or_skip(item, Outcome("ok", "", (1.0,)))
    assert samples.clock is replay.clock_of(item)


@pytest.mark.parametrize(
    "changes", [{"callspec": None}, {"originalname": "test_other"}, {"fixturenames": ["benchmark"]}]
)
def test_other_test_items_have_no_cell_and_no_clock(changes):
    assert replay.cell_of(item_of(**changes)) is None
    assert replay.clock_of(item_of(**changes)) is None
