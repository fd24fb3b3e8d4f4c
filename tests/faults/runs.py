"""Runs of the benchmarks as people start them, each in a folder of its own, and what is left after them."""

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
"""The variable by which the processes of a run are known."""
GONE_SECONDS = 10.0
"""For which processes that are being ended when a run ends are waited for."""
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
    """How a run ended: its exit code, None where it had to be killed because it hung, and what it said."""

    code: int | None
    output: str
    left: list[str] = field(default_factory=list)
    """Processes that it left behind, which were killed then."""


@dataclass(frozen=True)
class Place:
    """A folder with a grid, modules of contenders, a folder for temporary files and one for results."""

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
        """A contender's module, whose class is what a call of `hostile` returns; its implementation's name."""
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
        own = {
            "TMPDIR": str(self.temporary),
            "RELUBENCH_LOCK": str(self.folder / "lock"),
            FIRED: str(self.fired),
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        outer = {name: text for name, text in os.environ.items() if not name.startswith(("PYTEST_", "RELUBENCH_"))}
        return outer | own | more

    def run(
        self, implementations: Sequence[str] = (), *options: str, deadline: float = 120.0, **variables: str
    ) -> Ended:
        """A run to its end, or to the deadline in seconds."""
        with Started(self, self.command(implementations, *options), variables) as started:
            return started.end(deadline)

    def newest(self) -> Path | None:
        """The folder of the last run."""
        return max((self.results / "runs").glob("*"), default=None, key=lambda path: path.name)

    def rows(self) -> list[dict[str, str]]:
        """Of the newest run's table; none where there is no table."""
        newest = self.newest()
        file = newest / "timings.csv" if newest else None
        if file is None or not file.exists():
            return []
        csv.field_size_limit(1 << 30)
        with file.open(encoding="utf-8", newline="") as text:
            return list(csv.DictReader(text))

    def journal(self) -> bytes:
        """The whole lines of the newest run's journal."""
        newest = self.newest()
        file = newest / "journal.jsonl" if newest else None
        text = file.read_bytes() if file is not None and file.exists() else b""
        return text[: text.rfind(b"\n") + 1]

    def blocks(self) -> list[dict[str, Any]]:
        """Of the newest run's journal."""
        records = [json.loads(line) for line in self.journal().splitlines()]
        return [record for record in records if record["record"] == "Block"]

    def temporary_files(self) -> list[str]:
        """What a run should have removed."""
        own = [path for path in self.temporary.rglob("*") if not path.is_dir() or not any(path.iterdir())]
        half_written = [
            path
            for path in self.results.rglob("*")
            if path.name.startswith(".") or path.name.endswith(("-wal", "-shm", "-journal", ".tmp"))
        ]
        return sorted(str(path.relative_to(self.folder)) for path in (*own, *half_written))

    def has_fired(self, name: str) -> bool:
        return (self.fired / name).exists()

    def wait_until_fired(self, name: str, seconds: float) -> bool:
        return _becomes_true(lambda: self.has_fired(name), seconds)


class Started:
    """A run that goes on. What it leaves behind becomes this process's child on Linux."""

    def __init__(self, place: Place, command: Sequence[str], variables: dict[str, str] | None = None) -> None:
        self._mark = secrets.token_hex(8)
        self._adopting = _adopting_orphans()
        self._adopting.__enter__()
        self._before = {child.pid for child in psutil.Process().children(recursive=True)}
        self.process = subprocess.Popen(
            command,
            cwd=place.folder,
            env=place.environment(**(variables or {}), **{MARK: self._mark}),
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
        """Wait until it ends, for so many seconds at most, and look at what is left of it."""
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = self.process.wait(deadline)
        if code is None:
            self.process.kill()
            self.process.wait()
        left = self._wait_until_gone()
        names = [_shown(one) for one in left]
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        self._wait_until_gone()
        self._reader.join(GONE_SECONDS)
        return Ended(code, self._output.decode("utf-8", "replace"), names)

    def said(self) -> str:
        """So far."""
        return self._output.decode("utf-8", "replace")

    def wait_until_said(self, words: str, seconds: float) -> bool:
        return _becomes_true(lambda: words in self.said(), seconds)

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                self._output += chunk

    def _wait_until_gone(self) -> list[psutil.Process]:
        """The processes of the run that are there still after a while."""
        end = time.monotonic() + GONE_SECONDS
        while (alive := self._alive()) and time.monotonic() < end:
            time.sleep(0.05)
        return alive

    def _alive(self) -> list[psutil.Process]:
        """Those that have this run's mark, and what has become this process's without any."""
        new = [one for one in psutil.Process().children(recursive=True) if one.pid not in self._before]
        marked = [one for one in psutil.process_iter() if one.pid != os.getpid() and _mark_of(one) == self._mark]
        found = {one.pid: one for one in (*marked, *(one for one in new if not _mark_of(one)))}
        found.pop(self.process.pid, None)
        return [one for one in found.values() if not _is_gone(one)]


def _mark_of(process: psutil.Process) -> str:
    with suppress(psutil.Error, OSError):
        return process.environ().get(MARK, "")
    return ""


def _becomes_true(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (true := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return true


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
    """A zombie of this process's has its status taken then."""
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
