"""Checks that results can be written."""

import os

import pytest

from bench.measure import writable


def test_writable_folder_is_left_unchanged(tmp_path):
    assert writable.complaint(tmp_path) == ""
    assert writable.complaint(tmp_path / "a" / "b") == ""
    assert list(tmp_path.iterdir()) == []


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in writable.complaint(tmp_path / "file" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_is_named_with_the_reason(tmp_path):
    tmp_path.chmod(0o500)
    assert writable.complaint(tmp_path) == f"cannot write to {tmp_path}: Permission denied"


def test_file_needs_a_folder_and_is_none(tmp_path):
    assert writable.complaint_about_file(tmp_path / "out.json") == ""
    nowhere = tmp_path / "no" / "out.json"
    assert writable.complaint_about_file(nowhere) == f"{nowhere}: there is no folder {tmp_path / 'no'}"
    assert writable.complaint_about_file(tmp_path) == f"{tmp_path} is a folder"


def test_existing_file_needs_its_own_permission(tmp_path, monkeypatch):
    (tmp_path / "out.json").write_text("")
    monkeypatch.setattr(writable, "complaint", lambda folder: "its folder cannot be written")
    assert writable.complaint_about_file(tmp_path / "out.json") == ""
    monkeypatch.setattr(writable.os, "access", lambda path, mode: False)
    assert writable.complaint_about_file(tmp_path / "out.json") == f"cannot write to {tmp_path / 'out.json'}"
