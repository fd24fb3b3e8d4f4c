"""The progress line: its text, and where it is shown."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.glue import progress
from bench.measure.progress import Progress
from tests.bench.fakes import FakeClock

HALFWAY = Progress(2, 5, "step", "N64-D1000-H100", "jax-cpu-float32", 0.344, 80.2)


def config_of(verbosity=0):
    return SimpleNamespace(get_verbosity=lambda: verbosity, pluginmanager=SimpleNamespace(getplugin=lambda name: None))


def test_line_has_pass_share_time_left_and_cell():
    assert progress.line(HALFWAY) == "pass 2/5 · 34 % · 1 min 20 s left · step N64-D1000-H100 · jax-cpu-float32"


def test_line_of_an_adaptive_run_has_time_left_at_most():
    shown = progress.line(replace(HALFWAY, passes=None))
    assert shown == "pass 2 · 34 % · 1 min 20 s left at most · step N64-D1000-H100 · jax-cpu-float32"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (60.0, "1 min 0 s"), (4000.0, "66 min 40 s")],
)
def test_time_left_is_in_minutes_and_seconds(seconds, text):
    shown = progress.line(Progress(1, 1, "step", "N1-D1-H1", "numpy-cpu-float32", 0.0, seconds))
    assert f" · {text} left · " in shown


@pytest.mark.parametrize(("done", "text"), [(0.0, "0 %"), (0.999, "100 %"), (1.0, "100 %")])
def test_share_is_in_whole_percent(done, text):
    assert f" · {text} · " in progress.line(Progress(1, 1, "step", "N1-D1-H1", "numpy-cpu-float32", done, 1.0))


@pytest.mark.parametrize("verbosity", [-1, -2])
def test_quiet_prints_nothing(capsys, verbosity):
    with progress.shown(config_of(verbosity)) as display:
        for _ in range(100):
            display.progress(HALFWAY)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_a_line_is_printed_every_half_a_minute(capsys, monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock))
    counts = []
    with progress.shown(config_of()) as display:
        for _ in range(70):
            display.progress(HALFWAY)
            counts.append(capsys.readouterr().out.count(progress.line(HALFWAY)))
            clock.spend(1.0)
    assert [second for second, count in enumerate(counts) if count] == [30, 60]
    assert set(counts) == {0, 1}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_line_is_redrawn_and_erased(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    with progress.shown(config_of()) as display:
        assert "pass" not in terminal.getvalue()
        display.progress(HALFWAY)
        once = terminal.getvalue()
        assert once.count("pass 2/5 · 34 % · 1 min 20 s left · step") == 1
        assert "jax-cpu-float32" not in once, "cut to the terminal's width"
        assert "…" in once
        display.progress(HALFWAY)
        assert terminal.getvalue().count("pass 2/5") == 2
    after = terminal.getvalue().removeprefix(once)
    assert "\x1b[2K" in after, "erased"
    assert after.rindex("\x1b[2K") > after.rindex("pass 2/5")


def test_capturing_is_suspended_while_progress_is_shown(capsys):
    events = []

    class Capture:
        def global_and_fixture_disabled(self):
            from contextlib import contextmanager

            @contextmanager
            def disabled():
                events.append("off")
                yield
                events.append("on")

            return disabled()

    config = config_of()
    config.pluginmanager.getplugin = lambda name: Capture()
    with progress.shown(config):
        assert events == ["off"]
    assert events == ["off", "on"]


@pytest.mark.parametrize("error", [BrokenPipeError(), UnicodeEncodeError("ascii", "µ", 0, 1, "no such character")])
def test_line_that_cannot_be_shown_does_not_end_the_run(error):
    def show(progress):
        raise error

    progress.unfailing(show)(HALFWAY)


def test_missing_characters_are_spelt_in_others(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(progress.sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    clock = FakeClock()
    show = progress.occasionally(clock)
    clock.spend(31.0)
    show(HALFWAY)
    assert raw.getvalue() == b"\npass 2/5 - 34 % - 1 min 20 s left - step N64-D1000-H100 - jax-cpu-float32"


def test_ascii_terminal_gets_the_redrawn_line(monkeypatch):
    class Ascii(io.TextIOWrapper):
        def isatty(self):
            return True

    raw = io.BytesIO()
    monkeypatch.setattr(progress.sys, "stdout", Ascii(raw, encoding="ascii"))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    with progress.shown(config_of()) as display:
        display.progress(HALFWAY)
        progress.sys.stdout.flush()
    assert b"pass 2/5 - 34 % - 1 min 20 s left" in raw.getvalue()
