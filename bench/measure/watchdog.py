"""What goes on in the process that ends a run's workers when the run itself has been killed."""

from __future__ import annotations

import os
import signal
import time

from .processes import kill, marked

SECONDS = 2.0
"""For which processes that are just being started are looked for."""


def main(pipe: int, mark: str) -> None:
    """Wait until no one can write to a pipe any more, and end the processes that have the mark."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.read(pipe, 1)
    end = time.monotonic() + SECONDS
    while (left := marked(mark, everywhere=True)) and time.monotonic() < end:
        kill(left)
