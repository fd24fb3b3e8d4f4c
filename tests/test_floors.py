"""The oldest versions that pyproject.toml allows are those that the environment `floors` installs."""

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
    read = configparser.ConfigParser(interpolation=None)
    read.read(ROOT / "tox.ini")
    return read["testenv:floors"]


def test_every_declared_lower_bound_is_pinned_and_nothing_else():
    done = floors("jax", "test")
    assert done.returncode == 0, done.stderr
    pinned = [Requirement(line) for line in done.stdout.splitlines()]
    extras = PROJECT["optional-dependencies"]
    declared = [Requirement(text) for text in (*PROJECT["dependencies"], *extras["jax"], *extras["test"])]
    assert [one.name for one in pinned] == [one.name for one in declared]
    for pin, requirement in zip(pinned, declared, strict=True):
        [exact], [bound] = pin.specifier, requirement.specifier
        assert (exact.operator, bound.operator) == ("==", ">=")
        assert Version(exact.version) == Version(bound.version)


def test_an_extra_that_is_not_there_is_named_with_those_that_are():
    done = floors("jaxx")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pyproject.toml: there is no extra 'jaxx'; extras are torch, jax, ")
    assert done.stderr.count("\n") == 1


def test_the_environment_installs_the_extras_that_it_pins():
    made, installed = environment()["commands_pre"].strip().splitlines()
    [pinned] = re.findall(r"floors\.py ([\w ]+) >", made)
    [extras] = re.findall(r"--editable \.\[([\w,]+)\]", installed)
    assert pinned.split() == extras.split(",")
    assert "--constraint {env_tmp_dir}{/}floors.txt" in installed


def test_the_environment_has_the_oldest_python_that_is_declared():
    assert PROJECT["requires-python"] == ">=" + environment()["base_python"].removeprefix("python")


def test_the_environment_runs_by_schedule():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install -e '.[test]'")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "floors.yml").read_text(encoding="utf-8"))
    assert workflow[True]["schedule"]  # YAML 1.1 takes `on` for true
    [job] = workflow["jobs"].values()
    assert "tox run -q -e floors --" in job["steps"][-1]["run"]
    [python] = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert f"python{python}" == environment()["base_python"]
