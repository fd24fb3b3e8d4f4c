"""The locks of the machine and of a run: who has them, who waits, and files in their place."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack

import psutil
import pytest

from bench.measure import journal, lock
from bench.measure.client import ROOT
from bench.plan.grid import PlanError

HOLDING = """
import sys
from bench.measure import lock
with lock.of_machine("wait"):
    print("has it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "lock"))
    return tmp_path / "lock"


@pytest.fixture
def owner(file):
    """Another process that has the machine's lock."""
    command = [sys.executable, "-c", HOLDING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == b"has it\n"
        yield process
        process.kill()


def no_sleep(seconds):
    raise AssertionError("it waits")


def test_free_machine_is_locked_silently_and_released(file, monkeypatch):
    monkeypatch.setattr(lock.time, "sleep", no_sleep)
    lines = []
    for _ in range(2):
        with lock.of_machine("wait", lines.append):
            assert lock.is_taken(file)
        assert not lock.is_taken(file)
    assert lines == []


def test_wait_for_a_busy_machine_names_the_process_and_folder(file, owner, monkeypatch):
    lines, slept = [], []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            owner.stdin.close()
            owner.wait()

    monkeypatch.setattr(lock.time, "sleep", sleep)
    with lock.of_machine("wait", lines.append):
        assert lock.is_taken(file)
    assert len(slept) >= 3
    [line] = lines
    assert "waiting" in line
    if sys.platform == "linux":
        assert f"(process {owner.pid} in {ROOT})" in line


def test_lock_ends_with_a_killed_process(file, owner, monkeypatch):
    assert lock.is_taken(file)
    owner.kill()
    owner.wait()
    with lock.of_machine("fail"):
        assert lock.is_taken(file)


def test_busy_machine_is_refused_or_ignored(file, owner):
    with pytest.raises(lock.Busy, match=r"another run measures on this machine"), lock.of_machine("fail"):
        pass
    with lock.of_machine("ignore"):
        assert owner.poll() is None


def test_interrupted_wait_leaves_the_owner_its_lock(file, owner, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(lock.time, "sleep", interrupted)
    before = psutil.Process().num_fds()
    with pytest.raises(KeyboardInterrupt), lock.of_machine("wait"):
        pass
    assert lock.is_taken(file)
    assert psutil.Process().num_fds() == before


def test_child_processes_do_not_inherit_the_lock(file):
    with ExitStack() as stack:
        stack.enter_context(lock.of_machine("fail"))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, "-c", "input('it runs\\n')"], close_fds=False, **pipes)
        assert child.stdout.readline() == b"it runs\n"
        stack.pop_all().close()
    assert not lock.is_taken(file)
    child.communicate(b"\n")


def test_link_in_place_of_the_lock_is_not_followed(file, tmp_path):
    target = tmp_path / "of someone else"
    file.symlink_to(target)
    with lock.of_machine("fail"):
        pass
    assert not target.exists()


def test_fifo_in_place_of_the_lock_does_not_block(file, tmp_path):
    os.mkfifo(file)
    with lock.of_machine("fail"):
        pass
    assert not lock.is_taken(file)


def test_lock_is_shared_by_all_users_despite_the_umask(file):
    before = os.umask(0o077)
    try:
        with lock.of_machine("fail"):
            assert file.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_nothing_is_locked_where_no_lock_can_be_made(tmp_path, monkeypatch):
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path / "missing" / "lock"))
    with lock.of_machine("fail"), lock.of_machine("fail"):
        assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("text", ["", "never", "WAIT"])
def test_when_busy_is_one_of_three(text):
    with pytest.raises(PlanError, match=r"^--when-busy: .* is none of wait, fail, ignore$"):
        lock.checked(text)


def test_journal_has_one_writer(tmp_path):
    with journal.Journal(tmp_path):
        assert lock.is_taken(tmp_path / journal.FILE)
        with pytest.raises(OSError, match="is being written by another process"):
            journal.Journal(tmp_path)
    with journal.Journal(tmp_path):
        pass
