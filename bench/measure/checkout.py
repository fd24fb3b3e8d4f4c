"""Make a side of a comparison from its name: a git revision, or a Python interpreter or environment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import implementations
from bench.plan.grid import PlanError
from bench.plan.sides import Side

from . import git
from .client import ROOT

PYTHONS = ("bin/python", "bin/python3", "Scripts/python.exe")
"""The places of the interpreter in an environment."""
OLDEST = (3, 11)
THIS = "."
"""The name of this source tree under this interpreter."""


def side(name: str, spec: str, option: str, stack: ExitStack, invoked_in: Path) -> Side:
    """Return the side that `spec` names: THIS, a path of an interpreter or an environment, or a revision of this
    repository, which is checked out for as long as the stack is open. Raises PlanError, which begins with `option`."""
    if spec == THIS:
        return Side(name, "this tree", sys.executable, str(ROOT), tuple(implementations.names()))
    revision = "" if _is_path(spec) else _revision(spec)
    if revision:
        tree = _checked_out(revision, spec, option, stack)
        names = tuple(implementations.names(tree / "implementations"))
        return Side(name, f"{revision[:9]} ({spec})", sys.executable, str(tree), names)
    path = invoked_in / Path(spec).expanduser()
    if not _is_path(spec) and not (spec and path.exists()):
        raise PlanError(f"{option}: {spec!r} is neither a Python environment nor {_no_revision()}")
    return Side(name, spec, _interpreter(path, spec, option), str(ROOT), tuple(implementations.names()))


def grid_file(side: Side, file: Path) -> Path:
    """Return where a side has a grid file: in its own tree, if the file lies in this one."""
    resolved, root = file.resolve(), ROOT.resolve()
    return Path(side.source) / resolved.relative_to(root) if resolved.is_relative_to(root) else file


def device_kinds(side: Side, name: str, path: Sequence[str]) -> tuple[str, ...]:
    """Return the device kinds that a side's implementation file declares. Raises LookupError, SyntaxError."""
    if side.source == str(ROOT) or name not in side.implementations:
        return implementations.device_kinds(name, path)
    folder = Path(side.source) / "implementations"
    module, _, class_name = name.partition(":")
    module = f"{module}_" if (folder / f"{module}_.py").exists() else module
    return implementations.device_kinds(f"{module}:{class_name or 'Net'}", [str(folder)])


def _is_path(spec: str) -> bool:
    return spec.startswith((".", "~", os.sep))


def _interpreter(path: Path, spec: str, option: str) -> str:
    if path.is_dir():
        interpreters = [path / name for name in PYTHONS if (path / name).exists()]
        if not interpreters:
            raise PlanError(f"{option}: {spec} is a folder without {' or '.join(PYTHONS[:2])}: not an environment")
        path = interpreters[0]
    try:
        result = subprocess.run(
            [path, "-c", "import sys, numpy; print(*sys.version_info[:2])"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PlanError(f"{option}: {spec} is no Python interpreter or environment: {error}") from error
    if result.returncode:
        raise PlanError(f"{option}: {spec} cannot be used, NumPy is the least it needs: {git.last_line(result.stderr)}")
    version = re.fullmatch(r"(\d+) (\d+)", result.stdout.strip())
    if not version:
        raise PlanError(f"{option}: {spec} does not answer as Python does: {result.stdout.strip()!r}")
    if (int(version[1]), int(version[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise PlanError(f"{option}: {spec} is Python {version[1]}.{version[2]}; {oldest} or newer is needed")
    return str(path)


def _revision(spec: str) -> str:
    """Return the hash of the revision; empty where there is none, or no git."""
    if not spec or spec.startswith("-"):
        return ""
    answer = git.run(ROOT, "rev-parse", "--verify", "--quiet", f"{spec}^{{commit}}")
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _no_revision() -> str:
    """Say that a spec is no git revision, or why git cannot tell."""
    answer = git.run(ROOT, "rev-parse", "--git-dir")
    if answer.returncode:
        why = f", for {ROOT} is none that git can read: {git.last_line(answer.stderr)}"
    else:
        why = f"; {git.SHALLOW}" if git.is_shallow(ROOT) else ""
    return f"a git revision of this repository{why}"


def _checked_out(revision: str, spec: str, option: str, stack: ExitStack) -> Path:
    """Check out a revision; return what corresponds to ROOT in it, which may be a folder in a repository."""
    prefix = git.run(ROOT, "rev-parse", "--show-prefix").stdout.removesuffix("\n")
    if git.run(ROOT, "cat-file", "-e", f"{revision}:{prefix}implementations/__init__.py").returncode:
        raise PlanError(f"{option}: revision {revision[:9]} ({spec}) has no implementations/")
    stack.enter_context(_interrupted_by(signal.SIGTERM, signal.SIGHUP))  # else the checkout would remain
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relubench-")))
    if complaint := git.check_out(ROOT, revision, folder / "tree"):
        raise PlanError(f"{option}: git cannot check out {revision[:9]} ({spec}): {complaint}")
    return folder / "tree" / prefix


@contextmanager
def _interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Let signals interrupt as Ctrl-C does, so that whatever is open is closed. A signal that is ignored, as under
    nohup, stays so; and only Python's main thread can handle signals."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in signals}
    handled = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
