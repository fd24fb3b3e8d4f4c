import json
import os

import pytest

from bench.measure import calibrations, machine

FACTS = {
    "host": "here",
    "cpu": "a processor",
    "architecture": "x86_64",
    "processors": 4,
    "usable_processors": 2,
    "accelerators": ["cuda"],
    "python": "CPython 3.11.7",
    "source": "v1",
}


def calibration_with(resolution):
    return {
        "started": "2026-01-01T00:00:00+00:00",
        "resolution": resolution,
        "settings": [
            {
                "threads": 1,
                "designs": [{"passes": 5, "rounds": 5, "resolution": resolution}],
                "auto": [{"slowdown": 0.03, "detected": 1.0}],
            }
        ],
    }


def test_calibration_is_stored_for_its_machine(tmp_path):
    assert calibrations.stored(tmp_path, FACTS) is None
    folder = calibrations.new_folder(tmp_path)
    assert folder.is_dir()
    assert folder.parent == tmp_path / calibrations.FOLDER
    kept = calibrations.store(tmp_path, FACTS, calibration_with(0.03))
    assert json.loads(kept.read_text()) == calibration_with(0.03)
    assert calibrations.stored(tmp_path, FACTS) == calibration_with(0.03)


def test_last_calibration_counts(tmp_path):
    calibrations.new_folder(tmp_path)
    for resolution in (0.05, 0.03):
        calibrations.store(tmp_path, FACTS, calibration_with(resolution))
    assert calibrations.stored(tmp_path, FACTS) == calibration_with(0.03)
    assert len(list((tmp_path / calibrations.FOLDER).glob("*.json"))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", "another"), ("architecture", "arm64"), ("processors", 8), ("usable_processors", 1), ("accelerators", [])],
)
def test_calibration_is_not_of_another_machine(tmp_path, name, value):
    calibrations.new_folder(tmp_path)
    calibrations.store(tmp_path, FACTS, calibration_with(0.03))
    assert calibrations.stored(tmp_path, {**FACTS, name: value}) is None


@pytest.mark.parametrize(("name", "value"), [("host", "there"), ("python", "CPython 3.12.1"), ("source", "v2")])
def test_fingerprint_ignores_unrelated_facts(name, value):
    assert machine.fingerprint({**FACTS, name: value}) == machine.fingerprint(FACTS)
    assert len(machine.fingerprint(FACTS)) == 12
    assert len(machine.fingerprint({})) == 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '"words"',
        "[[1]]",
        pytest.param("[" * 100_000, id="deep"),
        "{}",
        '{"resolution": 0.03}',
        '{"settings": 1}',
    ],
)
def test_invalid_calibration_file_is_named(tmp_path, text):
    calibrations.new_folder(tmp_path)
    file = calibrations.store(tmp_path, FACTS, {})
    file.write_text(text)
    with pytest.raises(ValueError, match=f"^calibrations/{file.name} is no calibration: "):
        calibrations.stored(tmp_path, FACTS)


@pytest.mark.parametrize("value", [None, "0.5", True, -0.1, 1.5, float("nan"), float("inf"), 10**400, [0.5]])
@pytest.mark.parametrize("where", [("auto", "detected"), ("auto", "slowdown")])
def test_calibration_with_an_impossible_value_is_refused(tmp_path, where, value):
    calibrations.new_folder(tmp_path)
    damaged = calibration_with(0.03)
    damaged["settings"][0][where[0]][0][where[1]] = value
    calibrations.store(tmp_path, FACTS, damaged)
    with pytest.raises(ValueError, match=rf"is no calibration: settings\.0\.{where[0]}\.0\.{where[1]}: "):
        calibrations.stored(tmp_path, FACTS)


def test_calibration_that_is_a_folder_or_fifo_is_refused(tmp_path):
    calibrations.new_folder(tmp_path)
    file = calibrations.store(tmp_path, FACTS, calibration_with(0.03))
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match="Is a directory"):
        calibrations.stored(tmp_path, FACTS)
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="not a regular file"):
        calibrations.stored(tmp_path, FACTS)
