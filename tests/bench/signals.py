"""Restore the signals' defaults, however the tests are run."""

from __future__ import annotations

import signal

ENDING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def heard() -> None:
    """Let these signals end this process: under nohup, or in a shell's background, some are ignored."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
