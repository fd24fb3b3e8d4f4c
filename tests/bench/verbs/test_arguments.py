"""Invalid arguments give one line, and the exit code 2."""

import ast

import pytest

from bench.__main__ import VERBS, main
from bench.measure.client import ROOT

USAGE_ERROR = 2
SIZES = ["--D-in", "3", "--H", "4"]


def complaint(capsys, *arguments):
    """Run `main` and return its one line on standard error."""
    try:
        code = main(arguments)
    except SystemExit as exit_:  # as argparse ends
        code = exit_.code
    assert code == USAGE_ERROR
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["report", ""], "an empty value"),
        (["report", "x", "--json", ""], "--json: an empty value"),
        (["report", "x", "--json="], "--json: an empty value"),
        (["history", "--results", ""], "--results: an empty value"),
        (["history", "--cell", ""], "--cell: an empty value"),
        (["ab", "--base", ""], "--base: an empty value"),
        (["compare", "", "b"], "an empty value"),
        (["recommend", "--N", "١", *SIZES], "--N: '١' is not a whole number"),
        (["recommend", "--N", "1_0", *SIZES], "--N: '1_0' is not a whole number"),
        (["recommend", "--N", "9" * 23, *SIZES], "is not a whole number of at most 1000000000"),
        (["recommend", "--N", "nan", *SIZES], "--N: 'nan' is not a whole number"),
        (["reprot"], "did you mean 'report'?"),
        (["export", "x", "--format", "cvs"], "did you mean 'csv'?"),
        (["compare", "a", "b", "--fail-on", "slowr"], "did you mean 'slower'?"),
        (["history", "--since", "9" * 5000 + "d"], "--since: "),
        (["history", "--since", "١d"], "--since: "),
        (["history", "--results", "a" * 300], "File name too long"),
        (["report", "a" * 5000], "File name too long"),
        (["calibrate", "--time-budget", "nan"], "--time-budget: 'nan' is not a time"),
        (["calibrate", "--time-budget", "9" * 20 + "h"], "--time-budget: "),
        (["calibrate", "--implementation", "os:path"], "'path' is a module in os, not the class of a network"),
        (["ab", "--base", "a" * 300], "--base: "),
        (["ab", "--base", ".", "--grid", "/dev/zero"], "--grid: there is no grid"),
        (["ab", "--base", ".", "--N", "9" * 23], "--N: "),
        (["doctor", "--\x1b[31mred"], r"--\x1b[31mred"),
    ],
)
def test_invalid_argument_gives_one_line(capsys, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in complaint(capsys, *arguments)
    assert not list(tmp_path.iterdir())


def test_verbs_print_only_through_output():
    for verb in VERBS.values():
        tree = ast.parse((ROOT / "bench" / "verbs" / verb.__file__.rpartition("/")[2]).read_text(encoding="utf-8"))
        called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
        assert "print" not in called, verb
