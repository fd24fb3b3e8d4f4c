"""Tests of reading regular files up to a size limit."""

import gzip
import os
import re
import socket
import zlib

import pytest

from bench.plan import reading


def special_file(tmp_path, kind):
    """Return the path of a new file that is not regular."""
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    return path


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "socket"])
def test_special_files_are_refused_at_once(tmp_path, kind):
    path = special_file(tmp_path, kind)
    with pytest.raises((ValueError, OSError), match=re.escape(str(path))) as caught:  # opening a socket is an OSError
        reading.read_bytes(path, 100)
    if kind in ("fifo", "device"):
        assert str(caught.value).startswith(f"{path}: not a regular file but a ")


def test_too_large_a_file_is_not_read(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: too large"):
        reading.read_bytes(path, 1 << 20)


def test_only_links_within_the_folder_are_followed(tmp_path):
    (tmp_path / "out.txt").write_text("secret")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "real.txt").write_text("content")
    (folder / "inward").symlink_to("real.txt")
    (folder / "outward").symlink_to("../out.txt")
    assert reading.read_bytes(folder / "inward", 100, within=folder) == b"content"
    with pytest.raises(ValueError, match="leads out of"):
        reading.read_bytes(folder / "outward", 100, within=folder)


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"a\r\nb\r\ncaf\xe9\n")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}:3: not UTF-8 text"):
        reading.read_text(path, 100)


def test_a_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfa")
    assert reading.read_text(tmp_path / "marked.txt", 100) == "a"


def test_gzip_is_unpacked_up_to_a_size(tmp_path):
    packed = gzip.compress(b"a" * 1000) + gzip.compress(b"b", mtime=0)
    assert reading.unpacked(packed, tmp_path, 1001) == b"a" * 1000 + b"b"
    with pytest.raises(ValueError, match="more than 999 bytes once it is unpacked"):
        reading.unpacked(packed, tmp_path, 999)


@pytest.mark.parametrize("content", [gzip.compress(b"abc", mtime=0)[:-3], gzip.compress(b"abc", mtime=0)[:2], b"plain"])
def test_damaged_gzip_is_refused(tmp_path, content):
    with pytest.raises((EOFError, zlib.error)):
        reading.unpacked(content, tmp_path, 100)
