"""Tests of finding implementations by name, without importing them before they are requested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import implementations
from bench.plan.cells import DTYPES
from implementations import TwoLayerNet, Unavailable, ceilings_of, device_kinds, dtypes_of, load, names, style_of

ROOT = Path(__file__).parent.parent.parent

FRAMEWORKS = {
    *("torch", "jax", "jaxlib", "cupy", "numba", "autograd", "mlx", "tensorflow", "tinygrad", "array_api_compat"),
}

BLOCKED = (
    f"FRAMEWORKS = {FRAMEWORKS!r}"
    + """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FRAMEWORKS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())

import json
from implementations import Unavailable, load, names

outcomes = {}
for name in names():
    try:
        outcomes[name] = load(name).__module__
    except Unavailable as reason:
        outcomes[name] = f"Unavailable: {reason}"
print(json.dumps(outcomes))
"""
)

LAZY = (
    f"FRAMEWORKS = {FRAMEWORKS!r}"
    + """
import json
import sys
from implementations import device_kinds, names

kinds = {name: device_kinds(name) for name in names()}
frameworks = sorted(FRAMEWORKS & {*sys.modules})
print(json.dumps([kinds, frameworks, [name for name in sys.modules if name.startswith("implementations.")]]))
"""
)


def run(code):
    """Return the JSON that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """Return a function that writes users' modules into a folder on the path; unload them afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(path, source):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(source, encoding="utf-8")

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("users_"):
            del sys.modules[name]


def test_names_are_those_of_the_files():
    stems = {path.stem for path in (ROOT / "implementations").glob("*.py")} - {"__init__", "interface", "styles"}
    known = names()
    files = {name.partition(":")[0] for name in known}
    assert known == sorted(set(known))
    assert {name if name in stems else f"{name}_" for name in files} == stems
    assert {"numpy", "torch", "torch_autograd", "jax", "jax_grad", "cupy", "array_api:torch"} <= set(known)


def test_a_file_may_have_a_class_for_each_key_of_its_device_kinds(tmp_path):
    (tmp_path / "portable.py").write_text('DEVICE_KINDS = {"a": ("cpu",), "b": ("cuda",)}\n', encoding="utf-8")
    (tmp_path / "plain_.py").write_text('DEVICE_KINDS = ("cpu",)\n', encoding="utf-8")
    (tmp_path / "broken.py").write_text("DEVICE_KINDS = {\n", encoding="utf-8")
    (tmp_path / "odd.py").write_text('DEVICE_KINDS = {1: ("cpu",)}\n', encoding="utf-8")
    assert names(tmp_path) == ["broken", "odd", "plain", "portable:a", "portable:b"]


@pytest.mark.parametrize(
    ("name", "style", "ceilings"),
    [
        ("numpy", "numpy", "numpy"),
        ("torch_module", "torch", "torch"),
        ("numba", "numpy", "numpy"),
        ("array_api:jax", "jax", "jax"),
        ("mlx", "mlx", None),
        ("users.module:Net", "users.module:Net", None),
    ],
)
def test_each_implementation_is_a_style_of_one(name, style, ceilings):
    assert style_of(name) == style
    assert ceilings_of(name) == ceilings


def test_styles_are_of_known_implementations():
    assert {style_of(name) for name in names()} <= set(names())
    assert all(style_of(style_of(name)) == style_of(name) for name in names())


@pytest.mark.parametrize("name", names())
def test_load_returns_a_net_or_says_what_is_missing(name):
    try:
        net_class = load(name)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert issubclass(net_class, TwoLayerNet)
    stem = name.partition(":")[0]
    assert net_class.__module__ in {f"implementations.{stem}", f"implementations.{stem}_"}


def test_load_accepts_a_module_and_class():
    assert load("implementations.numpy_:Net") is load("numpy")


def test_load_returns_a_users_class(write_module):
    write_module("users_net.py", "from implementations.numpy_ import Net\nclass Mine(Net):\n    backend = 'mine'\n")
    assert load("users_net:Mine").backend == "mine"


def test_a_missing_framework_is_unavailable_with_an_install_hint():
    outcomes = run(BLOCKED)
    assert set(outcomes) == set(names())
    for name, outcome in outcomes.items():
        if name.split("_")[0] == "numpy":
            assert outcome.startswith("implementations.numpy")
        else:
            assert outcome.startswith("Unavailable: ")
            assert "not installed: pip install" in outcome
            assert name.split("_")[0] in outcome.lower()


def test_a_framework_missing_for_a_users_module_is_named(write_module):
    write_module("users_missing.py", "import no_such_framework\nclass Net: ...\n")
    with pytest.raises(Unavailable, match="users_missing:Net needs the module 'no_such_framework'"):
        load("users_missing:Net")


def test_an_unknown_name_is_refused_with_the_known_ones():
    for look_up in (load, device_kinds):
        with pytest.raises(LookupError, match=r"no implementation 'theano'.*cupy.*numpy.*package\.module:Class"):
            look_up("theano")


@pytest.mark.parametrize("name", ["interface", "__init__", "numpy_", "numpy:", "", "implementations.numpy_"])
def test_an_almost_correct_name_is_refused(name):
    for look_up in (load, device_kinds):
        with pytest.raises(LookupError, match="no implementation"):
            look_up(name)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no_such_package:Net", "no module 'no_such_package'"),
        ("no_such_package.module:Net", "no module 'no_such_package'"),
        ("implementations.no_such_module:Net", "no module 'implementations.no_such_module'"),
        ("implementations.numpy_:NoSuchNet", "implementations.numpy_ has no class 'NoSuchNet'"),
    ],
)
def test_a_missing_module_or_class_is_named(name, complaint):
    for look_up in (load, device_kinds):
        with pytest.raises(LookupError) as caught:
            look_up(name)
        assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my/file.py:MyNet", "write my.file:MyNet"),
        ("./my/file.py:MyNet", "write my.file:MyNet"),
        ("my\\file.py:MyNet", "write my.file:MyNet"),
        ("my/file:MyNet", "write my.file:MyNet"),
        ("my/file.py", "write my.file:Class"),
        ("file.py", "write file:Class"),
        ("/a/b/file.py:MyNet", "write file:MyNet and put its folder on the path, PYTHONPATH=/a/b"),
        ("../b/file.py:MyNet", "write file:MyNet and put its folder on the path, PYTHONPATH=../b"),
    ],
)
def test_a_path_is_refused_with_the_module_to_write(name, expected):
    for look_up in (load, device_kinds):
        with pytest.raises(LookupError) as caught:
            look_up(name)
        assert str(caught.value).startswith(f"there is no implementation {name!r}: ")
        assert str(caught.value).endswith(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mine", r"cupy, .*, torch_module; did you mean mine:Fast or mine:Slow\?$"),
        ("mine:", r"; did you mean mine:Fast or mine:Slow\?$"),
        ("mine.Fast", r"; did you mean mine:Fast\?$"),
        ("mine.Other", "or package.module:Class$"),
        ("broken", "or package.module:Class$"),
    ],
)
def test_a_module_without_a_class_is_refused_with_its_classes(tmp_path, name, expected):
    (tmp_path / "mine.py").write_text("class Fast: ...\nclass Slow: ...\nclass _Base: ...\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("class\n", encoding="utf-8")
    with pytest.raises(LookupError, match=f"^there is no implementation '{name}'; there are .*{expected}"):
        device_kinds(name, [str(tmp_path)])


@pytest.mark.parametrize(
    "source",
    [b"\xef\xbb\xbfclass Mine: ...\n", b"# coding: latin-1\nname = '\xe9'\nclass Mine: ...\n"],
    ids=["mark", "coding"],
)
def test_a_source_is_read_in_its_declared_encoding(tmp_path, source):
    (tmp_path / "coded.py").write_bytes(source)
    assert device_kinds("coded:Mine", [str(tmp_path)]) == ("cpu",)


def test_device_kinds_of_the_implementations():
    assert device_kinds("numpy") == ("cpu",)
    assert device_kinds("cupy") == ("cuda",)
    for name in names():
        kinds = device_kinds(name)
        assert kinds
        assert all(isinstance(kind, str) for kind in kinds)
    for name in ("torch", "jax"):
        assert {"cpu", "cuda"} <= set(device_kinds(name))


def test_dtypes_of_the_implementations():
    assert dtypes_of("numba") == ("float32", "float64")
    assert dtypes_of("array_api:numpy") == dtypes_of("numpy") == ("float16", "float32", "float64")
    assert dtypes_of("array_api:torch") == dtypes_of("torch") == ("float16", "bfloat16", "float32", "float64")
    for name in names():
        assert {"float32", "float64"} <= set(dtypes_of(name)) <= set(DTYPES)


def test_names_and_device_kinds_import_nothing():
    kinds, frameworks, imported = run(LAZY)
    assert set(kinds) == set(names())
    assert frameworks == []
    assert imported == ["implementations.interface"]


def test_device_kinds_are_read_without_running_the_module(write_module):
    source = "DEVICE_KINDS = ('cpu', 'npu')\nraise RuntimeError('the module ran')\nclass Mine: ...\n"
    write_module("users_package/__init__.py", "raise RuntimeError('the package ran')\n")
    write_module("users_package/nets.py", source)
    assert device_kinds("users_package.nets:Mine") == ("cpu", "npu")
    assert not [name for name in sys.modules if name.startswith("users_package")]


def test_device_kinds_searches_further_folders(tmp_path):
    (tmp_path / "further_nets.py").write_text("DEVICE_KINDS = ('tpu',)\nclass Mine: ...\n", encoding="utf-8")
    with pytest.raises(LookupError, match="no module 'further_nets'"):
        device_kinds("further_nets:Mine")
    assert device_kinds("further_nets:Mine", [str(tmp_path)]) == ("tpu",)


def test_a_module_without_kinds_runs_on_the_cpu(write_module):
    write_module("users_plain.py", "class Mine: ...\n")
    assert device_kinds("users_plain:Mine") == ("cpu",)


@pytest.mark.parametrize(
    "source",
    [
        "from somewhere import Mine",
        "from somewhere import Other as Mine",
        "from somewhere import *",
        "Mine = make_class()",
        "if True:\n    class Mine: ...",
        "try:\n    from fast import Mine\nexcept ImportError:\n    from slow import Mine",
    ],
)
def test_device_kinds_accepts_every_binding_of_a_class(write_module, source):
    write_module("users_bound.py", f"{source}\n")
    assert device_kinds("users_bound:Mine") == ("cpu",)


@pytest.mark.parametrize("name", ["math:sin", "users_folder:Mine"])
def test_device_kinds_needs_python_source(write_module, name):
    write_module("users_folder/inner.py", "class Mine: ...\n")
    with pytest.raises(LookupError):
        device_kinds(name)


def test_the_package_exports_what_a_backend_needs():
    for name in implementations.__all__:
        assert hasattr(implementations, name)
