"""Runs that are killed at random moments and resumed each time."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired

from . import checks, interruptions
from .checks import Problem
from .runs import Started, Workspace

MOST_SECONDS = 6.0
"""The longest time from a process's start to its kill; a run of this size takes less."""


@dataclass
class Chain:
    """The number of kills of a chain of runs, and their problems."""

    kills: int = 0
    problems: list[Problem] = field(default_factory=list)


def chain_of(folder: Path, seed: int, kills: int) -> Chain:
    """Kill and resume a run until it was killed so often or is complete, and then go on with a new run. Each time the
    journal has to begin with the lines that it had when the run was killed."""
    chain, generator, attempt = Chain(), random.Random(seed), 0
    while chain.kills < kills and not chain.problems:
        attempt += 1
        _one_run(Workspace(folder / str(attempt)), generator, kills, chain, f"seed {seed}, run {attempt}")
    return chain


def _one_run(workspace: Workspace, generator: random.Random, kills: int, chain: Chain, label: str) -> None:
    most_seconds = MOST_SECONDS
    while chain.kills < kills:
        newest, journal_before = workspace.newest(), workspace.journal()
        can_resume = newest is not None and b'"RunStarted"' in journal_before
        options = ("--resume", str(newest)) if can_resume else ()
        command = workspace.command(() if can_resume else ("numpy",), "--when-busy", "ignore", *options)
        begin = time.monotonic()
        with Started(workspace, command) as started:
            with suppress(TimeoutExpired):
                started.process.wait(generator.uniform(0.0, most_seconds))
            is_killed = started.process.poll() is None
            started.process.send_signal(signal.SIGKILL)
            ended = started.end(deadline=10.0)
        chain.kills += is_killed and ended.code == -signal.SIGKILL
        problems = checks.of_process(ended, workspace, f"{label}, kill {chain.kills}")
        chain.problems += [problem for problem in problems if problem.count != checks.FILES]
        if can_resume and not workspace.journal().startswith(journal_before):
            chain.problems.append(Problem(checks.BLOCKS, label, "the journal is not what it was when it was killed"))
        if not is_killed:  # the run was quicker: kill the next ones earlier
            most_seconds = max(0.5, 0.9 * (time.monotonic() - begin))
            break
    chain.problems += interruptions.resumed(workspace, ["numpy"], label)
