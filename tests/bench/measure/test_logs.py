"""The log files of workers."""

import os

import pytest

from bench.measure import logs


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n\n  \n", "two"),
        (b"no newline at its end", "no newline at its end"),
        (b"progress 1 %\rprogress 2 %\r", "progress 2 %"),
        (b"\x1b[31mError\x1b[0m: bad\x00\n\x1b[0m\n", "Error: bad\\x00"),
        (b"not UTF-8: \xff\n", "not UTF-8: \ufffd"),
    ],
)
def test_last_line_that_is_not_blank(tmp_path, text, line):
    (tmp_path / "log").write_bytes(text)
    assert logs.last_line(tmp_path / "log") == line


def test_last_line_is_not_of_an_earlier_process(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"the first process\n")
    start = log.stat().st_size
    assert logs.last_line(log, start) == ""
    with log.open("ab") as file:
        file.write(b"the second process\n")
    assert logs.last_line(log, start) == "the second process"


def test_long_line_is_cut(tmp_path):
    (tmp_path / "log").write_bytes(b"x" * (3 * logs.READ_BYTES))
    line = logs.last_line(tmp_path / "log")
    assert set(line) == {"x", " ", "…"}
    assert len(line) == logs.MOST_CHARACTERS


def test_missing_log_has_no_last_line(tmp_path):
    assert logs.last_line(tmp_path / "nowhere") == ""


def test_path_is_relative_only_below_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert logs.path_from_here(tmp_path / "here" / "runs" / "a.log") == "runs/a.log"
    assert logs.path_from_here(tmp_path / "a.log") == str(tmp_path / "a.log")


def test_pipe_in_place_of_a_log_does_not_block(tmp_path):
    """Opening a pipe would wait for its other end."""
    log = tmp_path / "log"
    os.mkfifo(log)
    assert logs.last_line(log) == ""
    logs.bound(log)
    with pytest.raises(OSError, match="is not a file"):
        logs.open_to_append(log)


def test_bounded_log_keeps_both_ends_and_says_what_it_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MOST_BYTES", 400)
    log = tmp_path / "log"
    log.write_bytes(b"first " + b"x" * 1000 + b" last")
    logs.bound(log)
    text = log.read_bytes()
    assert len(text) < 400
    assert text.startswith(b"first ")
    assert text.endswith(b" last")
    assert b"[811 bytes were left out here]" in text
    logs.bound(log)
    assert log.read_bytes() == text
