"""The parent's end of a worker process: start it, ask it, stop it while others are timed."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import psutil

from bench.plan.cells import Contender

from . import git, logs
from .worker import environment

ROOT = Path(__file__).parent.parent.parent
"""What holds `bench` and `implementations`."""
GRACE_SECONDS = 5.0


class WorkerFailed(Exception):
    """A request failed: a status, a reason, and whether the process can be asked anything more."""

    def __init__(
        self, status: str, reason: str, alive: bool, error: float | None = None, tolerance: float | None = None
    ):
        super().__init__(reason)
        self.status, self.reason, self.alive = status, reason, alive
        self.error, self.tolerance = error, tolerance


class Worker(Protocol):
    """What a run needs of a contender's process, real or not."""

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """The answer to a request. Raises WorkerFailed."""

    def resume(self) -> None: ...

    def suspend(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Setting:
    """What a worker process is started with."""

    contender: Contender
    threads: int
    timeout: float
    log: Path
    interpreter: str = sys.executable
    source: Path = ROOT
    path: Sequence[str] = ()
    """Folders of other people's classes."""
    seed: int = 0
    """Of the problem's arrays."""
    slowdown: float = 0.0
    """Take longer than it would by this fraction, on purpose."""


class ProcessWorker:
    """A contender in a fresh process."""

    def __init__(self, setting: Setting) -> None:
        self.timeout = setting.timeout
        self._kills = _oom_kills()
        their_requests, our_requests = os.pipe()
        our_replies, their_replies = os.pipe()
        config = {
            "requests": their_requests,
            "replies": their_replies,
            "implementation": setting.contender.implementation,
            "device": setting.contender.device,
            "dtype": setting.contender.dtype,
            "threads": setting.threads,
            "seed": setting.seed,
            "slowdown": setting.slowdown,
            "path": [str(setting.source), *setting.path],
        }
        # `bench` is this harness's whatever the source tree, so it is imported before the tree is on the path.
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from bench.measure.worker.main import main; sys.exit(main(sys.argv[1:]))"
        )
        setting.log.parent.mkdir(parents=True, exist_ok=True)
        with setting.log.open("ab") as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = psutil.Popen(
                [setting.interpreter, "-c", code, json.dumps(config)],
                pass_fds=(their_requests, their_replies),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment.of_worker(git.without_repository(os.environ), setting.threads),
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
        os.close(their_requests)
        os.close(their_replies)
        self._requests: IO[str] = os.fdopen(our_requests, "w", encoding="utf-8")
        self._replies = our_replies
        self._unread = b""
        self.log = setting.log

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        try:
            self._requests.write(json.dumps({"verb": verb, **request}) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            raise self._died() from None
        reply = json.loads(self._read_line())
        if "failed" in reply:
            failed = reply["failed"]
            alive = failed["status"] in ("wrong", "unavailable", "unsupported")
            raise WorkerFailed(failed.pop("status"), failed.pop("reason"), alive, **failed)
        return dict(reply["ok"])

    def suspend(self) -> None:
        self._process.suspend()

    def resume(self) -> None:
        self._process.resume()

    def close(self) -> None:
        """End the process, kindly if it answers to that."""
        if self._requests.closed:
            return
        with suppress(BrokenPipeError):
            self._requests.close()  # no more requests: it ends by itself
        try:
            self._process.resume()
            self._process.wait(GRACE_SECONDS)
        except psutil.NoSuchProcess:
            pass
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._replies)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read_line(self) -> bytes:
        end = time.monotonic() + self.timeout
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._replies], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.kill()
                raise WorkerFailed("timeout", f"no answer within {self.timeout:g} s", alive=False)
            chunk = os.read(self._replies, 1 << 16)
            if not chunk:
                raise self._died()
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _died(self) -> WorkerFailed:
        code = self._process.wait()
        if code == -signal.SIGKILL and _oom_kills() > self._kills:
            return WorkerFailed("out_of_memory", "killed by the system, which ran out of memory", alive=False)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        last_line = logs.last_line(self.log, self._log_start)
        how += f": {last_line}" if last_line else ""
        return WorkerFailed("crashed", f"the worker process {how}; see {logs.path_from_here(self.log)}", alive=False)


def _oom_kills() -> int:
    """How many processes Linux has killed for want of memory since it started; 0 where that is not told."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
