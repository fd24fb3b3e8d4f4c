"""Signals as a terminal's programs have them, wherever the tests run."""

from __future__ import annotations

import signal

ENDING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def heard() -> None:
    """Let these signals end this process: tests that run under nohup, or in the background of a shell, ignore some."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
