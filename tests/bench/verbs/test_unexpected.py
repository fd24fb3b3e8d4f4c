"""Unexpected errors in every verb."""

import re
from pathlib import Path

import pytest

from bench import __main__ as verbs

ARGUMENTS = {
    "ab": ["--base", ".", "--head", "."],
    "calibrate": [],
    "check": ["numpy"],
    "compare": ["a", "b"],
    "design": ["a"],
    "doctor": [],
    "export": ["a", "--format", "bencher"],
    "history": [],
    "new": ["mine"],
    "recommend": ["--N", "1", "--D-in", "1", "--H", "1"],
    "report": ["a"],
    "selfcheck": [],
}


@pytest.mark.parametrize("error", [ZeroDivisionError("no\nway"), KeyError("x"), RecursionError(), MemoryError()])
@pytest.mark.parametrize("verb", verbs.VERBS)
def test_unexpected_error_gives_exit_code_2_and_a_traceback_file(verb, error, monkeypatch, capsys):
    def run(arguments):
        raise error

    monkeypatch.setattr(verbs.VERBS[verb], "run", run)
    assert verbs.main([verb, *ARGUMENTS[verb]]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m bench {verb}: something unexpected happened: {type(error).__name__}")
    file = Path(re.search(r"report it with (.+)$", line)[1])
    assert "in run" in file.read_text(encoding="utf-8")
    file.unlink()
