"""The width and the colours of what pytest writes to."""

from types import SimpleNamespace

import pytest

from bench.glue import screens


def config_of(reporter):
    return SimpleNamespace(pluginmanager=SimpleNamespace(getplugin=lambda name: reporter))


@pytest.mark.parametrize("colour", [False, True])
def test_terminal_has_a_width_and_may_have_colour(monkeypatch, colour):
    monkeypatch.setenv("COLUMNS", "77")
    screen = screens.of(config_of(SimpleNamespace(isatty=lambda: True, hasmarkup=colour)))
    assert (screen.width, screen.has_colour) == (77, colour)


def test_pipe_has_no_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "77")
    screen = screens.of(config_of(SimpleNamespace(isatty=lambda: False, hasmarkup=False)))
    assert (screen.width, screen.has_colour) == (None, False)


def test_session_without_a_reporter_has_a_plain_screen():
    assert screens.of(config_of(None)).width is None
