"""The parent's end of a worker process: start it, send it requests, stop it while others are timed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from bench.plan.cells import Contender
from bench.plan.units import gigabytes

from . import answers, compiled, git, logs, memory, processes
from .answers import NoAnswer
from .pipes import MOST_BYTES, Ended, Pipes, TooLate, TooLong
from .worker import environment

ROOT = Path(__file__).parent.parent.parent
"""The folder that contains `bench` and `implementations`."""
GRACE_SECONDS = 5.0
"""The time that a worker may take to end by itself."""
DYING_SECONDS = 1.0
"""The longest wait for a worker to end once its pipe has."""


def folders_of_classes(invoked_in: Path) -> tuple[str, ...]:
    """Return the folders where other people's classes are looked for: the one where the user is, and PYTHONPATH's."""
    python_path = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return tuple(dict.fromkeys([str(invoked_in), *python_path]))


class WorkerFailed(Exception):
    """A request failed: a status, a reason, and whether the process can be asked anything more."""

    def __init__(
        self, status: str, reason: str, alive: bool, error: float | None = None, tolerance: float | None = None
    ):
        super().__init__(reason)
        self.status, self.reason, self.alive = status, reason, alive
        self.error, self.tolerance = error, tolerance


class TooMuchMemory(Exception):
    """A process has taken more memory than it may."""


class Worker(Protocol):
    """What a run needs of a contender's process, real or fake."""

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """Send a request, unless it was begun, and return its answer. Raises WorkerFailed."""

    def begin(self, verb: str, **request: Any) -> None:
        """Send a request that `ask` waits for later, so that several processes work meanwhile. Where that fails, `ask`
        raises it."""

    def resume(self) -> None: ...

    def suspend(self) -> None: ...

    def begin_close(self) -> None:
        """Let the process end by itself; `close` waits for that."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Begun:
    """A request that was sent: when its answer is due, by `time.monotonic`, and why it could not be sent."""

    verb: str
    request: dict[str, Any]
    deadline: float
    failure: WorkerFailed | None = None


@dataclass(frozen=True)
class Setting:
    """What a worker process is started with."""

    contender: Contender | None
    """None for a process that computes references."""
    threads: int
    timeout: float
    log: Path
    interpreter: str = sys.executable
    source: Path = ROOT
    path: Sequence[str] = ()
    """Folders of other people's classes."""
    memory: int | None = None
    """Bytes that the process may take at most."""
    slowdown: float = 0.0
    """The fraction by which the worker is slowed on purpose."""


class ProcessWorker:
    """A contender in a fresh process."""

    def __init__(self, setting: Setting) -> None:
        """Start the process. Raises WorkerFailed where that fails."""
        self.timeout, self.log = setting.timeout, setting.log
        self._kills = memory.kills()
        self._requests, self._has_ended, self._is_closed = 0, False, False
        self._begun: _Begun | None = None
        self._compiled = compiled.new_folder()
        with ExitStack() as descriptors:
            descriptors.callback(compiled.remove, self._compiled)
            try:
                self._mark = processes.new_mark()
                self._start(setting, descriptors)
            except (OSError, ValueError) as error:  # ValueError: a path with a null character
                reason = f"its process cannot be started by {setting.interpreter}: {error}"
                raise WorkerFailed("crashed", reason, alive=False) from error
            descriptors.pop_all()

    def _start(self, setting: Setting, descriptors: ExitStack) -> None:
        def pipe() -> tuple[int, int]:
            ends = os.pipe()
            for end in ends:
                descriptors.callback(os.close, end)
            return ends

        contender = setting.contender
        their_requests, our_requests = pipe()
        our_replies, their_replies = pipe()
        config = {
            "requests": their_requests,
            "replies": their_replies,
            "implementation": contender and contender.implementation,
            "device": contender and contender.device,
            "dtype": contender and contender.dtype,
            "threads": setting.threads,
            "slowdown": setting.slowdown,
            "path": [str(setting.source), *setting.path],
        }
        # `bench` is always this harness's, so it is imported before the source tree is on the path.
        code = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from bench.measure.worker.main import main; sys.exit(main(sys.argv[1:]))"
        )
        variables = environment.of_worker(git.without_repository(os.environ), setting.threads)
        variables |= compiled.variables(self._compiled, os.environ)
        setting.log.parent.mkdir(parents=True, exist_ok=True)
        logs.bound(setting.log)
        with logs.open_to_append(setting.log) as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                [setting.interpreter, "-c", code, json.dumps(config)],
                pass_fds=(their_requests, their_replies),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**variables, processes.MARK: self._mark},
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
        processes.started(self._process)
        self._memory = setting.memory
        self._pipes = Pipes(our_requests, our_replies, self._process, self._check_memory if setting.memory else None)
        os.close(their_requests)
        os.close(their_replies)

    def begin(self, verb: str, **request: Any) -> None:
        deadline, failure = time.monotonic() + self.timeout, None
        self._requests += 1
        line = json.dumps({"id": self._requests, "verb": verb, **request}).encode() + b"\n"
        try:
            with self._answering():
                if stray := self._pipes.stray():
                    raise NoAnswer(f"it wrote {answers.shown(stray)}, which answers nothing")
                self._pipes.send(line, deadline)
        except WorkerFailed as error:
            failure = error
        self._begun = _Begun(verb, request, deadline, failure)

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        if self._begun is None:
            self.begin(verb, **request)
        begun, self._begun = self._begun, None
        assert begun
        assert (begun.verb, begun.request) == (verb, request), "another request was begun"
        if begun.failure:
            raise begun.failure
        with self._answering():
            answer = answers.answer_in(self._pipes.receive(begun.deadline), self._requests)
        if failed := answer.get("failed"):
            alive = failed.status in ("wrong", "unavailable", "unsupported")
            raise WorkerFailed(failed.status, failed.reason, alive, failed.error, failed.tolerance)
        return dict(answer["ok"])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Raise WorkerFailed for whatever prevents an answer, and end the process."""
        if self._process.poll() is not None:  # else a child that it has forked may answer
            raise self._died()
        try:
            yield
        except TooMuchMemory as error:
            self.kill()
            raise WorkerFailed("out_of_memory", str(error), alive=False) from None
        except TooLate:
            self.kill()
            raise WorkerFailed("timeout", f"no answer within {self.timeout:g} s", alive=False) from None
        except Ended:
            raise self._died() from None
        except TooLong:
            raise self._broken_protocol(f"it wrote more than {MOST_BYTES} bytes without an end of line") from None
        except NoAnswer as error:
            raise self._broken_protocol(str(error)) from None
        finally:
            logs.bound(self.log)

    def suspend(self) -> None:
        processes.signal_group(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        processes.signal_group(self._process, signal.SIGCONT)

    def begin_close(self) -> None:
        self._pipes.close_requests()  # no more requests: it ends by itself
        self.resume()

    def close(self) -> None:
        """End the process and what it has started, gracefully if it responds within GRACE_SECONDS."""
        if self._is_closed:
            return
        self._is_closed = True
        self.begin_close()
        self.kill(GRACE_SECONDS)
        self._pipes.close()
        logs.bound(self.log)

    def kill(self, grace: float = 0.0) -> None:
        """End the process, which may end by itself within `grace` seconds, and what it has started."""
        if not self._has_ended:
            processes.end(self._process, self._mark, grace)
            self._has_ended = True
            compiled.remove(self._compiled)

    def _check_memory(self) -> None:
        """Raise TooMuchMemory if the process has taken more than it may."""
        assert self._memory
        with suppress(psutil.Error):
            used = psutil.Process(self._process.pid).memory_info().rss
            if used > self._memory:
                allowed = f"{gigabytes(self._memory)} that --memory-limit allows"
                raise TooMuchMemory(f"its process took {gigabytes(used)}, more than the {allowed}")

    def _broken_protocol(self, breach: str) -> WorkerFailed:
        self.kill()
        log_path = logs.path_from_here(self.log)
        return WorkerFailed(
            "crashed", f"the worker process did not keep to its pipe: {breach}; see {log_path}", alive=False
        )

    def _died(self) -> WorkerFailed:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING_SECONDS)
        code = self._process.returncode
        if code is None:
            return self._broken_protocol("it closed it and went on")
        self.kill()
        if code == -signal.SIGKILL and memory.kills() > self._kills:
            return WorkerFailed("out_of_memory", "killed by the system, which ran out of memory", alive=False)
        how = f"was ended by {_signal_name(-code)}" if code < 0 else f"exited with status {code}"
        last_line = logs.last_line(self.log, self._log_start)
        how += f": {last_line}" if last_line else ""
        return WorkerFailed("crashed", f"the worker process {how}; see {logs.path_from_here(self.log)}", alive=False)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of the real-time signals only the first and the last have names
        return f"signal {number}"
