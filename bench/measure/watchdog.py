"""The process that ends a run's workers when the run itself has been killed."""

from __future__ import annotations

import os
import shutil
import signal
import time

from .processes import kill, of_workers

SECONDS = 2.0
"""How long to look for processes that are just being started."""


def main(pipe: int, mark: str) -> None:
    """Wait until no process can write to the pipe any more, then end the processes that have the mark or are in one of
    the sessions that were named in the pipe, and remove the folders that were named there."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    folders: list[str] = []
    with open(pipe, "rb") as lines:
        for line in lines:
            if line.startswith(b"/"):
                folders.append(os.fsdecode(line.removesuffix(b"\n")))
            elif (session := int(line)) > 0:
                sessions.add(session)
            else:
                sessions.discard(-session)
    end = time.monotonic() + SECONDS
    while (remaining := of_workers(mark, sessions, everywhere=True)) and time.monotonic() < end:
        kill(remaining)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
