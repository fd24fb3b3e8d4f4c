"""Files that are never half-written."""

import os
import subprocess
import sys

import pytest

from bench.measure import replacing


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_failed_write_keeps_the_old_file(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("old")

    def write_half():
        with replacing.replaced(file) as beside:
            beside.write_text("half")
            beside.with_name(f"{beside.name}-wal").write_text("of SQLite")
            raise OSError(28, "No space left on device", str(beside))

    with pytest.raises(OSError, match="No space left on device") as raised:
        write_half()
    assert raised.value.filename == str(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    file = tmp_path / "history.sqlite"
    ended = ended_process()
    leftover = [tmp_path / f".history.sqlite.{ended}{suffix}" for suffix in ("", "-wal", "-shm")]
    kept = [tmp_path / name for name in (f".history.sqlite.{os.getppid()}", ".history.sqlite.old", f".other.{ended}")]
    for path in (*leftover, *kept):
        path.write_text("")
    with replacing.replaced(file) as beside:
        beside.write_text("new")
    assert sorted(tmp_path.iterdir()) == sorted([file, *kept])


def test_link_of_a_temporary_name_is_not_written_through(tmp_path):
    target = tmp_path / "other"
    target.write_text("of someone else")
    file = tmp_path / "table.csv"
    replacing.temporary(file).symlink_to(target)
    with replacing.replaced(file) as beside:
        beside.write_text("new")
    assert target.read_text() == "of someone else"
    assert file.read_text() == "new"
    assert not file.is_symlink()


def test_named_link_or_device_is_written_directly(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    replacing.write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    with pytest.raises(OSError, match="No space left on device"):
        replacing.write_text(replacing.Path("/dev/full"), "new")
    assert replacing.Path("/dev/full").is_char_device()


def test_named_file_is_complete_or_unchanged(tmp_path, monkeypatch):
    file = tmp_path / "out.json"
    replacing.write_text(file, "old")

    def full(path, text, encoding):
        path.touch()
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(replacing.Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device"):
        replacing.write_text(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_texts_are_written_exactly_and_folders_made(tmp_path):
    texts = {tmp_path / "a" / "b.json": "1\n", tmp_path / "c.csv": "ü\r\n"}
    replacing.write_texts(texts)
    assert [path.read_bytes() for path in texts] == [b"1\n", "ü\r\n".encode()]
    assert names(tmp_path) == ["a/b.json", "c.csv"]


def test_file_in_the_way_leaves_all_texts_unchanged(tmp_path):
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists") as raised:
        replacing.write_texts({tmp_path / "old.json": "new", tmp_path / "file" / "new.json": "x"})
    assert raised.value.filename == str(tmp_path / "file")
    assert (tmp_path / "old.json").read_text() == "old"
    assert names(tmp_path) == ["file", "old.json"]


def test_folder_in_the_way_leaves_all_texts_unchanged(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError) as raised:
        replacing.write_texts({tmp_path / "a": "x", folder: "x", tmp_path / "b": "x"})
    assert raised.value.filename == str(folder)
    assert names(tmp_path) == []


def test_text_that_does_not_fit_is_named(tmp_path, monkeypatch):
    def full(path, text, encoding):
        path.touch()
        if text == "too long":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(replacing.Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        replacing.write_texts({tmp_path / "a": "x", tmp_path / "b": "too long", tmp_path / "c": "x"})
    assert raised.value.filename == str(tmp_path / "b")
    assert names(tmp_path) == []
