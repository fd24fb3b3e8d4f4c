"""Tests of the hooks that pytest calls."""

from types import SimpleNamespace

import pytest

from bench import conftest


def test_an_unexpected_error_in_the_options_is_one_line(monkeypatch):
    monkeypatch.setattr(conftest.plugins, "refuse", lambda *_: None)
    monkeypatch.setattr(conftest.git, "forget_repository", lambda: None)
    monkeypatch.setattr(conftest, "plan_from", lambda config: 1 / 0)
    cleanups = []
    with pytest.raises(
        pytest.UsageError, match=r"^something unexpected happened: ZeroDivisionError: .*traceback"
    ) as error:
        conftest.pytest_configure(SimpleNamespace(add_cleanup=cleanups.append))
    assert "\n" not in str(error.value)
    for cleanup in cleanups:
        cleanup()
