"""The faults of hostile contenders: a function for each kind, called at the moment that `contender.py` chooses.

Workers import this module, so it imports only the standard library and NumPy.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

OK, WRONG, CRASHED, TIMEOUT = ("ok",), ("wrong", "crashed"), ("crashed",), ("timeout",)
OUT_OF_MEMORY = ("out_of_memory",)
RAISED_AT_IMPORT = ("crashed", "unavailable")
"""Some exceptions mean that a framework is missing, when they come from an import."""
ANY = ("ok", "wrong", "out_of_memory", "timeout", "crashed")
SECONDS = 600.0
"""The duration of what has to be ended from outside."""
LONGEST_PIPE = 64 << 20
LOG_BYTES = 24 << 20
GREEDY_BYTES = 3 << 30


@dataclass(frozen=True)
class Kind:
    """A fault: the function that causes it, the statuses allowed for the cell in which it happens, and whether it
    affects the contender's later cells as well."""

    do: Callable[[], Any]
    statuses: tuple[str, ...]
    lasts: bool = False


KINDS: dict[str, Kind] = {}
"""The kinds by name."""


def results_as(result: Any) -> Any:
    """Return what a contender's getters return for a result; faults replace this function."""
    return result


def kind(statuses: tuple[str, ...], lasts: bool = False) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Add a function to KINDS."""

    def add(do: Callable[[], Any]) -> Callable[[], Any]:
        KINDS[do.__name__] = Kind(do, statuses, lasts)
        return do

    return add


# Exceptions


@kind(CRASHED)
def raises_exception() -> NoReturn:
    raise ValueError("not today")


@kind(CRASHED)
def raises_base_exception() -> NoReturn:
    raise type("Own", (BaseException,), {})("not an Exception")


@kind(CRASHED)
def raises_exception_group() -> NoReturn:
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])


@kind(CRASHED)
def raises_system_exit() -> NoReturn:
    sys.exit("enough")


@kind(CRASHED)
def raises_system_exit_0() -> NoReturn:
    sys.exit(0)


@kind(CRASHED)
def raises_keyboard_interrupt() -> NoReturn:
    raise KeyboardInterrupt


@kind(CRASHED)
def raises_generator_exit() -> NoReturn:
    raise GeneratorExit


@kind(OUT_OF_MEMORY)
def raises_memory_error() -> NoReturn:
    raise MemoryError


@kind(OUT_OF_MEMORY)
def allocates_more_than_there_is() -> None:
    np.ones(1 << 60, "u1")


@kind(RAISED_AT_IMPORT)
def recurses_without_end() -> None:
    recurses_without_end()


@kind(CRASHED)
def raises_megabytes() -> NoReturn:
    raise ValueError("long " * (4 << 20))


@kind(CRASHED)
def raises_lone_surrogates() -> NoReturn:
    raise ValueError("an odd file name: \udc80\ud800")


@kind(CRASHED)
def raises_escape_sequences() -> NoReturn:
    raise ValueError("\x1b[2J\x1b]0;title\x07\x00\r\n\u202e<script>alert(1)</script>|=1+1")


@kind(CRASHED)
def raises_an_unprintable_exception() -> NoReturn:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    raise Unprintable


@kind(CRASHED)
def raises_an_exception_without_a_class_name() -> NoReturn:
    class Nameless(type):
        def __getattribute__(cls, name: str) -> Any:
            if name in ("__name__", "__qualname__", "__mro__"):
                raise RuntimeError("no name")
            return super().__getattribute__(name)

    raise Nameless("Own", (Exception,), {})("of a class without a name")


@kind(CRASHED)
def raises_a_forged_failure() -> NoReturn:
    error = ValueError("a forged outcome")
    error.status, error.figures = "ok", {"seconds": [1e-12]}  # type: ignore[attr-defined]
    raise error


@kind(CRASHED)
def raises_a_failure_with_odd_figures() -> NoReturn:
    error = ValueError("odd figures")
    error.status, error.figures = "wrong", {"error": "much", "tolerance": object()}  # type: ignore[attr-defined]
    raise error


# Ends of the process


@kind(CRASHED)
def exits() -> None:
    os._exit(3)


@kind(CRASHED)
def exits_with_0() -> None:
    os._exit(0)


@kind(CRASHED)
def aborts() -> None:
    os.abort()


@kind(CRASHED)
def segfaults() -> None:
    ctypes.string_at(0)


@kind(CRASHED)
def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@kind(CRASHED)
def kills_its_group() -> None:
    os.killpg(0, signal.SIGKILL)


@kind(CRASHED)
def terminates_itself() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@kind(CRASHED)
def ends_by_a_signal_without_a_name() -> None:
    os.kill(os.getpid(), signal.SIGRTMIN + 3)
    time.sleep(SECONDS)


@kind(CRASHED)
def ends_by_a_timer() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(SECONDS)


@kind(CRASHED)
def ends_by_sigquit_without_a_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGQUIT)
    time.sleep(SECONDS)


# Hangs


@kind(TIMEOUT)
def sleeps() -> None:
    time.sleep(SECONDS)


@kind(TIMEOUT)
def is_busy() -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass


@kind(TIMEOUT)
def sleeps_with_signals_blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(SECONDS)


@kind(TIMEOUT)
def stops_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(SECONDS)


@kind(TIMEOUT)
def deadlocks() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=SECONDS)


@kind(TIMEOUT)
def becomes_another_program() -> None:
    os.execvp("sleep", ["sleep", str(SECONDS)])


@kind(TIMEOUT)
def reads_its_requests() -> None:
    os.read(_pipe("requests"), 1 << 16)


# The reply pipe


@kind(CRASHED)
def writes_text() -> None:
    _reply(b"this is not an answer\n")


@kind(CRASHED)
def writes_binary() -> None:
    _reply(bytes(range(256)) + b"\n")


@kind(CRASHED)
def writes_a_list() -> None:
    _reply(b"[1]\n")


@kind(CRASHED)
def writes_deep_brackets() -> None:
    _reply(b"[" * 100_000 + b"\n")


@kind(CRASHED)
def writes_an_empty_line() -> None:
    _reply(b"\n")


@kind(CRASHED)
def answers_an_unknown_request() -> None:
    _reply(b'{"id":999999,"ok":{}}\n')


@kind(CRASHED)
def answers_twice() -> None:
    answer = {"id": _request_number(), "ok": {"seconds": [], "import_seconds": "soon"}}
    _reply(json.dumps(answer).encode() + b"\n")


@kind(CRASHED)
def floods_the_pipe() -> None:
    part = b"x" * (1 << 20)
    for _ in range(LONGEST_PIPE // len(part)):
        _reply(part)


@kind(TIMEOUT)
def writes_half_a_line_and_sleeps() -> None:
    _reply(b'{"id":')
    time.sleep(SECONDS)


@kind(CRASHED)
def closes_everything_and_goes_on() -> None:
    os.closerange(0, 1024)


@kind(CRASHED)
def closes_everything_and_sleeps() -> None:
    os.closerange(0, 1024)
    time.sleep(SECONDS)


@kind(CRASHED)
def closes_everything_and_exits() -> None:
    os.closerange(0, 1024)
    os._exit(0)


@kind(CRASHED)
def patches_json() -> None:
    json.dumps = lambda *_, **__: "nonsense"  # type: ignore[assignment]


@kind(CRASHED)
def patches_json_to_nan() -> None:
    dumps = json.dumps
    json.dumps = lambda value, **_: dumps({name: _with_nan(part) for name, part in value.items()})  # type: ignore[assignment]


@kind(CRASHED)
def lets_a_child_keep_the_pipe() -> None:
    if os.fork() == 0:
        time.sleep(SECONDS)
    os._exit(4)


@kind(ANY, lasts=True)
def forks_and_both_answer() -> None:
    os.fork()


# Processes and output left behind


@kind(OK)
def leaves_a_child() -> None:
    subprocess.Popen(["sleep", str(SECONDS)])


@kind(OK)
def leaves_a_child_of_its_own_session() -> None:
    subprocess.Popen(["sleep", str(SECONDS)], start_new_session=True)


@kind(OK)
def leaves_many_children() -> None:
    for _ in range(20):
        leaves_a_child()


@kind(OK)
def leaves_a_forked_child() -> None:
    if os.fork() == 0:
        os.closerange(3, 1024)
        time.sleep(SECONDS)
        os._exit(0)


@kind(OK)
def leaves_a_daemon() -> None:
    _daemon(dict(os.environ))


@kind(OK)
def leaves_a_daemon_without_environment() -> None:
    _daemon({"PATH": os.environ.get("PATH", os.defpath)})


@kind(OK)
def leaves_a_daemon_at_exit() -> None:
    atexit.register(_daemon, dict(os.environ))


@kind(OK)
def hangs_at_exit() -> None:
    atexit.register(time.sleep, SECONDS)


@kind(OK)
def leaves_threads() -> None:
    for daemon in (True, False):
        threading.Thread(target=time.sleep, args=(SECONDS,), daemon=daemon).start()


@kind(OK)
def floods_its_log() -> None:
    os.write(1, b"nothing much\n" * (LOG_BYTES // 13))


# The process's environment


@kind(OK)
def changes_folder() -> None:
    os.chdir("/")


@kind(OK)
def deletes_its_folder() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    shutil.rmtree(folder)


@kind(OK)
def replaces_stdout() -> None:
    sys.stdout = sys.stderr = None  # type: ignore[assignment]


@kind(OK)
def closes_its_output() -> None:
    for descriptor in (1, 2):
        with suppress(OSError):  # already closed
            os.close(descriptor)


@kind(OK)
def clears_its_environment() -> None:
    os.environ.clear()


@kind(OK)
def ignores_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)


@kind(ANY, lasts=True)
def raises_when_it_is_continued() -> None:
    signal.signal(signal.SIGCONT, lambda *_: raises_exception())


@kind(OK)
def makes_warnings_errors() -> None:
    warnings.simplefilter("error")
    warnings.filterwarnings("error")


@kind(OK)
def changes_its_priority() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, 5)
    os.sched_setaffinity(0, os.sched_getaffinity(0))


@kind(ANY, lasts=True)
def patches_the_clock() -> None:
    time.perf_counter = time.process_time = time.monotonic = lambda: 0.0


@kind(ANY, lasts=True)
def patches_the_system() -> None:
    os.read = os.write = gc.collect = lambda *_: raises_exception()  # type: ignore[assignment]


@kind(ANY, lasts=True)
def limits_its_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))


@kind(ANY, lasts=True)
def limits_its_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@kind(ANY, lasts=True)
def limits_its_recursion() -> None:
    sys.setrecursionlimit(60)


@kind(ANY, lasts=True)
def forgets_its_modules() -> None:
    sys.modules.clear()
    sys.path.clear()


@kind(OUT_OF_MEMORY)
def takes_all_memory() -> None:
    arrays = []
    while len(arrays) << 26 < GREEDY_BYTES:
        arrays.append(np.ones(1 << 26, "u1"))
    time.sleep(SECONDS)


# Results


@kind(WRONG, lasts=True)
def gives_nan() -> None:
    _results_from_now_on(lambda array: np.full_like(array, np.nan))


@kind(WRONG, lasts=True)
def gives_infinity() -> None:
    _results_from_now_on(lambda array: np.full_like(array, np.inf))


@kind(WRONG, lasts=True)
def gives_other_shapes() -> None:
    _results_from_now_on(lambda array: array[:1])


@kind(WRONG, lasts=True)
def gives_text() -> None:
    _results_from_now_on(lambda array: array.astype(str))


@kind(WRONG, lasts=True)
def gives_objects() -> None:
    _results_from_now_on(lambda array: np.full(array.shape, object()))


@kind(WRONG, lasts=True)
def gives_none() -> None:
    _results_from_now_on(lambda array: None)


@kind(WRONG, lasts=True)
def gives_doubled_values() -> None:
    _results_from_now_on(lambda array: 2 * array)


@kind(WRONG, lasts=True)
def gives_an_unreadable_array() -> None:
    class Unreadable:
        def __array__(self, *_: Any, **__: Any) -> NoReturn:
            raise ValueError("not an array after all")

    _results_from_now_on(lambda array: Unreadable())


def waits_for_a_file() -> None:
    """Wait until a test creates the file `go`. This is no fault, and not in KINDS."""
    fired = Path(os.environ["RELUBENCH_FAULTS_FIRED"])
    end = time.monotonic() + SECONDS
    while not (fired / "go").exists() and time.monotonic() < end:
        time.sleep(0.01)


def _results_from_now_on(change: Callable[[Any], Any]) -> None:
    global results_as
    results_as = change


def _with_nan(value: Any) -> Any:
    """Return a value of an answer with NaN for every float in it."""
    match value:
        case dict():
            return {name: _with_nan(part) for name, part in value.items()}
        case list():
            return [_with_nan(part) for part in value]
        case float():
            return float("nan")
        case _:
            return value


def _pipe(name: str) -> int:
    return int(json.loads(sys.argv[1])[name])


def _reply(data: bytes) -> None:
    os.write(_pipe("replies"), data)


def _request_number() -> int:
    frame = sys._getframe()
    while "number" not in frame.f_locals and frame.f_back is not None:
        frame = frame.f_back
    return int(frame.f_locals.get("number", 1))


def _daemon(environment: dict[str, str]) -> None:
    """Fork twice and leave the session, as daemons do."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 1024)
    os.execvpe("sleep", ["sleep", str(SECONDS)], environment)
