"""Handle SIGINT, SIGTERM and SIGHUP as Ctrl-C, and only once, so that a further signal does not cut off the
cleaning up."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Records whether one of the signals has come, and whether it may wait."""

    def __init__(self) -> None:
        self.name = ""
        """The name of the first signal that came."""
        self._may_wait = self._has_raised = False
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """Handle the signals from now on, except those that are ignored, as SIGHUP is under nohup."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if (before := signal.getsignal(number)) not in (signal.SIG_IGN, None):
                self._before[number] = before
                signal.signal(number, self._handle)

    def remove(self) -> None:
        """Restore the handlers that were there before."""
        while self._before:
            signal.signal(*self._before.popitem())

    @contextmanager
    def between_blocks(self) -> Iterator[None]:
        """Let the first signal wait until `check` is called; a second one does not wait."""
        self._may_wait = True
        try:
            yield
        finally:
            self._may_wait = False
        self.check()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let no signal interrupt; `name` tells that one has come."""
        self._has_raised, before = True, self._has_raised
        try:
            yield
        finally:
            self._has_raised = before or bool(self.name)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come, only once."""
        if self.name and not self._has_raised:
            self._has_raised = True
            raise KeyboardInterrupt(self.name)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        waits = self._may_wait and not self.name
        self.name = self.name or signal.Signals(number).name
        if not waits:
            self.check()


current = Interrupts()
"""The interrupts of this process."""


@contextmanager
def handled() -> Iterator[None]:
    """Handle the signals as the module says while the context is open."""
    global current
    before, current = current, Interrupts()
    current.install()
    try:
        yield
    finally:
        current.remove()
        if current.name:  # Python cleans up for a while after this
            atexit.register(_ignore)
        current = before


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
