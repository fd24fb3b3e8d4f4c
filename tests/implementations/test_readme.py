"""Tests of the class in README's "Add a backend", saved unchanged into the folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.verbs import new

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"^## Add a backend\n.*?^```python\n(.*?)^```", README, re.M | re.S)
LOAD_MINE = """
import json, sys
sys.path.append(sys.argv[1])
import implementations
from bench.measure.worker import contract
from bench.measure.worker.verify import verify

try:
    kinds = implementations.device_kinds("mine")
    net_class = implementations.load("mine")
    problem = implementations.Problem.random(64, 100, 10, 3)
    checks = verify(lambda: net_class(problem, "cpu", "float32"))
    failed = [str(check) for check in checks if not check.passed]
    print(json.dumps([kinds, contract.complaint("mine", net_class), len(checks) > 0, failed]))
except LookupError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def load_mine(tmp_path):
    """Return a function that loads a file `mine.py` in a copy of the folder and returns the outcome."""

    def load(source):
        folder = tmp_path / "implementations"
        shutil.copytree(ROOT / "implementations", folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "mine.py").write_text(source, encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", LOAD_MINE, ROOT], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return load


def test_the_class_works_unchanged(load_mine):
    assert EXAMPLE, "the section has the class"
    assert load_mine(EXAMPLE[1]) == [["cpu"], "", True, []]


def test_the_class_is_what_bench_new_writes():
    assert EXAMPLE
    assert EXAMPLE[1] == new.text()


def test_a_class_of_another_name_is_refused_with_advice(load_mine):
    assert EXAMPLE
    assert load_mine(EXAMPLE[1].replace("class Net(", "class MyNet(")) == (
        "mine: implementations.mine has no class 'Net'; rename the class of its network to Net"
    )


def test_a_class_missing_only_after_import_is_named(load_mine):
    assert EXAMPLE
    assert load_mine(f"{EXAMPLE[1]}\n\ndel Net\n").startswith("mine: implementations.mine has no class 'Net'; rename")
