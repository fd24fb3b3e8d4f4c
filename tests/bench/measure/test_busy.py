import os

import psutil
import pytest

from bench.measure import busy


def test_share_counts_usable_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 3}, raising=False)
    assert busy.share(lambda: [100.0, 50.0, 100.0, 0.0]) == 0.25


def test_share_counts_all_processors_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert busy.share(lambda: [100.0, 50.0]) == 0.75


@pytest.mark.parametrize("error", [OSError, RuntimeError, NotImplementedError, psutil.AccessDenied])
def test_share_is_none_where_the_system_does_not_tell(error):
    def fail():
        raise error

    assert busy.share(fail) is None
    assert busy.share(list) is None


def test_share_of_this_machine_is_a_fraction():
    assert 0 <= busy.share() <= 1


def test_warning_of_a_busy_machine_only():
    [line] = busy.warnings(0.47)
    assert line.startswith("warning: other processes keep 47 % of the processors busy just now")
    assert [busy.warnings(share) for share in (None, 0.0, 0.01, 0.19)] == [[]] * 4
