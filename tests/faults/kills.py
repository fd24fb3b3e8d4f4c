"""Runs whose process is killed at random moments, each time resumed."""

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
from .runs import Place, Started

MOST_SECONDS = 6.0
"""From a process's start to its kill; a run of this size takes less."""


@dataclass
class Chain:
    """How often a run was killed, and what did not hold."""

    kills: int = 0
    problems: list[Problem] = field(default_factory=list)


def chain_of(folder: Path, seed: int, kills: int) -> Chain:
    """Kill a run, resume it, kill that, until it was killed so often or is complete; then a new run goes on with that.
    Every journal begins with what it had when its run was killed."""
    chain, draw, attempt = Chain(), random.Random(seed), 0
    while chain.kills < kills and not chain.problems:
        attempt += 1
        _one_run(Place(folder / str(attempt)), draw, kills, chain, f"seed {seed}, run {attempt}")
    return chain


def _one_run(place: Place, draw: random.Random, kills: int, chain: Chain, where: str) -> None:
    longest = MOST_SECONDS
    while chain.kills < kills:
        newest, before = place.newest(), place.journal()
        can_resume = newest is not None and b'"RunStarted"' in before
        options = ("--resume", str(newest)) if can_resume else ()
        command = place.command(() if can_resume else ("numpy",), "--when-busy", "ignore", *options)
        begun = time.monotonic()
        with Started(place, command) as started:
            with suppress(TimeoutExpired):
                started.process.wait(draw.uniform(0.0, longest))
            is_killed = started.process.poll() is None
            started.process.send_signal(signal.SIGKILL)
            ended = started.end(deadline=10.0)
        chain.kills += is_killed and ended.code == -signal.SIGKILL
        chain.problems += [
            one for one in checks.of_process(ended, place, f"{where}, kill {chain.kills}") if one.count != checks.FILES
        ]
        if can_resume and not place.journal().startswith(before):
            chain.problems.append(Problem(checks.BLOCKS, where, "the journal is not what it was when it was killed"))
        if not is_killed:  # it was quicker: the next ones are killed earlier
            longest = max(0.5, 0.9 * (time.monotonic() - begun))
            break
    chain.problems += interruptions.resumed(place, ["numpy"], where)
