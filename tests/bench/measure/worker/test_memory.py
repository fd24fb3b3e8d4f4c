"""The peak of this process's memory."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.measure.worker import memory

MEGABYTE = 2**20


def can_reset():
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return "VmHWM" in Path("/proc/self/status").read_text()
    except OSError:
        return False


def hold(size):
    """Touch and free that many bytes: mapped ones, since malloc may have a hole of that size from another test."""
    with mmap.mmap(-1, size) as area:
        np.frombuffer(area, np.uint8)[:] = 1


def test_peak_is_some_megabytes_and_below_a_terabyte():
    assert MEGABYTE < memory.peak_bytes() < 2**40


def test_peak_remembers_a_freed_array():
    memory.reset_peak()
    before = memory.peak_bytes()
    hold(128 * MEGABYTE)
    after = memory.peak_bytes()
    assert after >= before
    if can_reset():  # elsewhere an earlier test may have held more
        assert after - before > 100 * MEGABYTE


@pytest.mark.skipif(not can_reset(), reason="this system keeps no peak that can be begun anew")
def test_new_peak_forgets_a_freed_array():
    hold(128 * MEGABYTE)
    high = memory.peak_bytes()
    memory.reset_peak()
    assert high - memory.peak_bytes() > 100 * MEGABYTE


def test_peak_without_proc_is_of_the_whole_process(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(Path, "write_text", missing)
    memory.reset_peak()
    assert MEGABYTE < memory.peak_bytes() < 2**40
    kilobytes = memory.resource.getrusage(memory.resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.peak_bytes() == pytest.approx(kilobytes, rel=0.1)
    assert sys.platform == "darwin"


def test_available_memory_is_plausible():
    assert MEGABYTE < memory.available_bytes() < 2**50


def test_last_level_cache_is_the_largest(tmp_path, monkeypatch):
    monkeypatch.setattr(memory.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for index, size in enumerate(("32K", "1024K", "33M", "")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    assert memory.last_level_cache_bytes(tmp_path) == 33 * MEGABYTE


@pytest.mark.parametrize(
    ("sharing", "usable", "share"), [("0-95", 2, 10), ("0-1", 2, 32), ("0,48", 1, 16), ("0", 64, 480)]
)
def test_shared_cache_counts_by_the_share_that_processors_can_have(tmp_path, monkeypatch, sharing, usable, share):
    monkeypatch.setattr(memory.os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    (tmp_path / "index3").mkdir()
    (tmp_path / "index3" / "size").write_text("480M\n")
    (tmp_path / "index3" / "shared_cpu_list").write_text(f"{sharing}\n")
    assert memory.last_level_cache_bytes(tmp_path) == share * MEGABYTE


def test_unknown_cache_is_guessed_generously(tmp_path):
    assert memory.last_level_cache_bytes(tmp_path / "nowhere") == memory.UNKNOWN_CACHE_BYTES
