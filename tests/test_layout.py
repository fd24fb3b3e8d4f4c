"""Tests of imports: data only moves down, and the harness imports no backend."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from implementations import names

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"torch", "jax", "jaxlib", "cupy", *(name.split("_")[0] for name in names())} - {"numpy"}
THIRD_PARTY = "third-party packages"

BELOW = ("bench.measure", "bench.plan")

FENCES = {
    "bench.plan": {"bench.plan", "pydantic"},
    "bench.measure.worker": {"bench.measure.worker", "implementations", "numpy", "threadpoolctl"},
    "bench.measure": {"bench.measure", "bench.plan", "implementations", THIRD_PARTY},
    "bench.analyse.estimates": {"bench.analyse.estimates", "bench.plan", THIRD_PARTY},
    "bench.analyse.run": {"bench.analyse.estimates", "bench.analyse.run", *BELOW, THIRD_PARTY},
    **{
        f"bench.analyse.{folder}": {f"bench.analyse.{name}" for name in ("estimates", "run", folder)}
        | {*BELOW, THIRD_PARTY}
        for folder in ("machine", "change", "predict")
    },
    "bench.analyse": {"bench.analyse", "bench.measure", "bench.plan", THIRD_PARTY},
    "bench.history": {"bench.history", "bench.analyse", "bench.measure", "bench.plan", THIRD_PARTY},
    "bench.report": {"bench.report", "bench.analyse", "bench.measure", "bench.plan", THIRD_PARTY},
}
"""What each folder may import besides the standard library; the first that matches a module counts."""
UNFENCED = {"bench.glue", "bench.verbs"}


def modules():
    """Yield the name, file and whether it is a package, for every module of the two packages."""
    for package in ("implementations", "bench"):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            yield ".".join(parts[:-1] if is_package else parts), file, is_package


MODULES = {name: (file, is_package) for name, file, is_package in modules()}


def imports(source, module, is_package=False):
    """Yield (line, absolute dotted name) of every import, at any depth, including imports by a name's text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if function in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def within(name, package):
    return name == package or name.startswith(f"{package}.")


def allowed_to(module):
    """Return what a module may import besides the standard library; None where anything is allowed."""
    if within(module, "implementations"):
        stem = module.rpartition(".")[2]
        framework = {"array_api": "array_api_compat"}.get(stem, stem.split("_")[0])
        return {"implementations", "numpy", framework} - {""}
    return next((allowed for folder, allowed in FENCES.items() if within(module, folder)), None)


def is_third_party(name):
    top = name.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in ("bench", "implementations", "tests")


def violations(source, module, is_package=False):
    """Return a line for each import that a module may not have."""
    allowed = allowed_to(module)
    lines = []
    for line_number, name in imports(source, module, is_package):
        top = name.partition(".")[0]
        permitted = (
            allowed is None
            or top in sys.stdlib_module_names
            or any(within(name, package) for package in allowed)
            or (THIRD_PARTY in allowed and is_third_party(name))
        )
        if within(module, "bench") and top in FRAMEWORKS:
            permitted = False
        if {"conftest", "__main__"} & set(name.split(".")):
            permitted = False
        if not permitted:
            lines.append(f"{module}:{line_number} imports {name}")
    return lines


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_folder_may(module):
    file, is_package = MODULES[module]
    assert violations(file.read_text(encoding="utf-8"), module, is_package) == []


def test_every_folder_is_fenced_or_unfenced():
    folders = {f"bench.{file.parent.name}" for file in (ROOT / "bench").glob("*/*.py")}
    assert folders == {folder for folder in FENCES if folder.count(".") == 1} | UNFENCED
    assert "bench.measure.worker" in MODULES


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("implementations.torch_", "import bench", "bench"),
        ("implementations.torch_", "from bench.plan.cells import Shape", "bench.plan.cells.Shape"),
        ("implementations.torch_", "import jax", "jax"),
        ("implementations.numpy_", "import scipy.linalg", "scipy.linalg"),
        ("implementations.numpy_", "import torch", "torch"),
        ("implementations.interface", "import torch", "torch"),
        ("implementations", "import cupy", "cupy"),
        ("implementations.torch_module", "from ..bench import load", "bench.load"),
        ("bench.plan.grid", "import numpy as np", "numpy"),
        ("bench.plan.grid", "from ..measure import session", "bench.measure.session"),
        ("bench.plan.grid", "def f():\n    import implementations", "implementations"),
        ("bench.measure.worker.session", "import psutil", "psutil"),
        ("bench.measure.worker.session", "from bench.plan.cells import Cell", "bench.plan.cells.Cell"),
        ("bench.measure.worker.session", "from .. import journal", "bench.measure.journal"),
        ("bench.measure.worker.main", "import torch", "torch"),
        ("bench.measure.run", "from bench.analyse.run import tables", "bench.analyse.run.tables"),
        ("bench.measure.run", "from bench.glue import replay", "bench.glue.replay"),
        ("bench.measure.machine", "import importlib\nimportlib.import_module('torch')", "torch"),
        ("bench.measure.machine", "__import__('jax')", "jax"),
        ("bench.analyse.run.tables", "from implementations import names", "implementations.names"),
        ("bench.analyse.run.tables", "from bench.report import page", "bench.report.page"),
        ("bench.analyse.run.tables", "import bench", "bench"),
        ("bench.report.run.markdown", "from bench import load", "bench.load"),
        ("bench.report.run.markdown", "from implementations import Problem", "implementations.Problem"),
        ("bench.report.run.markdown", "from bench import conftest", "bench.conftest"),
        ("bench.glue.session", "from bench.conftest import cells", "bench.conftest.cells"),
        ("bench.glue.session", "import cupy", "cupy"),
        ("bench.glue.options", "from .. import __main__", "bench.__main__"),
        ("bench.conftest", "if x:\n    from torch import nn", "torch.nn"),
        ("bench", "import jax.numpy as jnp", "jax.numpy"),
    ],
)
def test_forbidden_imports_are_reported(module, source, imported):
    is_package = MODULES[module][1]
    line_number = source.count("\n") + 1
    assert violations(source, module, is_package) == [f"{module}:{line_number} imports {imported}"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("implementations.torch_autograd", "import math\nimport numpy as np\nimport torch.nn\nfrom .torch_ import Net"),
        ("implementations", "from .interface import Problem"),
        ("bench.plan.plan", "from .cells import Cell\nfrom bench.plan import grid"),
        ("bench.measure.worker.session", "from implementations import Problem\nfrom .verify import verify"),
        ("bench.measure.run", "import psutil\nfrom .worker import limits\nfrom bench.plan.cells import Cell"),
        ("bench.analyse", "from . import tables\nimport pandas"),
        ("bench.report.files", "from bench.analyse import runs\nfrom bench.measure import journal"),
        ("bench.glue.session", "import pytest\nfrom bench.report import files"),
    ],
)
def test_allowed_imports_are_not_reported(module, source):
    assert violations(source, module, MODULES[module][1]) == []


def test_importing_the_harness_loads_no_backend_and_no_pandas():
    code = """
import json, sys
import bench, bench.plan.cells, bench.plan.grid, bench.plan.plan, bench.measure.session
print(json.dumps([name for name in ("numpy", "pandas", "torch", "jax", "cupy") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
