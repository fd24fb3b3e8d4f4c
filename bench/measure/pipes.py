"""The parent's ends of a worker's two pipes: every wait has a deadline, and every reply a size limit."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

MOST_BYTES = 16 << 20
"""The largest reply."""
CHUNK_BYTES = 1 << 16
POLL_SECONDS = 0.1
"""The interval of checking the memory of a process that has a limit, or whether it has ended where the system cannot
wait for that and for a pipe at once."""


class TooLate(Exception):
    """The deadline has passed."""


class Ended(Exception):
    """The process has ended, or has closed its end of the pipe."""


class TooLong(Exception):
    """The reply is longer than MOST_BYTES."""


class Pipes:
    """Sends requests and receives replies, a line each. Deadlines are in seconds of `time.monotonic`."""

    def __init__(
        self, requests: int, replies: int, process: subprocess.Popen[bytes], watch: Callable[[], None] | None = None
    ) -> None:
        """`watch()` is called every POLL_SECONDS during a wait, and may raise."""
        self._watch = watch
        self._requests, self._replies, self._process = requests, replies, process
        self._unread = bytearray()
        self._end: int | None = None
        """A descriptor that is readable once the process has ended."""
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._end = os.pidfd_open(process.pid)
        os.set_blocking(requests, False)

    def send(self, data: bytes, deadline: float) -> None:
        """Send data. Raises TooLate where the process does not read it, and Ended where it never will."""
        while data:
            if not self._wait_for(self._requests, select.POLLOUT, deadline):
                raise TooLate
            try:
                data = data[os.write(self._requests, data) :]
            except OSError as error:
                raise Ended from error

    def receive(self, deadline: float) -> bytes:
        """Return the next line. Raises TooLate, Ended or TooLong."""
        while b"\n" not in self._unread:
            if len(self._unread) > MOST_BYTES:
                raise TooLong
            if not self._wait_for(self._replies, select.POLLIN, deadline):
                raise TooLate
            chunk = os.read(self._replies, CHUNK_BYTES)
            if not chunk:
                raise Ended
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return bytes(line)

    def stray(self) -> bytes:
        """Return the beginning of what came without a request; empty where nothing did."""
        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        if poll.poll(0):
            self._unread += os.read(self._replies, CHUNK_BYTES)
        return bytes(self._unread)

    def close_requests(self) -> None:
        """Close the pipe of requests, at which a worker that works ends by itself."""
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1

    def close(self) -> None:
        self.close_requests()
        os.close(self._replies)
        if self._end is not None:
            os.close(self._end)

    def _wait_for(self, pipe: int, event: int, deadline: float) -> bool:
        """Tell whether a pipe is ready before the deadline. Raises Ended where the process ends first."""
        poll = select.poll()
        poll.register(pipe, event)
        if self._end is not None:
            poll.register(self._end, select.POLLIN)
        while True:
            seconds_left = max(0.0, deadline - time.monotonic())
            polls = self._watch is not None or self._end is None
            ready = dict(poll.poll(1e3 * (min(seconds_left, POLL_SECONDS) if polls else seconds_left)))
            if self._watch:
                self._watch()
            if pipe in ready:
                return True
            if ready or self._process.poll() is not None:
                raise Ended
            if seconds_left == 0.0:
                return False
