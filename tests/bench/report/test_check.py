"""A line a check, over its shapes and dtypes."""

from __future__ import annotations

from bench.measure.checking import FAILED, INFORMATION, NOT_RUN, PASSED, Outcome
from bench.plan.cells import Shape
from bench.report import check

SHAPE, OTHER = Shape(64, 1000, 100), Shape(7, 11, 5, 3)


def outcome(name, status=PASSED, reason="seen", shape=SHAPE, dtype="float32", share=0.0):
    return Outcome(name, status, reason, f"{name} matters.", "cpu", dtype, shape, share, 0.25)


def test_a_good_class_has_a_line_for_each_check():
    outcomes = [
        outcome("class", shape=None),
        *(outcome("prediction", shape=shape, share=share) for shape, share in ((SHAPE, 0.02), (OTHER, 0.114))),
        outcome("prediction", dtype="float64", share=0.05),
        outcome("work"),
        outcome("overhead", INFORMATION, "forward 2 µs"),
    ]
    assert check.text("mine", outcomes).splitlines() == [
        "class         passed   seen",
        "prediction    passed   errors within 11 % of their tolerance, at N=7 D_in=11 H=5 D_out=3 in float32 on cpu",
        "work          passed   seen",
        "overhead      seen     forward 2 µs",
        "",
        "mine: 3 of 3 checks passed on cpu in float32, float64, in 1.50 s",
    ]


FAILING = [
    outcome("prediction"),
    outcome("prediction", FAILED, "error 1", OTHER),
    outcome("prediction", FAILED, "error 2", dtype="float64"),
    outcome("work", NOT_RUN, "its process has ended"),
]


def test_a_failed_check_names_its_first_shape_and_why_it_matters():
    assert check.text("mine", FAILING).splitlines() == [
        "prediction    FAILED   2 of 3 times, first at N=7 D_in=11 H=5 D_out=3 in float32 on cpu: error 1",
        "                       Why it matters: prediction matters.",
        "work          not run  its process has ended",
        "",
        "mine: 0 of 2 checks passed on cpu in float32, float64, in 1.00 s",
    ]


def test_lines_are_broken_at_the_width_of_a_terminal():
    lines = check.text("mine", FAILING, width=70).splitlines()
    assert lines[:4] == [
        "prediction    FAILED   2 of 3 times, first at N=7 D_in=11 H=5 D_out=3",
        "                       in float32 on cpu: error 1",
        "                       Why it matters: prediction matters.",
        "work          not run  its process has ended",
    ]


def test_data_has_each_shape_and_dtype():
    first, *_ = check.data(FAILING)
    assert first == {
        "name": "prediction",
        "status": "passed",
        "reason": "seen",
        "why": "prediction matters.",
        "shape": [64, 1000, 100, 10],
        "dtype": "float32",
        "device": "cpu",
        "seconds": 0.25,
    }
    assert check.data([outcome("class", shape=None)])[0]["shape"] is None
