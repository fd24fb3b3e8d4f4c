"""What a run's times depend on, and what of it has changed."""

from __future__ import annotations

import sys

import pytest

from bench.measure import sources

FACTS = {"host": "here", "cpu": "a processor", "python": "CPython 3.11.7"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "net.py").write_text("import numpy\nfrom . import part\nraise SystemExit('it is run')\n")
    (tmp_path / "pack" / "part.py").write_text("from beside import thing\n")
    (tmp_path / "beside.py").write_text("thing = 1\n")
    (tmp_path / "unrelated.py").write_text("thing = 2\n")
    return tmp_path


def surroundings_of(folder, facts=FACTS, name="pack.net:Net"):
    return sources.surroundings([name], [str(folder)], facts)


@pytest.mark.parametrize("file", ["pack/__init__.py", "pack/net.py", "pack/part.py", "beside.py"])
def test_change_of_an_imported_file_is_seen(folder, file):
    before = surroundings_of(folder)
    (folder / file).write_text((folder / file).read_text() + "# changed\n")
    assert sources.changes(before, surroundings_of(folder)) == ["the source of pack.net:Net"]


def test_change_of_another_file_is_ignored(folder):
    before = surroundings_of(folder)
    (folder / "unrelated.py").write_text("thing = 3\n")
    assert sources.changes(before, surroundings_of(folder)) == []


def test_removed_file_is_a_change(folder):
    before = surroundings_of(folder)
    (folder / "beside.py").unlink()
    assert sources.changes(before, surroundings_of(folder)) == ["the source of pack.net:Net"]


def test_surroundings_import_no_implementation(folder):
    surroundings_of(folder, name="torch")
    surroundings_of(folder)
    assert "pack.net" not in sys.modules


@pytest.mark.parametrize("text", ["def broken(:\n", "\0", "\udcff"])
def test_unreadable_source_has_no_digest(folder, text):
    (folder / "pack" / "net.py").write_text(text, errors="surrogateescape")
    assert surroundings_of(folder)["the source of pack.net:Net"] == ""


def test_version_of_an_imported_package_is_a_change(folder, monkeypatch):
    before = surroundings_of(folder)
    now = before["the version of numpy"]
    monkeypatch.setattr(sources.metadata, "version", lambda package: "99")
    assert sources.changes(before, surroundings_of(folder)) == [f"the version of numpy ({now}, now 99)"]


def test_machine_is_a_change_but_not_its_load(folder):
    before = surroundings_of(folder)
    assert sources.changes(before, surroundings_of(folder, FACTS | {"load": 9.5})) == []
    changed = sources.changes(before, surroundings_of(folder, FACTS | {"cpu": "another"}))
    assert changed == ["the machine's cpu (a processor, now another)"]


def test_variable_that_changes_speed_is_a_change(folder, monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    before = surroundings_of(folder)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert sources.changes(before, surroundings_of(folder)) == ["the variable OPENBLAS_CORETYPE (not set, now Haswell)"]


def test_source_of_the_harness_is_a_change(folder, tmp_path, monkeypatch):
    before = surroundings_of(folder)
    monkeypatch.setattr(sources, "HARNESS", ("bench/measure",))
    assert sources.changes(before, surroundings_of(folder)) == ["relubench's own source"]


def test_run_without_surroundings_has_no_changes(folder):
    assert sources.changes({}, surroundings_of(folder)) == []
