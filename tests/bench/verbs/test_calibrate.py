"""`python -m bench calibrate` on an invented machine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.__main__ import USAGE_ERROR, main
from bench.measure import calibrate, calibrations, machine
from tests.bench.made import MACHINE, Outcome, Story, write_journal


@pytest.fixture
def measurements(monkeypatch):
    """The arguments of each measurement; its journals are written with known times."""
    calls = []
    monkeypatch.setattr(machine, "usable_processors", lambda: 2)

    def measure(plan, folder, seconds, path, notify):
        calls.append((plan, folder, seconds))
        plan = replace(plan, rounds=6)
        story = Story(
            plan,
            seconds=lambda cell, pass_number: (
                1e-3 * (1 + calibrate.VARIANTS[cell.contender.variant]) * (1 + 1e-6 * pass_number * len(cell.key))
            ),
            outcomes={plan.cells[2]: Outcome("crashed", "it went away")} if seconds == 13 else {},
        )
        folders = folder / "in-turns", folder / "back-to-back"
        for run_folder, passes in zip(folders, (8, 1), strict=True):
            write_journal(run_folder, replace(story, passes=passes).records())
        return folders

    monkeypatch.setattr(calibrate, "measure", measure)
    return calls


def test_result_is_printed_and_stored(tmp_path, measurements, capsys):
    assert main(["calibrate", "--results", str(tmp_path), "--json", str(tmp_path / "result.json")]) == 0
    [(plan, folder, seconds)] = measurements
    assert seconds == 540
    assert folder.parent == tmp_path / calibrations.FOLDER
    assert {cell.contender.threads for cell in plan.cells} == {1, 2}
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["resolution"] == 0.03
    assert calibrations.stored(tmp_path, dict(MACHINE)) == result
    printed = capsys.readouterr().out
    assert "Timing numpy against itself for 9m" in printed
    assert "Resolution: 3 %" in printed
    assert f"kept in {tmp_path / calibrations.FOLDER}" in printed


def test_options_choose_what_is_measured(tmp_path, measurements):
    options = ["--implementation", "torch", "--threads", "2", "--time-budget", "90s"]
    assert main(["calibrate", "--results", str(tmp_path), *options]) == 0
    [(plan, _, seconds)] = measurements
    assert seconds == 90
    assert {(cell.contender.implementation, cell.contender.threads) for cell in plan.cells} == {("torch", 2)}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--time-budget", "soon"], "--time-budget: 'soon' is not a time like 90s, 5m or 1h"),
        (["--threads", "many"], "--threads: 'many' is not a whole number of at least 1, nor 'all'"),
        (["--threads", "3"], "--threads: 3 is more than the 2 processors usable here"),
        (["--threads", "1,1"], "--threads: 1 stands there twice"),
        (["--implementation", "nope"], "--implementation: there is no implementation 'nope'"),
        (["--implementation", "cupy"], "--implementation: cupy runs on cuda only; this calibrates the host"),
        (["--time-budget", "13s"], "numpy: crashed: it went away"),
    ],
)
def test_failure_gives_one_line_and_stores_nothing(tmp_path, measurements, capsys, options, complaint):
    assert main(["calibrate", "--results", str(tmp_path), *options]) == USAGE_ERROR
    error = capsys.readouterr().err
    assert error.startswith("python -m bench calibrate: ")
    assert complaint in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("calibrations/*.json"))
