"""Runs of the benchmarks as users start them, each in a folder of its own, and the processes that they leave."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.bench import signals

from .contender import FIRED

ROOT = Path(__file__).parent.parent.parent
MARK = "RELUBENCH_FAULTS_MARK"
"""The variable that marks the processes of a run."""
GONE_SECONDS = 10.0
"""Seconds to wait for processes that are still being ended when a run ends."""
PASSES, ROUNDS, PHASES = 2, 2, ("forward", "step")
GRID = """\
N = [4]
D_in = [8]
H = [6]
D_out = [2]
device = ["cpu"]
threads = [1]
phase = ["forward", "step"]
passes = 2
rounds = 2
samples = 2
steps = 2
timeout = 4
ceilings = false
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, None where it hung and was killed, and its output."""

    code: int | None
    output: str
    left_behind: list[str] = field(default_factory=list)
    """The processes that it left, which were killed then."""


@dataclass(frozen=True)
class Workspace:
    """A folder with a grid, contenders' modules, and folders for temporary files and results."""

    folder: Path
    grid: str = GRID

    def __post_init__(self) -> None:
        for path in (self.temporary, self.fired):
            path.mkdir(parents=True, exist_ok=True)
        (self.folder / "tiny.toml").write_text(self.grid)

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def fired(self) -> Path:
        return self.folder / "fired"

    def add(self, name: str, call: str) -> str:
        """Write a contender's module, whose class a call of `hostile` returns; return the implementation's name."""
        text = f"from tests.faults import kinds, parent\nfrom tests.faults.contender import hostile\n\nNet = {call}\n"
        (self.folder / f"{name}.py").write_text(text)
        return f"{name}:Net"

    def command(self, implementations: Sequence[str] = (), *options: str) -> list[str]:
        grid = () if "--resume" in options else ("--grid", "tiny.toml", "--seed", "1")
        chosen = ("--implementations", ",".join(implementations)) if implementations else ()
        front = ("-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", str(ROOT / "bench"))
        only = () if "--benchmark-disable" in options else ("--benchmark-only",)
        return [sys.executable, *front, *only, "-q", *grid, *chosen, *options]

    def environment(self, **more: str) -> dict[str, str]:
        variables = {
            "TMPDIR": str(self.temporary),
            "RELUBENCH_LOCK": str(self.folder / "lock"),
            FIRED: str(self.fired),
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", "RELUBENCH_"))}
        return inherited | variables | more

    def run(
        self, implementations: Sequence[str] = (), *options: str, deadline: float = 120.0, **variables: str
    ) -> Ended:
        """Run to the end, or to the deadline in seconds."""
        with Started(self, self.command(implementations, *options), variables) as started:
            return started.end(deadline)

    def newest(self) -> Path | None:
        """Return the folder of the last run."""
        return max((self.results / "runs").glob("*"), default=None, key=lambda path: path.name)

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of the newest run's table; none where there is no table."""
        newest = self.newest()
        file = newest / "timings.csv" if newest else None
        if file is None or not file.exists():
            return []
        csv.field_size_limit(1 << 30)
        with file.open(encoding="utf-8", newline="") as text:
            return list(csv.DictReader(text))

    def journal(self) -> bytes:
        """Return the complete lines of the newest run's journal."""
        newest = self.newest()
        file = newest / "journal.jsonl" if newest else None
        text = file.read_bytes() if file is not None and file.exists() else b""
        return text[: text.rfind(b"\n") + 1]

    def blocks(self) -> list[dict[str, Any]]:
        """Return the blocks of the newest run's journal."""
        records = [json.loads(line) for line in self.journal().splitlines()]
        return [record for record in records if record["record"] == "Block"]

    def temporary_files(self) -> list[str]:
        """Return the files that a run should have removed."""
        temporary = [path for path in self.temporary.rglob("*") if not path.is_dir() or not any(path.iterdir())]
        half_written = [
            path
            for path in self.results.rglob("*")
            if path.name.startswith(".") or path.name.endswith(("-wal", "-shm", "-journal", ".tmp"))
        ]
        return sorted(str(path.relative_to(self.folder)) for path in (*temporary, *half_written))

    def has_fired(self, name: str) -> bool:
        return (self.fired / name).exists()

    def wait_until_fired(self, name: str, seconds: float) -> bool:
        return _becomes_true(lambda: self.has_fired(name), seconds)


class Started:
    """A run in progress. On Linux, processes that it leaves become children of this one."""

    def __init__(self, workspace: Workspace, command: Sequence[str], variables: dict[str, str] | None = None) -> None:
        self._mark = secrets.token_hex(8)
        self._adopting = _adopting_orphans()
        self._adopting.__enter__()
        self._earlier_children = {child.pid for child in psutil.Process().children(recursive=True)}
        self.process = subprocess.Popen(
            command,
            cwd=workspace.folder,
            env=workspace.environment(**(variables or {}), **{MARK: self._mark}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=signals.heard,
        )
        self._output = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._adopting.__exit__(None, None, None)

    def end(self, deadline: float) -> Ended:
        """Wait for the run to end, for at most so many seconds, and kill the processes that it leaves."""
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = self.process.wait(deadline)
        if code is None:
            self.process.kill()
            self.process.wait()
        processes = self._wait_until_gone()
        descriptions = [_shown(process) for process in processes]
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        self._wait_until_gone()
        self._reader.join(GONE_SECONDS)
        return Ended(code, self.output(), descriptions)

    def output(self) -> str:
        """Return the output so far."""
        return self._output.decode("utf-8", "replace")

    def wait_for_output(self, words: str, seconds: float) -> bool:
        return _becomes_true(lambda: words in self.output(), seconds)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                self._output += chunk

    def _wait_until_gone(self) -> list[psutil.Process]:
        """Return the processes of the run that are still alive after GONE_SECONDS."""
        end = time.monotonic() + GONE_SECONDS
        while (alive := self._alive()) and time.monotonic() < end:
            time.sleep(0.05)
        return alive

    def _alive(self) -> list[psutil.Process]:
        """Return the processes with this run's mark, and new children of this process without any mark."""
        new = [child for child in psutil.Process().children(recursive=True) if child.pid not in self._earlier_children]
        others = (process for process in psutil.process_iter() if process.pid != os.getpid())
        marked = [process for process in others if _mark_of(process) == self._mark]
        unmarked = [child for child in new if not _mark_of(child)]
        by_pid = {process.pid: process for process in (*marked, *unmarked)}
        by_pid.pop(self.process.pid, None)
        return [process for process in by_pid.values() if not _is_gone(process)]


def _mark_of(process: psutil.Process) -> str:
    with suppress(psutil.Error, OSError):
        return process.environ().get(MARK, "")
    return ""


def _becomes_true(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (is_true := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return is_true


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    PR_SET_CHILD_SUBREAPER = 36
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended; reap a zombie child of this process."""
    with suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return False
        with suppress(OSError):
            os.waitpid(process.pid, os.WNOHANG)
    return True


def _shown(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid}: {' '.join(process.cmdline())[:120]}"
    return str(process.pid)
