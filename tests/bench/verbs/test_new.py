"""`python -m bench new` writes a class that passes, and nothing over what is there."""

from __future__ import annotations

import json

import pytest

import implementations
from bench.__main__ import USAGE_ERROR, main
from bench.verbs import new


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of implementations, and another one to work in."""
    (tmp_path / "implementations").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(implementations, "__file__", str(tmp_path / "implementations" / "__init__.py"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_a_name_is_a_file_of_the_implementations(folder, capsys):
    assert main(["new", "mine", "--json", str(folder / "new.json")]) == 0
    file = folder / "implementations" / "mine.py"
    assert file.read_text(encoding="utf-8") == new.TEMPLATE
    assert json.loads((folder / "new.json").read_text()) == {"file": str(file), "implementation": "mine"}
    printed = capsys.readouterr().out
    assert "python -m bench check mine\n" in printed
    assert "pytest bench/ --benchmark-only --grid smoke --implementations numpy,mine\n" in printed


def test_a_class_of_a_module_is_written_where_the_user_is_and_passes(folder, capsys):
    assert main(["new", "mymod:MyNet"]) == 0
    assert [file.name for file in (folder / "work").iterdir()] == ["mymod.py"]
    assert main(["check", "mymod:MyNet", "--threads", "1", "--json", str(folder / "check.json")]) == 0
    assert "mymod:MyNet: 15 of 15 checks passed on cpu in float32, float64, in " in capsys.readouterr().out
    outcomes = json.loads((folder / "check.json").read_text())
    assert {outcome["status"] for outcome in outcomes} == {"passed", "information"}
    keys = ["name", "status", "reason", "why", "shape", "dtype", "device", "seconds"]
    assert all([*outcome] == keys for outcome in outcomes)


@pytest.mark.parametrize("name", ["mine", "mymod:Net"])
def test_nothing_is_overwritten(folder, capsys, name):
    files = {"mine": folder / "implementations" / "mine.py", "mymod:Net": folder / "work" / "mymod.py"}
    files[name].write_text("mine")
    assert main(["new", name]) == USAGE_ERROR
    assert capsys.readouterr().err.endswith("is there already, and is left as it is\n")
    assert files[name].read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("numpy", "'numpy' is taken, as are "),
        ("interface", "'interface' is taken, as are "),
        ("all", "'all' is taken, as are "),
        ("_mine", "'_mine' begins or ends with _"),
        ("mine_", "'mine_' begins or ends with _"),
        *(
            (name, f"{name!r} names no file: ")
            for name in ("a-b", "class", "mymod:", ":Net", "a/b.py", "a.b", "é", "a:b c")
        ),
        ("no.such:Net", "no/such.py: No such file or directory"),
    ],
)
def test_bad_name_is_refused_in_one_line(folder, capsys, name, complaint):
    assert main(["new", name]) == USAGE_ERROR
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m bench new: {complaint}")
    assert not [*folder.glob("*/*")]
