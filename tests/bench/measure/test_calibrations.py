import json

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


def found(resolution):
    return {"resolution": resolution, "settings": []}


def test_what_a_calibration_found_is_kept_for_its_machine(tmp_path):
    assert calibrations.stored(tmp_path, FACTS) is None
    folder = calibrations.new_folder(tmp_path)
    assert folder.is_dir()
    assert folder.parent == tmp_path / calibrations.FOLDER
    kept = calibrations.store(tmp_path, FACTS, found(0.03))
    assert json.loads(kept.read_text()) == found(0.03)
    assert calibrations.stored(tmp_path, FACTS) == found(0.03)


def test_the_last_one_counts(tmp_path):
    calibrations.new_folder(tmp_path)
    for resolution in (0.05, 0.03):
        calibrations.store(tmp_path, FACTS, found(resolution))
    assert calibrations.stored(tmp_path, FACTS) == found(0.03)
    assert len(list((tmp_path / calibrations.FOLDER).glob("*.json"))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu", "another"), ("architecture", "arm64"), ("processors", 8), ("usable_processors", 1), ("accelerators", [])],
)
def test_another_machine_has_not_been_calibrated(tmp_path, name, value):
    calibrations.new_folder(tmp_path)
    calibrations.store(tmp_path, FACTS, found(0.03))
    assert calibrations.stored(tmp_path, {**FACTS, name: value}) is None


@pytest.mark.parametrize(("name", "value"), [("host", "there"), ("python", "CPython 3.12.1"), ("source", "v2")])
def test_what_does_not_change_what_the_machine_can_tell_is_not_in_its_fingerprint(name, value):
    assert machine.fingerprint({**FACTS, name: value}) == machine.fingerprint(FACTS)
    assert len(machine.fingerprint(FACTS)) == 12
    assert len(machine.fingerprint({})) == 12


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '"words"', "[[1]]", "{}", '{"resolution": 0.03}', '{"settings": 1}']
)
def test_a_file_that_is_no_calibration_is_as_good_as_none(tmp_path, text):
    calibrations.new_folder(tmp_path)
    calibrations.store(tmp_path, FACTS, {}).write_text(text)
    assert not calibrations.stored(tmp_path, FACTS)
