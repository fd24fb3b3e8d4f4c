import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = [file.relative_to(ROOT) for file in sorted((ROOT / "bench").rglob("*.py")) if ">>> " in file.read_text("utf-8")]


@pytest.mark.parametrize("module", [".".join(file.with_suffix("").parts) for file in FILES])
def test_docstring_examples_hold(module):
    results = doctest.testmod(import_module(module))
    assert results.attempted > 0
    assert results.failed == 0
