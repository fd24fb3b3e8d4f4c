"""The parent's ends of a worker's two pipes: no wait without a deadline, and no reply without a limit."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

MOST_BYTES = 16 << 20
"""Of a reply."""
CHUNK_BYTES = 1 << 16
POLL_SECONDS = 0.1
"""Between looks at the memory of a process that has a limit, or at whether it has ended where the system cannot wait
for that and for a pipe at once."""


class TooLate(Exception):
    """The deadline went by."""


class Ended(Exception):
    """The process has ended, or has closed its end."""


class TooLong(Exception):
    """What came is longer than any reply."""


class Pipes:
    """Requests to a process and replies from it, each in a line. Deadlines are in seconds of `time.monotonic`."""

    def __init__(
        self, requests: int, replies: int, process: subprocess.Popen[bytes], watch: Callable[[], None] | None = None
    ) -> None:
        """`watch()` is called now and then while an answer is waited for, and may raise."""
        self._watch = watch
        self._requests, self._replies, self._process = requests, replies, process
        self._unread = bytearray()
        self._end: int | None = None
        """Readable once the process has ended."""
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):
                self._end = os.pidfd_open(process.pid)
        os.set_blocking(requests, False)

    def send(self, data: bytes, deadline: float) -> None:
        """Raises TooLate where the process does not read, and Ended where it never will."""
        while data:
            if not self._wait_for(self._requests, select.POLLOUT, deadline):
                raise TooLate
            try:
                data = data[os.write(self._requests, data) :]
            except OSError as error:
                raise Ended from error

    def receive(self, deadline: float) -> bytes:
        """The next line. Raises TooLate, Ended or TooLong."""
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
        """The beginning of what came that no one has asked for; empty where nothing did."""
        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        if poll.poll(0):
            self._unread += os.read(self._replies, CHUNK_BYTES)
        return bytes(self._unread)

    def close_requests(self) -> None:
        """No more will come: the process ends by itself, if it is one that listens."""
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1

    def close(self) -> None:
        self.close_requests()
        os.close(self._replies)
        if self._end is not None:
            os.close(self._end)

    def _wait_for(self, pipe: int, event: int, deadline: float) -> bool:
        """Whether a pipe is ready before the deadline. Raises Ended where the process has ended and it is not."""
        poll = select.poll()
        poll.register(pipe, event)
        if self._end is not None:
            poll.register(self._end, select.POLLIN)
        while True:
            left = max(0.0, deadline - time.monotonic())
            looks = self._watch is not None or self._end is None
            ready = dict(poll.poll(1e3 * (min(left, POLL_SECONDS) if looks else left)))
            if self._watch:
                self._watch()
            if pipe in ready:
                return True
            if ready or self._process.poll() is not None:
                raise Ended
            if left == 0.0:
                return False
