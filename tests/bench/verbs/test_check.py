"""`python -m bench check`: exit codes and complaints; its checks are tested where they are."""

from __future__ import annotations

import pytest

from bench.__main__ import USAGE_ERROR, main
from bench.measure import checking
from bench.measure.checking import FAILED, NOT_RUN, PASSED, Impossible, Outcome
from bench.plan.cells import DTYPES


@pytest.fixture
def asked(monkeypatch):
    """The questions that the verb asks, which are answered by `outcomes`."""
    questions = []
    outcomes = [Outcome("class", PASSED, "numpy 2", "", "cpu", "float32")]
    monkeypatch.setattr(checking, "check", lambda question: questions.append(question) or outcomes)
    return questions, outcomes


def test_defaults_are_all_devices_dtypes_and_processors(asked, capsys):
    assert main(["check", "numpy"]) == 0
    [question] = asked[0]
    assert (question.devices, question.dtypes, question.threads, question.timeout) == ((), (), None, 60.0)
    first, _, *lines = capsys.readouterr().out.splitlines()
    assert first == "Checking numpy; no check may take longer than 60s."
    assert lines[0] == "class         passed   numpy 2"


def test_options_are_taken(asked):
    main(["check", "numpy", "--device", "cuda:1,cpu", "--dtype", "float64", "--threads", "1", "--timeout", "2m"])
    [question] = asked[0]
    assert (question.devices, question.dtypes) == (("cuda:1", "cpu"), ("float64",))
    assert (question.threads, question.timeout) == (1, 120.0)


@pytest.mark.parametrize(("status", "code"), [(PASSED, 0), (FAILED, 1), (NOT_RUN, 0)])
def test_exit_code_is_1_where_a_check_has_failed(asked, status, code):
    asked[1].append(Outcome("order", status, "seen", "why", "cpu", "float32"))
    assert main(["check", "numpy"]) == code


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["numpy", "--dtype", "float6"],
            f"--dtype: 'float6' is not one of {', '.join(DTYPES)}; did you mean 'float64'?",
        ),
        (["numpy", "--device", "cpu,cpu"], "--device: 'cpu' stands there twice"),
        (["numpy", "--threads", "0"], "--threads: 0 is not a whole number of at least 1"),
        (["numpy", "--timeout", "soon"], "--timeout: 'soon' is not a time like 90s, 5m or 1h"),
        (["nope:Net"], "nope:Net: there is no module 'nope'"),
    ],
)
def test_what_cannot_be_done_gives_one_line(capsys, arguments, complaint):
    assert main(["check", *arguments]) == USAGE_ERROR
    assert capsys.readouterr().err == f"python -m bench check: {complaint}\n"


def test_missing_framework_gives_one_line_and_no_failure(monkeypatch, capsys):
    def check(question):
        raise Impossible("cupy: unavailable, CuPy is not installed: pip install cupy")

    monkeypatch.setattr(checking, "check", check)
    assert main(["check", "cupy"]) == USAGE_ERROR
    assert (
        capsys.readouterr().err == "python -m bench check: cupy: unavailable, CuPy is not installed: pip install cupy\n"
    )
