"""Tests that the environment `floors` installs the oldest versions that pyproject.toml allows."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def floors(*extras: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / ".ci" / "floors.py", *extras]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def environment() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser["testenv:floors"]


def test_exactly_the_declared_lower_bounds_are_pinned():
    done = floors("jax", "test")
    assert done.returncode == 0, done.stderr
    pins = [Requirement(line) for line in done.stdout.splitlines()]
    extras = PROJECT["optional-dependencies"]
    declared = [Requirement(text) for text in (*PROJECT["dependencies"], *extras["jax"], *extras["test"])]
    assert [pin.name for pin in pins] == [requirement.name for requirement in declared]
    for pin, requirement in zip(pins, declared, strict=True):
        [exact], [bound] = pin.specifier, requirement.specifier
        assert (exact.operator, bound.operator) == ("==", ">=")
        assert Version(exact.version) == Version(bound.version)


def test_an_unknown_extra_is_refused_with_the_known_ones():
    done = floors("jaxx")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pyproject.toml: there is no extra 'jaxx'; extras are torch, jax, ")
    assert done.stderr.count("\n") == 1


def test_the_environment_installs_the_extras_it_pins():
    constraints, installation = environment()["commands_pre"].strip().splitlines()
    [pinned] = re.findall(r"floors\.py ([\w ]+) >", constraints)
    [extras] = re.findall(r"--editable \.\[([\w,]+)\]", installation)
    assert pinned.split() == extras.split(",")
    assert "--constraint {env_tmp_dir}{/}floors.txt" in installation


def test_the_environment_has_the_oldest_declared_python():
    assert PROJECT["requires-python"] == ">=" + environment()["base_python"].removeprefix("python")


def test_the_environment_runs_on_a_schedule():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install -e '.[test]'")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "floors.yml").read_text(encoding="utf-8"))
    assert workflow[True]["schedule"]  # YAML 1.1 takes `on` for true
    [job] = workflow["jobs"].values()
    assert "tox run -q -e floors --" in job["steps"][-1]["run"]
    [python] = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert f"python{python}" == environment()["base_python"]
