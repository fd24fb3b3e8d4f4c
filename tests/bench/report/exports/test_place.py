import pytest

from bench.report.exports.place import place


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_texts_are_written_as_they_are_and_folders_made(tmp_path):
    texts = {tmp_path / "a" / "b.json": "1\n", tmp_path / "c.csv": "ü\r\n"}
    assert place(texts) == [*texts]
    assert [path.read_bytes() for path in texts] == [b"1\n", "ü\r\n".encode()]
    assert names(tmp_path) == ["a/b.json", "c.csv"]


def test_a_file_in_the_way_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/new\.json: cannot be written: (Not a directory|File exists)"):
        place({tmp_path / "old.json": "new", tmp_path / "file" / "new.json": "x"})
    assert (tmp_path / "old.json").read_text() == "old"
    assert names(tmp_path) == ["file", "old.json"]


def test_a_folder_in_the_way_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot be written: Is a directory"):
        place({tmp_path: "x"})
